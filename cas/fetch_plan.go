package cas

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/kept-dev/kept/cas/pack"
)

// place is where a chunk comes: in a group, from there on.
type place struct {
	group *arriving
	at    uint32
}

// plan finds the groups that have what the store lacks, in the order in which the contents need
// them; what is whole in itself follows in the order of the packs.
func (f *fetch) plan(ctx context.Context) error {
	for _, c := range f.cut {
		if c.err != nil || c.right {
			continue
		}
		c.err = f.eachPart(ctx, c.root, func(p part) error { return f.planChunk(c, p) })
		if err := cmp.Or(ctx.Err(), f.b.failed()); err != nil {
			return err
		}
	}
	type blob struct {
		table *farTable
		pack.Entry
	}
	var blobs []blob
	for _, d := range f.blobs {
		fresh, err := f.b.claim(d)
		if err != nil {
			return err
		}
		if t, e, ok := f.catalog.find(d); ok && fresh {
			blobs = append(blobs, blob{t, e})
		}
	}
	slices.SortFunc(blobs, func(a, b blob) int {
		return cmp.Or(cmp.Compare(a.table.number, b.table.number), cmp.Compare(a.Group, b.Group), cmp.Compare(a.At, b.At))
	})
	for _, b := range blobs {
		f.take(b.table, b.Entry)
	}
	f.foresee()
	return f.countUses(ctx)
}

// countUses counts how many chunks of the contents that are hashed while they come lie in each group.
func (f *fetch) countUses(ctx context.Context) error {
	for _, c := range f.cut {
		if c.err != nil || c.right || c.late {
			continue
		}
		err := f.eachPart(ctx, c.root, func(p part) error {
			f.places[p.key].group.uses++
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// planChunk notes that a content needs a chunk. One that does not come is in the store.
func (f *fetch) planChunk(c *incoming, p part) error {
	if _, comes := f.places[p.key]; comes {
		return nil
	}
	fresh, err := f.b.claim(p.key)
	if err != nil {
		return err
	}
	if !fresh {
		f.result.Reused += f.catalog.share(p.key)
		c.late = true
		return nil
	}
	t, e, ok := f.catalog.find(p.key)
	switch {
	case !ok || e.Kind != pack.Blob:
		return f.corrupt(c, fmt.Errorf("no pack has its chunk %s", p.key))
	case int64(e.Len) != p.size:
		return f.corrupt(c, fmt.Errorf("its chunk %s has %d bytes, want %d", p.key, e.Len, p.size))
	}
	f.take(t, e)
	return nil
}

// take notes that an entry is to come.
func (f *fetch) take(t *farTable, e pack.Entry) {
	name := groupName{t.Name(), e.Group}
	g := f.arriving[name]
	if g == nil {
		g = newArriving(t, e.Group)
		g.keep = true
		g.number = len(f.groups)
		f.arriving[name] = g
		f.groups = append(f.groups, g)
	}
	g.take = append(g.take, e)
	f.places[e.Key] = place{g, e.At}
}

// foresee adds up what is to come.
func (f *fetch) foresee() {
	bytes := int64(0)
	for _, g := range f.groups {
		bytes += int64(g.Stored)
	}
	f.o.Meter.Total(bytes, 0)
	f.o.Meter.Done(0, f.result.Reused)
	if f.o.DryRun {
		f.result.Bytes += bytes
	}
}

// corrupt says that a content of the remote is not what its name says.
func (f *fetch) corrupt(c *incoming, reason error) error {
	file := rootFile(c.key)
	if t, _, ok := f.catalog.find(c.key); ok {
		file = packFile(t.Name())
	}
	return f.damaged(file, &CorruptError{Digest: c.key, Err: reason})
}
