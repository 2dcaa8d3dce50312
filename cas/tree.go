package cas

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxEntries is the most entries that a tree can have.
const MaxEntries = 10_000_000

// ErrTree reports bytes or entries that are not a tree manifest.
var ErrTree = errors.New("not a tree manifest")

const (
	treeHeader   = "kept tree 1\n"
	shortestLine = len("f  0 p\n") + 64
)

// Kind says what an Entry is in the working tree.
type Kind byte

// The kinds of an Entry, as the manifest writes them.
const (
	File       Kind = 'f'
	Executable Kind = 'x' // a file that its owner may execute
	Link       Kind = 'l' // a symbolic link: the object is the text of its target
)

// Entry is one file or link of a Tree.
type Entry struct {
	// Path is relative to the folder, with forward slashes.
	Path string
	Kind Kind
	// Digest and Size are those of the file's content, or of a link's target text.
	Digest Digest
	Size   int64
}

// Tree is the manifest of a folder: its files and links at any depth. Empty
// folders are not in it. The order of a Tree does not matter to Marshal;
// ParseTree returns it sorted bytewise by path.
type Tree []Entry

// Size returns the sum of the sizes of all entries.
func (t Tree) Size() int64 {
	var sum int64
	for i := range t {
		sum += t[i].Size
	}
	return sum
}

// Marshal returns the manifest, whose digest is the identity of the folder.
// It writes what it is given: only a Tree that passes Check parses again.
func (t Tree) Marshal() []byte {
	t = t.sorted()
	size := len(treeHeader)
	for i := range t {
		size += shortestLine + len("223372036854775807") + len(t[i].Path)
	}
	b := append(make([]byte, 0, size), treeHeader...)
	for i := range t {
		b = append(b, byte(t[i].Kind), ' ')
		b = hex.AppendEncode(b, t[i].Digest[:])
		b = append(b, ' ')
		b = strconv.AppendInt(b, t[i].Size, 10)
		b = append(b, ' ')
		b = append(b, t[i].Path...)
		b = append(b, '\n')
	}
	return b
}

// Check refuses a Tree that could not be restored as it is on every system:
// paths that CheckPath refuses, a path twice, a path that is a file and a
// folder, and two paths that are one where names are compared without case or
// normalisation. The error wraps ErrTree, and ErrPath where a path is the cause.
// Link targets are not in a Tree; who holds the text asks CheckLink.
func (t Tree) Check() error {
	if len(t) > MaxEntries {
		return fmt.Errorf("%w: more than %d entries", ErrTree, MaxEntries)
	}
	c := newChecker()
	for _, e := range t.sorted() {
		if err := c.next(&e); err != nil {
			return err
		}
	}
	return nil
}

// sorted returns t, or a sorted copy if it is not in order.
func (t Tree) sorted() Tree {
	byPath := func(a, b Entry) int { return strings.Compare(a.Path, b.Path) }
	if slices.IsSortedFunc(t, byPath) {
		return t
	}
	t = slices.Clone(t)
	slices.SortFunc(t, byPath)
	return t
}

// ParseTree reads a manifest. It accepts exactly what Marshal writes of a Tree
// that passes Check: there is one encoding, so a folder has one digest. It
// allocates in proportion to len(data), which the caller bounds.
func ParseTree(data []byte) (Tree, error) { return parseTree(data, MaxEntries) }

func parseTree(data []byte, limit int) (Tree, error) {
	text, ok := strings.CutPrefix(string(data), treeHeader)
	if !ok {
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrTree, strings.TrimSpace(treeHeader))
	}
	lines := bytes.Count(data, []byte{'\n'}) - 1
	if lines > limit {
		return nil, fmt.Errorf("%w: more than %d entries", ErrTree, limit)
	}
	tree := make(Tree, 0, min(lines, len(data)/shortestLine)) // not by lines alone: empty ones are cheap to send
	c := newChecker()
	for number := 2; text != ""; number++ {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			return nil, fmt.Errorf("line %d: %w: it has no end", number, ErrTree)
		}
		e, err := parseEntry(line)
		if err == nil {
			err = c.next(&e)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		tree, text = append(tree, e), rest
	}
	return tree, nil
}

// parseEntry reads "<kind> <64 hex> <size> <path>".
func parseEntry(line string) (e Entry, err error) {
	const hashAt, hashEnd = 2, 2 + 64
	if len(line) <= hashEnd || line[1] != ' ' || line[hashEnd] != ' ' {
		return e, fmt.Errorf("%w: want kind, hash, size and path", ErrTree)
	}
	e.Kind = Kind(line[0])
	if e.Digest, err = ParseDigest(Prefix + line[hashAt:hashEnd]); err != nil {
		return e, fmt.Errorf("%w: %q is no hash", ErrTree, line[hashAt:hashEnd])
	}
	size, path, ok := strings.Cut(line[hashEnd+1:], " ")
	if !ok {
		return e, fmt.Errorf("%w: want kind, hash, size and path", ErrTree)
	}
	e.Size, err = strconv.ParseInt(size, 10, 64)
	if err != nil || strconv.FormatInt(e.Size, 10) != size {
		return e, fmt.Errorf("%w: %q is no size", ErrTree, clip(size))
	}
	e.Path = path
	return e, nil
}

// checker looks at the entries of a tree in bytewise order of their paths.
// All paths below one folder follow each other in that order, so it needs to
// remember the names of the folders that it is in and no others.
type checker struct {
	last  string
	first bool
	total int64
	open  []openFolder
}

type openFolder struct {
	prefix string             // path with its slash; "" for the root
	names  map[string]nameUse // by foldName
}

type nameUse struct {
	name   string
	folder bool
}

func newChecker() *checker {
	return &checker{first: true, open: []openFolder{{names: map[string]nameUse{}}}}
}

func (c *checker) next(e *Entry) error {
	if err := c.values(e); err != nil {
		return fmt.Errorf("%w: %w", ErrTree, err)
	}
	switch {
	case c.first:
	case e.Path == c.last:
		return fmt.Errorf("%w: %q is in it twice", ErrTree, e.Path)
	case e.Path < c.last:
		return fmt.Errorf("%w: %q is not in order", ErrTree, e.Path)
	}
	c.first, c.last = false, e.Path
	return c.names(e.Path)
}

func (c *checker) values(e *Entry) error {
	if err := CheckPath(e.Path); err != nil {
		return err
	}
	switch {
	case e.Kind != File && e.Kind != Executable && e.Kind != Link:
		return fmt.Errorf("%q is of no known kind", e.Path)
	case e.Size < 0:
		return fmt.Errorf("%q has a negative size", e.Path)
	case e.Kind == Link && (e.Size == 0 || e.Size > maxPath):
		return fmt.Errorf("link %q has a target of %d bytes", e.Path, e.Size)
	case e.Size > math.MaxInt64-c.total:
		return errors.New("the sizes add up to more than 63 bits hold")
	}
	c.total += e.Size
	return nil
}

// names notes the components of path and refuses one that is in its folder in
// another spelling, or as a file there and a folder here.
func (c *checker) names(path string) error {
	for !strings.HasPrefix(path, c.open[len(c.open)-1].prefix) {
		c.open = c.open[:len(c.open)-1]
	}
	for {
		top := c.open[len(c.open)-1]
		name, _, folder := strings.Cut(path[len(top.prefix):], "/")
		key := foldName(name)
		if old, ok := top.names[key]; ok {
			if old.name == name {
				return fmt.Errorf("%w: %q is a file and a folder", ErrTree, top.prefix+name)
			}
			return fmt.Errorf("%w: %q and %q are one name on some systems", ErrTree, top.prefix+old.name, top.prefix+name)
		}
		top.names[key] = nameUse{name, folder}
		if !folder {
			return nil
		}
		c.open = append(c.open, openFolder{
			prefix: path[:len(top.prefix)+len(name)+1],
			names:  map[string]nameUse{},
		})
	}
}
