package workspace

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
)

// cursor goes through the files and links of a folder in bytewise order of
// their paths, as a manifest has them.
type cursor struct{ stack []frame }

type frame struct {
	f      *folder
	prefix string // of the paths in it: relative to the folder, with a slash
	order  []int  // records of f that are to come
	subs   []*folder
}

func newCursor(root *folder) *cursor {
	c := &cursor{}
	c.enter(root, "")
	return c
}

func (c *cursor) enter(f *folder, prefix string) {
	c.stack = append(c.stack, frame{f: f, prefix: prefix, order: f.order(), subs: f.sortedSubs()})
}

// next returns the folder and the number of the next record, and what its path
// begins with; nil at the end.
func (c *cursor) next() (f *folder, i int, prefix string) {
	for len(c.stack) > 0 {
		top := &c.stack[len(c.stack)-1]
		if len(top.order) == 0 {
			c.stack = c.stack[:len(c.stack)-1]
			continue
		}
		i, top.order = top.order[0], top.order[1:]
		if !top.f.block.isDir(i) {
			return top.f, i, top.prefix
		}
		sub := top.subs[0]
		top.subs = top.subs[1:]
		c.enter(sub, top.prefix+string(top.f.block.name(i))+"/")
	}
	return nil, 0, ""
}

// order returns the numbers of the records in the order of their paths: the name
// of a folder has a slash after it.
func (f *folder) order() []int {
	order := make([]int, f.block.len())
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return comparePaths(f.block.name(i), f.block.isDir(i), f.block.name(j), f.block.isDir(j))
	})
	return order
}

func (f *folder) sortedSubs() []*folder {
	subs := slices.Clone(f.subs)
	slices.SortFunc(subs, func(a, b *folder) int { return comparePaths([]byte(a.path), true, []byte(b.path), true) })
	return subs
}

// comparePaths orders two paths as if that of a folder ended with a slash.
func comparePaths(a []byte, aDir bool, b []byte, bDir bool) int {
	n := min(len(a), len(b))
	if c := bytes.Compare(a[:n], b[:n]); c != 0 {
		return c
	}
	return nextByte(a[n:], aDir) - nextByte(b[n:], bDir)
}

func nextByte(rest []byte, dir bool) int {
	switch {
	case len(rest) > 0:
		return int(rest[0])
	case dir:
		return '/'
	}
	return -1
}

// entry returns record i as a tree has it.
func (f *folder) entry(i int, path string) cas.Entry {
	e := cas.Entry{Path: path, Kind: cas.File, Digest: f.block.digest(i), Size: f.block.size(i)}
	switch mode := f.block.mode(i); {
	case mode&fs.ModeSymlink != 0:
		e.Kind = cas.Link
	case executable(mode):
		e.Kind = cas.Executable
	}
	return e
}

func executable(mode fs.FileMode) bool { return mode&0o100 != 0 }

// manifest reads as the manifest of a folder. It fails where the folder could
// not be restored as it is on every system.
type manifest struct {
	ctx         context.Context
	at          *cursor
	encoder     *cas.TreeEncoder
	buffer      []byte
	rest        []byte // of buffer
	files, size int64
}

func newManifest(ctx context.Context, root *folder) *manifest {
	m := &manifest{ctx: ctx, at: newCursor(root), encoder: cas.NewTreeEncoder()}
	m.buffer = m.encoder.AppendHeader(make([]byte, 0, 64<<10))
	m.rest = m.buffer
	return m
}

func (m *manifest) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		if err := m.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// fill encodes the next entries.
func (m *manifest) fill() error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	b := m.buffer[:0]
	for len(b) < cap(m.buffer)/2 {
		f, i, prefix := m.at.next()
		if f == nil {
			break
		}
		e := f.entry(i, prefix+string(f.block.name(i)))
		var err error
		if b, err = m.encoder.AppendEntry(b, &e); err != nil {
			return err
		}
		m.files++
		m.size += e.Size
	}
	m.buffer, m.rest = b[:0], b
	if len(b) == 0 {
		return io.EOF
	}
	return nil
}

// tree lists what is in a folder. files is how many there are.
func (f *folder) tree(files int64) cas.Tree {
	tree := make(cas.Tree, 0, files)
	var paths strings.Builder // shared: a path of its own each would be an object more
	at := newCursor(f)
	for {
		f, i, prefix := at.next()
		if f == nil {
			return tree
		}
		name := f.block.name(i)
		if need := len(prefix) + len(name); paths.Cap()-paths.Len() < need {
			paths = strings.Builder{}
			paths.Grow(max(64<<10, need))
		}
		start := paths.Len()
		paths.WriteString(prefix)
		paths.Write(name)
		tree = append(tree, f.entry(i, paths.String()[start:]))
	}
}

// fingerprint is of the blocks of f and of all folders in it.
func (f *folder) fingerprint() cas.Digest {
	h := cas.NewHasher()
	for sub := range f.all() {
		h.Write([]byte(sub.path))
		h.Write([]byte{0})
		h.Write(sub.block.check[:])
	}
	return h.Digest()
}
