package cas

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/kept-dev/kept/cas/pack"
	"github.com/kept-dev/kept/cas/remote"
)

// Fetch makes the store have what is wanted. When it returns nil, everything that
// is not in Missing is in the store, durable and verified.
//
// What of the remote is damaged keeps nothing else from coming: the error, which is told at the
// end, says which objects need it. When ctx ends or the remote fails, what came whole stays.
func (l *Local) Fetch(ctx context.Context, from remote.Remote, want []Wanted, o TransferOptions) (*Transferred, error) {
	f := &fetch{
		wire: newWire(from, o), l: l, b: l.Batch().(*batch), result: &Transferred{},
		contents: map[Digest]*incoming{}, nodes: map[Digest]*node{},
		arriving: map[groupName]*arriving{}, places: map[Digest]place{},
	}
	defer f.b.Close()
	f.b.shelf.soon = true // by the restore
	if err := f.run(ctx, distinct(want)); err != nil {
		return f.result, fmt.Errorf("fetch: %w", err)
	}
	return f.result, nil
}

// fetch is one run of Fetch:
//
//	what the store has whole is left out                     present, here
//	of the rest the roots and the tables of their packs      roots, tables, here
//	manifests, nodes and trees, which say what is needed     fetch_walk.go
//	groups that have what is needed, in the order of need    fetch_plan.go
//	are read, verified and kept as they come                 fetch_read.go
//	and hashed as the contents that they make up; then the
//	manifests of what is right                               fetch_content.go
type fetch struct {
	*wire
	l       *Local
	b       *batch
	result  *Transferred
	objects []*arrival
	catalog catalog
	// unread are packs whose tables the remote does not have, or not right.
	unread map[pack.Name]error

	// What the walk found:

	contents map[Digest]*incoming
	cut      []*incoming // those with manifests, in order
	blobs    []Digest
	nodes    map[Digest]*node // inner nodes
	asks     []ask            // what is to be read to go on with the walk

	// What the plan says:

	groups   []*arriving // in the order in which they are needed
	arriving map[groupName]*arriving
	places   map[Digest]place // of the chunks that come

	moved atomic.Int64 // bytes that have come
}

// arrival is a wanted object that the store does not have.
type arrival struct {
	Wanted
	packs    []packRef // where it is, says its root
	contents []*incoming
	err      error
}

func (f *fetch) run(ctx context.Context, want []Wanted) error {
	if err := f.b.start(ctx); err != nil {
		return err
	}
	rest, err := f.present(ctx, want)
	if err != nil || len(rest) == 0 {
		return errors.Join(err, f.commit(ctx))
	}
	if err := f.findRoots(ctx, rest); err != nil {
		return err
	}
	if err := f.readTables(ctx); err != nil {
		return err
	}
	if err := f.walk(ctx); err != nil {
		return err
	}
	if err := f.plan(ctx); err != nil {
		return err
	}
	if f.o.DryRun {
		return f.end()
	}
	if err := f.receive(ctx); err != nil {
		f.keepWhole(ctx)
		return err
	}
	if err := f.finish(ctx); err != nil {
		return err
	}
	return f.end()
}

// present returns what the store does not have whole. What it has counts as used from now on.
func (f *fetch) present(ctx context.Context, want []Wanted) (rest []Wanted, err error) {
	c := newClosure(f.l, nil)
	for _, w := range want {
		uses, whole, err := c.of(ctx, w)
		if err != nil {
			return nil, err
		}
		if !whole {
			rest = append(rest, w)
			continue
		}
		f.result.Present++
		for _, i := range uses {
			f.b.use(c.packs[c.needs[i].pack])
		}
	}
	f.o.Meter.Total(0, int64(len(want)))
	f.o.Meter.Done(int64(f.result.Present), 0)
	return rest, nil
}

// commit makes what was there already count as used.
func (f *fetch) commit(ctx context.Context) error {
	if f.o.DryRun {
		return nil
	}
	return f.b.Commit(ctx)
}

// findRoots reads the roots of what is to come.
func (f *fetch) findRoots(ctx context.Context, want []Wanted) error {
	roots := make([]*root, len(want))
	damaged := make([]error, len(want))
	err := f.each(ctx, len(want), func(ctx context.Context, i int) (err error) {
		for range 2 {
			roots[i], err = f.root(ctx, want[i].Digest)
			if !isBad(err) || isGone(err) {
				break
			}
		}
		switch {
		case isGone(err):
			return nil
		case isBad(err):
			damaged[i] = err
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	var there []Digest
	for i, w := range want {
		switch r := roots[i]; {
		case damaged[i] != nil:
			f.objects = append(f.objects, &arrival{Wanted: w, err: damaged[i]})
		case r == nil || w.Folder && !r.of.Folder:
			f.result.Missing = append(f.result.Missing, w.Digest)
		default:
			f.objects = append(f.objects, &arrival{Wanted: w, packs: r.packs})
			there = append(there, w.Digest)
		}
	}
	f.known.pushed(there)
	return nil
}

// isBad reports whether an error says that what the remote has is not what it should be: reading it
// again may help once, and what does not need it can go on.
func isBad(err error) bool {
	var corrupt *CorruptError
	return errors.Is(err, errRoot) || errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist) ||
		errors.Is(err, remote.ErrShort) || errors.As(err, &corrupt)
}

// readTables reads the tables of all packs that the roots list.
func (f *fetch) readTables(ctx context.Context) error {
	var packs []packRef
	seen := map[packRef]bool{}
	for _, o := range f.objects {
		for _, p := range o.packs {
			if !seen[p] {
				seen[p] = true
				packs = append(packs, p)
			}
		}
	}
	tables := make([]*pack.Table, len(packs))
	failed := make([]error, len(packs))
	err := f.each(ctx, len(packs), func(ctx context.Context, i int) (err error) {
		for range 2 {
			if tables[i], err = f.table(ctx, packs[i]); !isBad(err) {
				return err
			}
		}
		failed[i] = err
		return nil
	})
	if err != nil {
		return err
	}
	f.unread = map[pack.Name]error{}
	added := map[pack.Name]bool{}
	for i, p := range packs {
		switch {
		case failed[i] != nil:
			f.unread[p.name] = failed[i]
		case !added[p.name]:
			added[p.name] = true
			f.catalog.add(tables[i])
		}
	}
	f.catalog.settle()
	return nil
}

// end counts what has come, and returns what is wrong with the rest.
func (f *fetch) end() error {
	var failed []error
	for _, o := range f.objects {
		for _, c := range o.contents {
			if o.err == nil && c.err != nil {
				o.err = c.err
			}
		}
		if o.err == nil {
			f.result.Objects++
			continue
		}
		failed = append(failed, fmt.Errorf("object %s: %w", o.Digest, o.err))
	}
	f.o.Meter.Done(int64(f.result.Objects), 0)
	return errors.Join(failed...)
}
