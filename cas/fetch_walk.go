package cas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kept-dev/kept/cas/pack"
)

// incoming is a content that is to come: a wanted file, a tree, or a file of a folder.
type incoming struct {
	key Digest
	err error
	// entry and root are those of the manifest, if it was cut.
	entry pack.Entry
	bytes []byte
	root  *node
	// pending is how many nodes or chunks of a tree are still to be read.
	pending int
	asked   map[Digest]bool // nodes
	// late says that it can't be hashed while it comes, right that it was.
	late, right bool
}

// ask is an entry that has to be read before it is known what else is needed.
type ask struct {
	table *farTable
	entry pack.Entry
	give  func(b []byte, err error) // b is good until it returns
}

// walk finds out what is to come, and reads what says so.
func (f *fetch) walk(ctx context.Context) error {
	for _, o := range f.objects {
		if o.err != nil {
			continue
		}
		var err error
		if o.Folder {
			err = f.folder(ctx, o)
		} else {
			err = f.need(ctx, o, o.Digest)
		}
		if err != nil {
			return err
		}
	}
	for len(f.asks) > 0 {
		if err := f.answer(ctx); err != nil {
			return err
		}
	}
	return f.b.failed()
}

// need notes a content that an object needs.
func (f *fetch) need(ctx context.Context, o *arrival, d Digest) error {
	c := f.contents[d]
	if c == nil {
		c = &incoming{key: d}
		f.contents[d] = c
		there, err := f.b.Has(ctx, d)
		if err != nil {
			return err
		}
		if there {
			f.reuse(ctx, d)
		} else {
			f.find(ctx, o, c, nil)
		}
	}
	o.contents = append(o.contents, c)
	return nil
}

// reuse counts what does not have to come of a content that is there.
func (f *fetch) reuse(ctx context.Context, d Digest) {
	f.result.Reused += f.catalog.share(d)
	if at, err := f.l.lookUp(d); err == nil && at.Kind == pack.Manifest {
		_ = f.l.eachChunk(ctx, at, func(p part) error {
			f.result.Reused += f.catalog.share(p.key)
			return nil
		})
	}
}

// find looks for a content in the packs. With then set its bytes are wanted here and now, which
// only a tree's are.
func (f *fetch) find(ctx context.Context, o *arrival, c *incoming, then func(b []byte)) {
	t, e, ok := f.catalog.find(c.key)
	switch {
	case !ok:
		c.err = f.nowhere(o, c.key)
	case e.Kind == pack.Manifest:
		c.entry = e
		f.cut = append(f.cut, c)
		f.asks = append(f.asks, ask{t, e, func(b []byte, err error) { f.manifest(ctx, o, c, b, err, then) }})
	case then == nil:
		f.blobs = append(f.blobs, c.key)
	default:
		f.asks = append(f.asks, ask{t, e, func(b []byte, err error) {
			if c.err = err; err == nil {
				f.keep(b)
				then(b)
			}
		}})
	}
}

// nowhere says that the packs which the root of an object lists do not have what it needs.
func (f *fetch) nowhere(o *arrival, d Digest) error {
	var failed []error
	for _, p := range o.packs {
		if err := f.unread[p.name]; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return f.damaged(rootFile(o.Digest), fmt.Errorf("no pack that it lists has %s", d))
}

// manifest takes in the root of a content that was cut.
func (f *fetch) manifest(ctx context.Context, o *arrival, c *incoming, b []byte, err error, then func(b []byte)) {
	if err == nil {
		c.root, err = parseNode(b) // once more: readEntries only looked whether it is one
	}
	if err != nil {
		c.err = err
		return
	}
	c.bytes = slices.Clone(b)
	c.asked = map[Digest]bool{}
	c.pending = 1
	f.below(ctx, o, c, c.root, then)
	f.arrived(ctx, o, c, nil, then)
}

// arrived notes that a node has come and what is below it was asked for. After the last one the
// chunks of a tree can be read.
func (f *fetch) arrived(ctx context.Context, o *arrival, c *incoming, err error, then func(b []byte)) {
	if c.err == nil {
		c.err = err
	}
	if c.pending--; c.pending == 0 && c.err == nil && then != nil {
		f.assemble(ctx, o, c, then)
	}
}

// below asks for the nodes below one.
func (f *fetch) below(ctx context.Context, o *arrival, c *incoming, n *node, then func(b []byte)) {
	if n.level == 0 {
		return
	}
	for _, p := range n.parts {
		if c.asked[p.key] {
			continue
		}
		c.asked[p.key] = true
		c.pending++
		f.read(o, p.key, func(b []byte, err error) {
			if err == nil {
				err = f.inner(ctx, o, c, n, p, b, then)
			}
			f.arrived(ctx, o, c, err, then)
		})
	}
}

// inner takes in an inner node.
func (f *fetch) inner(ctx context.Context, o *arrival, c *incoming, above *node, p part, b []byte, then func(b []byte)) error {
	child, err := parseNode(b)
	if err == nil && (child.level != above.level-1 || child.size != p.size) {
		err = errManifest
	}
	if err != nil {
		return &CorruptError{Digest: p.key, Err: err}
	}
	f.keep(b)
	f.nodes[p.key] = child
	f.below(ctx, o, c, child, then)
	return nil
}

// read gets the bytes of a blob, from the store if that has it.
func (f *fetch) read(o *arrival, d Digest, give func(b []byte, err error)) {
	if at, err := f.l.lookUp(d); err == nil && at.Kind == pack.Blob {
		if b, err := f.l.read(at); err == nil {
			give(b, nil)
			return
		}
	}
	t, e, ok := f.catalog.find(d)
	if !ok || e.Kind != pack.Blob {
		give(nil, f.nowhere(o, d))
		return
	}
	f.asks = append(f.asks, ask{t, e, give})
}

// keep stores what was read on the walk, so that it has not to be read again.
func (f *fetch) keep(b []byte) {
	if !f.o.DryRun {
		_, _ = f.b.putBlob(context.Background(), b) // an error is the batch's: see walk
	}
}

// folder reads the tree of a folder, and notes what is in it.
func (f *fetch) folder(ctx context.Context, o *arrival) error {
	c := &incoming{key: o.Digest}
	f.contents[o.Digest] = c
	o.contents = append(o.contents, c)
	then := func(b []byte) {
		tree, err := ParseTree(b)
		for i := range tree {
			if err == nil {
				err = f.need(ctx, o, tree[i].Digest)
			}
		}
		if err != nil && o.err == nil {
			o.err = err
		}
	}
	there, err := f.b.Has(ctx, o.Digest)
	if err != nil {
		return err
	}
	if there {
		if b, err := ReadAll(ctx, f.l, o.Digest, maxTree); err == nil {
			then(b)
			return ctx.Err()
		}
	}
	f.find(ctx, o, c, then)
	return nil
}

// assemble reads the chunks of a tree that was cut.
func (f *fetch) assemble(ctx context.Context, o *arrival, c *incoming, then func(b []byte)) {
	if c.root.size > maxTree {
		c.err = fmt.Errorf("%w: it has %d bytes", ErrTree, c.root.size)
		return
	}
	var parts []part
	c.err = f.eachPart(ctx, c.root, func(p part) error {
		parts = append(parts, p)
		return nil
	})
	if c.err != nil {
		return
	}
	chunks := make([][]byte, len(parts))
	c.pending = len(parts)
	for i, p := range parts {
		f.read(o, p.key, func(b []byte, err error) {
			c.pending--
			if err == nil && int64(len(b)) != p.size {
				err = &CorruptError{Digest: p.key, Err: fmt.Errorf("it has %d bytes, want %d", len(b), p.size)}
			}
			if c.err == nil {
				c.err = err
			}
			if err == nil {
				f.keep(b)
				chunks[i] = slices.Clone(b)
			}
			if c.pending > 0 || c.err != nil {
				return
			}
			whole := slices.Concat(chunks...)
			if got := Sum(whole); got != c.key {
				c.err = f.corrupt(c, fmt.Errorf("its content hashes to %s", got))
				return
			}
			c.right = true
			then(whole)
		})
	}
}

// eachPart calls fn for the chunks of a content whose nodes were read, in order. They may be without
// end, if somebody wants that: nodes may be listed any number of times.
func (f *fetch) eachPart(ctx context.Context, n *node, fn func(part) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, p := range n.parts {
		var err error
		if n.level == 0 {
			err = fn(p)
		} else if child := f.nodes[p.key]; child != nil && child.level == n.level-1 && child.size == p.size {
			err = f.eachPart(ctx, child, fn)
		} else {
			err = &CorruptError{Digest: p.key, Err: errManifest}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// answer reads what was asked for so far, and hands it to those who asked.
func (f *fetch) answer(ctx context.Context) error {
	asks := f.asks
	f.asks = nil
	slices.SortStableFunc(asks, func(a, b ask) int {
		return cmp.Or(cmp.Compare(a.table.number, b.table.number), cmp.Compare(a.entry.Group, b.entry.Group))
	})
	var groups []*arriving
	var of []int // how many asks each group answers
	for i, a := range asks {
		if i == 0 || asks[i-1].table != a.table || asks[i-1].entry.Group != a.entry.Group {
			groups = append(groups, newArriving(a.table, a.entry.Group))
			of = append(of, 0)
		}
		last := len(groups) - 1
		groups[last].take = append(groups[last].take, a.entry)
		of[last]++
	}
	s := f.open(ctx, groups)
	for i, g := range groups {
		if err := s.wait(g); err != nil {
			return errors.Join(s.close(), ctx.Err())
		}
		for _, a := range asks[:of[i]] {
			if g.err != nil {
				a.give(nil, g.err)
			} else {
				a.give(g.plain[a.entry.At:a.entry.At+a.entry.Len], nil)
			}
		}
		asks = asks[of[i]:]
		s.free(g)
	}
	return s.close()
}
