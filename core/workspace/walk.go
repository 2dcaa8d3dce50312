package workspace

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"iter"
	"path"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/kept-dev/kept/cas"
)

// folder is a folder as a walk found it.
type folder struct {
	path string
	// block has all that is in it. It is the cache's if same is set.
	block *block
	same  bool
	// noted: the cache has notes of single files in it, which block has now.
	noted bool
	// subs are its folders, in the order of block.
	subs []*folder
	// todo are the records of block that have to be read, and unsure says of
	// which the digest, by its number, is not to be remembered.
	todo   []int
	unsure []bool
}

// all returns f and the folders in it at any depth, in the order of the blocks.
func (f *folder) all() iter.Seq[*folder] {
	return func(yield func(*folder) bool) { f.each(yield) }
}

func (f *folder) each(yield func(*folder) bool) bool {
	if !yield(f) {
		return false
	}
	for _, sub := range f.subs {
		if !sub.each(yield) {
			return false
		}
	}
	return true
}

// need adds a record to what has to be read.
func (f *folder) need(i int) {
	if f.unsure == nil {
		f.unsure = make([]bool, f.block.len())
	}
	if f.unsure[i] {
		return
	}
	if f.same {
		f.block, f.same = f.block.clone(), false
	}
	f.todo = append(f.todo, i)
	f.unsure[i] = true
}

// splitAt is the number of names from which on a folder is shared out.
const splitAt = 2048

// walker finds out what is in a folder and how it differs from what the cache knows.
type walker struct {
	*Workspace
	ctx  context.Context
	pool *pool[listing]
	// shared are the open folders that several tasks use, guarded by pool.mu.
	shared []*dir
}

// walk looks at every file in the folder at path. No more than that: a folder
// that is as the cache knows it costs its system calls and a comparison.
func (w *Workspace) walk(ctx context.Context, path string) (*folder, error) {
	root := &folder{path: path}
	wk := &walker{Workspace: w, ctx: ctx, pool: newPool[listing](ctx)}
	wk.descend(root)
	err := wk.pool.run()
	for _, d := range wk.shared {
		d.close()
	}
	return root, err
}

func (wk *walker) descend(f *folder) {
	wk.pool.add(func(l *listing) error { return wk.list(f, l) })
}

// list reads the names in f and compares their files with what is known of them.
func (wk *walker) list(f *folder, l *listing) error {
	d, err := openDir(wk.Abs(f.path))
	if err != nil {
		return gone(f.path, err)
	}
	l.reset()
	if err := d.read(l); err != nil {
		d.close()
		return gone(f.path, err)
	}
	c := &comparison{walker: wk, f: f, d: d, l: l}
	c.base, c.noted = wk.cache.folder(f.path)
	f.noted = c.noted != nil
	parts := (l.len() + splitAt - 1) / splitAt
	c.parts, c.left = make([]part, parts), int32(parts)
	if parts <= 1 {
		defer d.close()
		if parts == 0 {
			c.finish()
			return nil
		}
		return c.compare(0)
	}
	c.l = &listing{names: bytes.Clone(l.names), ends: slices.Clone(l.ends), kinds: slices.Clone(l.kinds)}
	wk.pool.mu.Lock()
	wk.shared = append(wk.shared, d)
	wk.pool.mu.Unlock()
	for i := range parts {
		wk.pool.add(func(*listing) error { return c.compare(i) })
	}
	return nil
}

// gone tells a file that went away during a walk from one that was never there.
func gone(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return &ChangingError{Path: path}
	}
	return err
}

// comparison is one folder that is being compared, in parts of splitAt names.
type comparison struct {
	*walker
	f           *folder
	d           *dir
	l           *listing
	base, noted *block
	parts       []part
	left        int32
}

// part is what some neighbours in a listing are: as the same records of the base
// say, or as stats says.
type part struct {
	differs bool
	stats   []stat
}

func (c *comparison) compare(number int) error {
	p, start := &c.parts[number], number*splitAt
	end := min(start+splitAt, c.l.len())
	for i := start; i < end; i++ {
		if i&0xff == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		s := stat{mode: fs.ModeDir}
		if c.l.kinds[i] != folderKind {
			var err error
			if s, err = c.d.stat(c.l, i); err != nil {
				return gone(path.Join(c.f.path, string(c.l.name(i))), err)
			}
			if s.mode.IsDir() {
				s = stat{mode: fs.ModeDir}
			}
		}
		if !p.differs {
			if c.known(i, s) {
				continue
			}
			p.differs, p.stats = true, make([]stat, 0, end-start)
			for j := start; j < i; j++ {
				p.stats = append(p.stats, c.base.stat(j))
			}
		}
		p.stats = append(p.stats, s)
	}
	if atomic.AddInt32(&c.left, -1) == 0 {
		c.finish()
	}
	return nil
}

// known reports whether the base has number i of the listing at the same place.
func (c *comparison) known(i int, s stat) bool {
	return c.noted == nil && c.base != nil && i < c.base.len() && c.base.stat(i) == s && bytes.Equal(c.base.name(i), c.l.name(i))
}

// finish makes the block of the folder and sends for the folders in it.
func (c *comparison) finish() {
	f := c.f
	f.same = c.noted == nil && c.base != nil && c.base.len() == c.l.len()
	for i := range c.parts {
		f.same = f.same && !c.parts[i].differs
	}
	if f.same {
		f.block = c.base
	} else {
		c.build()
	}
	for i := range f.block.len() {
		if f.block.isDir(i) {
			sub := &folder{path: path.Join(f.path, string(f.block.name(i)))}
			f.subs = append(f.subs, sub)
		}
	}
	for i := len(f.subs) - 1; i >= 0; i-- { // the first one is to come first
		c.descend(f.subs[i])
	}
}

// build makes a block of the listing, with the digests that are known.
func (c *comparison) build() {
	n := c.l.len()
	b := &block{records: make([]byte, 0, n*recordSize), names: make([]byte, 0, len(c.l.names))}
	c.f.block = b
	k := known{base: c.base}
	if c.noted != nil {
		k.noted = *c.noted
	}
	var todo []int
	for i := range n {
		name, p := c.l.name(i), &c.parts[i/splitAt]
		if !p.differs {
			b.add(name, c.base.stat(i), c.base.digest(i))
			continue
		}
		s := p.stats[i%splitAt]
		d, ok := cas.Digest{}, true
		if !s.mode.IsDir() {
			d, ok = k.lookup(name, s, c.now)
		}
		b.add(name, s, d)
		if !ok {
			todo = append(todo, i)
		}
	}
	for _, i := range todo {
		c.f.need(i)
	}
	if len(todo) == 0 && c.base != nil && b.equal(c.base) {
		c.f.block, c.f.same = c.base, true
	}
}
