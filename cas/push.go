package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/kept-dev/kept/cas/remote"
)

// Push makes the remote have what is wanted. When it returns nil, everything that
// is not in Missing was proven to be there.
//
// What of the store is damaged is not pushed: an object that needs it is in
// Missing, and the error says so, after all others were pushed.
func (l *Local) Push(ctx context.Context, to remote.Remote, want []Wanted, o TransferOptions) (*Transferred, error) {
	p := &push{wire: newWire(to, o), l: l, result: &Transferred{}, bad: map[groupName]bool{}}
	err := p.run(ctx, want)
	p.result.Damaged = len(p.spoiled)
	if err != nil {
		return p.result, fmt.Errorf("push: %w", err)
	}
	return p.result, nil
}

// push is one run of Push:
//
//	what has a root, all of whose packs are there, is there      present, here
//	what else is wanted needs keys of the store                  closure.go
//	which of them do packs of the remote have                    push_learn.go
//	the others go into new packs, of nothing but what is wanted  push_plan.go
//	which are read, verified and put                             push_pack.go
//	and then the roots                                           putRoots, here
type push struct {
	*wire
	l      *Local
	result *Transferred
	// roots are those that the remote has of what is wanted, sound and with all their packs.
	roots []*root
	todo  []Wanted // what has none

	// What follows is made anew when something turned out to be damaged in the store.

	*closure
	objects []*pushed // of todo, those that are whole
	far     []*farPack
	bad     map[groupName]bool

	mu sync.Mutex // for what follows, and result, far and needs, while packs are put
	// moved says that packs of the store went to quarantine meanwhile, and what is whole of them
	// to others.
	moved bool
	// damage is what was found wrong with the store.
	damage []error
}

// mostRounds is how often a push begins anew after it found something damaged.
const mostRounds = 20

// pushed is an object that gets a root.
type pushed struct {
	Wanted
	uses []int32
}

func (p *push) run(ctx context.Context, want []Wanted) error {
	release, err := p.l.use(ctx)
	if err != nil {
		return err
	}
	defer release()
	if _, err := p.l.set.Refresh(); err != nil {
		return err
	}
	if err := p.present(ctx, distinct(want)); err != nil {
		return err
	}
	for range mostRounds {
		p.moved = false
		if err := p.pushRest(ctx); err != nil {
			return errors.Join(append(p.damage, err)...)
		}
		if !p.moved {
			return errors.Join(p.damage...)
		}
	}
	return errors.Join(append(p.damage, errors.New("the store keeps changing"))...)
}

// present finds out which objects the remote has.
func (p *push) present(ctx context.Context, want []Wanted) error {
	roots := make([]*root, len(want))
	err := p.each(ctx, len(want), func(ctx context.Context, i int) (err error) {
		roots[i], err = p.root(ctx, want[i].Digest)
		if isBad(err) {
			return nil // it is replaced
		}
		return err
	})
	if err != nil {
		return err
	}
	var packs []packRef
	for _, r := range roots {
		if r != nil {
			packs = append(packs, r.packs...)
		}
	}
	if err := p.prove(ctx, packs); err != nil {
		return err
	}
	var there []Digest
	for i, r := range roots {
		if r == nil || want[i].Folder && !r.of.Folder || !p.hasAll(r) {
			p.todo = append(p.todo, want[i])
			continue
		}
		p.roots = append(p.roots, r)
		there = append(there, want[i].Digest)
	}
	p.known.pushed(there)
	p.result.Present = len(there)
	p.o.Meter.Total(0, int64(len(want)))
	p.o.Meter.Done(int64(len(there)), 0)
	return nil
}

// pushRest pushes what has no root yet.
func (p *push) pushRest(ctx context.Context) error {
	if err := p.walk(ctx); err != nil || len(p.objects) == 0 {
		return err
	}
	if err := p.learn(ctx); err != nil {
		return err
	}
	p.spread()
	drafts, err := p.plan()
	if isGone(err) {
		p.moved = true
		return nil
	}
	if err != nil {
		return err
	}
	bytes, reused := p.foresee(drafts)
	p.o.Meter.Total(bytes, 0)
	p.o.Meter.Done(0, reused)
	if p.result.Bytes == 0 { // else it is what was put before something turned out to be damaged
		p.result.Reused = reused
	}
	if p.o.DryRun {
		p.result.Bytes += bytes
		p.result.Objects += len(p.objects)
		return nil
	}
	if err := p.putPacks(ctx, drafts); err != nil {
		return err
	}
	return p.putRoots(ctx)
}

// walk finds out what is needed, and for what it is not there.
func (p *push) walk(ctx context.Context) error {
	p.closure = newClosure(p.l, p.bad)
	p.objects, p.result.Missing = nil, nil
	for _, w := range p.todo {
		uses, whole, err := p.of(ctx, w)
		if err != nil {
			return err
		}
		if whole {
			p.objects = append(p.objects, &pushed{w, uses})
		} else {
			p.result.Missing = append(p.result.Missing, w.Digest)
		}
	}
	p.damage = append(p.damage, p.corrupt...)
	return nil
}

// foresee adds up the bytes that are to be put, and those that the remote has.
func (p *push) foresee(drafts []*draft) (bytes, reused int64) {
	for _, d := range drafts {
		bytes += d.size
	}
	for _, f := range p.far {
		for _, o := range f.offers {
			if n := &p.needs[o.need]; n.whole && n.on == f.number {
				reused += int64(o.stored)
			}
		}
	}
	return bytes, reused
}

// putRoots puts the roots of all objects whose packs are there. Those that have not got
// all are those that need something which was found to be damaged just now.
func (p *push) putRoots(ctx context.Context) error {
	var ready []*root
	put := map[Digest]bool{}
	for _, o := range p.objects {
		if r := p.rootOf(o); r != nil {
			ready = append(ready, r)
			put[o.Digest] = true
		}
	}
	p.todo = slices.DeleteFunc(p.todo, func(w Wanted) bool { return put[w.Digest] })
	var done []Digest
	err := p.each(ctx, len(ready), func(ctx context.Context, i int) error {
		b := ready[i].marshal()
		if err := p.remote.Put(ctx, rootFile(ready[i].of.Digest), bytes.NewReader(b), int64(len(b))); err != nil {
			return err
		}
		p.o.Meter.Done(1, 0)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.result.Objects++
		done = append(done, ready[i].of.Digest)
		return nil
	})
	p.known.pushed(done)
	return err
}

// rootOf returns the root of an object, or nil if some of what it needs is nowhere.
func (p *push) rootOf(o *pushed) *root {
	r := &root{of: o.Wanted}
	listed := map[int32]bool{}
	for _, i := range o.uses {
		on := p.needs[i].on
		if on == nowhere {
			return nil
		}
		if !listed[on] {
			listed[on] = true
			r.packs = append(r.packs, p.far[on].packRef)
		}
	}
	return r
}
