package cas

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
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
		size += shortestLine + digits(t[i].Size) + len(t[i].Path) - len("0p")
	}
	b := append(make([]byte, 0, size), treeHeader...)
	for i := range t {
		b = appendEntry(b, &t[i])
	}
	return b
}

// appendEntry appends the line "<kind> <64 hex> <size> <path>".
func appendEntry(b []byte, e *Entry) []byte {
	b = append(b, byte(e.Kind), ' ')
	b = hex.AppendEncode(b, e.Digest[:])
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.Size, 10)
	b = append(b, ' ')
	b = append(b, e.Path...)
	return append(b, '\n')
}

// digits returns how many bytes AppendInt needs for n.
func digits(n int64) int {
	count := 1
	if n < 0 {
		count++
	}
	for ; n >= 10 || n <= -10; n /= 10 {
		count++
	}
	return count
}

// TreeEncoder writes the manifest of a tree that is never in memory as a whole.
// It refuses what Tree.Check refuses.
type TreeEncoder struct {
	c       *checker
	entries int
}

// NewTreeEncoder returns an encoder of a manifest of its own.
func NewTreeEncoder() *TreeEncoder { return &TreeEncoder{c: newChecker()} }

// AppendHeader appends what comes before the first entry.
func (t *TreeEncoder) AppendHeader(b []byte) []byte { return append(b, treeHeader...) }

// AppendEntry appends the next entry: they come in bytewise order of their paths.
// After an error the manifest is of no use.
func (t *TreeEncoder) AppendEntry(b []byte, e *Entry) ([]byte, error) {
	if t.entries++; t.entries > MaxEntries {
		return nil, fmt.Errorf("%w: more than %d entries", ErrTree, MaxEntries)
	}
	if err := t.c.next(e); err != nil {
		return nil, err
	}
	return appendEntry(b, e), nil
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
	t = t.sorted()
	for i := range t {
		if err := c.next(&t[i]); err != nil {
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
// allocates in proportion to len(data), which the caller bounds, and the Tree
// holds on to nothing of data.
func ParseTree(data []byte) (Tree, error) { return parseTree(data, MaxEntries) }

func parseTree(data []byte, limit int) (Tree, error) {
	text, ok := bytes.CutPrefix(data, []byte(treeHeader))
	if !ok {
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrTree, strings.TrimSpace(treeHeader))
	}
	lines := bytes.Count(text, []byte{'\n'})
	if lines > limit {
		return nil, fmt.Errorf("%w: more than %d entries", ErrTree, limit)
	}
	most := min(lines, len(text)/shortestLine) // not lines alone: empty ones are cheap to send
	tree := make(Tree, 0, most)
	// All paths share one string: a million of their own would be a million objects.
	var paths strings.Builder
	paths.Grow(len(text) - most*(shortestLine-len("p")))
	c := newChecker()
	for number := 2; len(text) > 0; number++ {
		line, rest, ok := bytes.Cut(text, []byte{'\n'})
		if !ok {
			return nil, fmt.Errorf("line %d: %w: it has no end", number, ErrTree)
		}
		e, path, err := parseEntry(line)
		if err == nil {
			start := paths.Len()
			paths.Write(path)
			e.Path = paths.String()[start:]
			err = c.next(&e)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		tree, text = append(tree, e), rest
	}
	return tree, nil
}

// parseEntry reads "<kind> <64 hex> <size> <path>", all but the path.
func parseEntry(line []byte) (e Entry, path []byte, err error) {
	const hashAt, hashEnd = 2, 2 + 64
	if len(line) <= hashEnd || line[1] != ' ' || line[hashEnd] != ' ' {
		return e, nil, fmt.Errorf("%w: want kind, hash, size and path", ErrTree)
	}
	e.Kind = Kind(line[0])
	hash := line[hashAt:hashEnd]
	if _, err := hex.Decode(e.Digest[:], hash); err != nil || bytes.ContainsAny(hash, "ABCDEF") {
		return e, nil, fmt.Errorf("%w: %q is no hash", ErrTree, hash)
	}
	size, path, ok := bytes.Cut(line[hashEnd+1:], []byte{' '})
	if !ok {
		return e, nil, fmt.Errorf("%w: want kind, hash, size and path", ErrTree)
	}
	e.Size, err = strconv.ParseInt(string(size), 10, 64)
	if err != nil || len(size) != digits(e.Size) || size[0] == '+' || size[0] == '-' && e.Size == 0 {
		return e, nil, fmt.Errorf("%w: %q is no size", ErrTree, clip(string(size)))
	}
	return e, path, nil
}
