package cas

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
)

const (
	// readSize is how many bytes one request gets, and readPlain what they may decode to.
	readSize  = 8 << 20
	readPlain = 16 << 20
	// readGap is how many bytes are read for nothing rather than that one request becomes two.
	readGap = 100 << 10
	// aheadStored, aheadPlain and aheadGroups are how far to look for neighbours.
	aheadStored = 10 << 20
	aheadPlain  = 20 << 20
	aheadGroups = 512
	// inFlight bounds the bytes of groups, stored and plain, that were asked for and not used up, but for
	// two of the largest: there is room for what lies ahead of any group, for one request and for what is
	// kept at hand. Else who waits for a group could wait for one that waits for room.
	inFlight = aheadStored + aheadPlain + readSize + readPlain + recentBytes + heldBytes
)

// arriving is a group that is read from the remote.
type arriving struct {
	pack.Group
	table  *farTable
	n      uint32
	number int // in the order of need
	asked  bool
	// take are the entries that are wanted of it; with keep set they go to the store.
	take []pack.Entry
	keep bool
	// uses is how many chunks of it are still to be hashed.
	uses int

	ready chan struct{} // closed when plain or err is there
	plain []byte
	err   error
}

func newArriving(t *farTable, n uint32) *arriving {
	return &arriving{Group: t.Groups()[n], table: t, n: n, ready: make(chan struct{})}
}

func (g *arriving) end() int64   { return g.Offset + int64(g.Stored) }
func (g *arriving) size() int64  { return int64(g.Stored) + int64(g.Plain) }
func (g *arriving) file() string { return packFile(g.table.Name()) }

// inflow reads groups of the remote ahead of the one who uses them, which is done in their order.
type inflow struct {
	f    *fetch
	ctx  context.Context
	work *errgroup.Group
	room *semaphore.Weighted
}

// open begins to read groups. Each has to be waited for and freed, in this order, and then the
// inflow closed.
func (f *fetch) open(ctx context.Context, groups []*arriving) *inflow {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(f.o.Jobs + 1) // and the one that gives out the work
	largest := int64(0)
	for _, g := range groups {
		largest = max(largest, g.size())
	}
	s := &inflow{f: f, ctx: ctx, work: work, room: semaphore.NewWeighted(inFlight + 2*largest)}
	work.Go(func() error { return s.begin(groups) })
	return s
}

// wait returns when the group is ready, or an error when it never will be.
func (s *inflow) wait(g *arriving) error {
	select {
	case <-g.ready:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// free lets go of the bytes of a group.
func (s *inflow) free(g *arriving) {
	plainBuffers.put(g.plain)
	g.plain = nil
	s.room.Release(int64(g.Plain))
}

// close returns the first error of reading, other than of single groups.
func (s *inflow) close() error { return s.work.Wait() }

// begin gives out runs of groups to be read, each as soon as there is room for it.
func (s *inflow) begin(groups []*arriving) error {
	var ahead []*arriving // from the first that nobody reads yet
	stored, plain := 0, 0
	for {
		for ; len(ahead) > 0 && ahead[0].asked; ahead = ahead[1:] {
			stored -= int(ahead[0].Stored)
			plain -= int(ahead[0].Plain)
		}
		for len(groups) > 0 && len(ahead) < aheadGroups && (len(ahead) == 0 || stored < aheadStored && plain < aheadPlain) {
			stored += int(groups[0].Stored)
			plain += int(groups[0].Plain)
			ahead, groups = append(ahead, groups[0]), groups[1:]
		}
		if len(ahead) == 0 {
			return nil
		}
		run := nextRun(ahead)
		size := int64(0)
		for _, g := range run {
			size += g.size()
		}
		if err := s.room.Acquire(s.ctx, size); err != nil {
			return err
		}
		s.work.Go(func() error { return s.read(run) })
	}
}

// nextRun returns the first group of those ahead and its neighbours in the file, as many as one
// request gets. Their order in the file is about that in which they are needed: a writer
// encodes several at once.
func nextRun(ahead []*arriving) []*arriving {
	var beside []*arriving
	for _, g := range ahead {
		if !g.asked && g.table == ahead[0].table {
			beside = append(beside, g)
		}
	}
	// One without bytes, such as an empty file's, lies where the next one does, and before it.
	slices.SortFunc(beside, func(a, b *arriving) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Stored, b.Stored))
	})
	low := slices.Index(beside, ahead[0])
	high := low + 1
	plain := int(ahead[0].Plain)
	fits := func(g *arriving, low, high int) bool {
		return beside[high].end()-beside[low].Offset <= readSize && plain+int(g.Plain) <= readPlain
	}
	for ; low > 0 && beside[low].Offset-beside[low-1].end() <= readGap && fits(beside[low-1], low-1, high-1); low-- {
		plain += int(beside[low-1].Plain)
	}
	for ; high < len(beside) && beside[high].Offset-beside[high-1].end() <= readGap && fits(beside[high], low, high); high++ {
		plain += int(beside[high].Plain)
	}
	for _, g := range beside[low:high] {
		g.asked = true
	}
	return beside[low:high]
}

// read reads a run, and what of it did not come right a second time.
func (s *inflow) read(run []*arriving) error {
	bad, err := s.readOnce(run)
	if len(bad) > 0 && err == nil {
		bad, err = s.readOnce(bad)
	}
	if err != nil {
		return err
	}
	for _, g := range bad {
		s.ready(g)
	}
	return nil
}

// ready hands a group on.
func (s *inflow) ready(g *arriving) {
	s.room.Release(int64(g.Stored))
	close(g.ready)
}

// readOnce reads a run by one request, and returns those that did not come right, with their
// errors in them. Other errors are those of the remote or of the store.
func (s *inflow) readOnce(run []*arriving) (bad []*arriving, err error) {
	at := run[0].Offset
	body, err := s.f.remote.Get(s.ctx, run[0].file(), at, run[len(run)-1].end()-at)
	if err != nil {
		body = nil
	}
	shut := func() {
		if body != nil {
			body.Close()
			body = nil
		}
	}
	defer shut()
	stored := storedBuffers.get()
	defer func() { storedBuffers.put(stored) }()
	for i, g := range run {
		if err == nil {
			_, err = io.CopyN(io.Discard, body, g.Offset-at)
		}
		if err == nil {
			stored = slices.Grow(stored[:0], int(g.Stored))[:g.Stored]
			_, err = io.ReadFull(body, stored)
			at = g.end()
		}
		if err != nil {
			shut() // a remote that allows few requests at once waits for it
			err = s.f.why(s.ctx, refOf(g.table.Table), s.f.short(g.file(), err))
			if isBad(err) || s.ctx.Err() == nil && g.err == nil {
				for _, g := range run[i:] {
					g.err = err
				}
				return append(bad, run[i:]...), nil
			}
			return bad, err
		}
		s.f.o.Meter.Moved(int64(g.Stored))
		s.f.moved.Add(int64(g.Stored))
		switch wrong, err := s.f.accept(g, stored); {
		case err != nil:
			return bad, err
		case wrong != nil:
			g.err = s.f.damaged(g.file(), &pack.DamageError{Pack: g.table.Name(), Group: int64(g.n), Err: wrong})
			bad = append(bad, g)
		default:
			g.err = nil
			s.ready(g)
		}
	}
	return bad, nil
}

// accept verifies a group and keeps what is wanted of it. It says what is wrong with it, or why
// it could not be kept.
func (f *fetch) accept(g *arriving, stored []byte) (wrong, err error) {
	if err := g.Check(stored); err != nil {
		return err, nil
	}
	plain := plainOf(plainBuffers.get(), g.Group)
	if err := codec.Decode(codec.Method(g.Method), stored, plain); err != nil {
		plainBuffers.put(plain)
		return err, nil
	}
	for _, e := range g.take {
		if !isWhole(e, plain, true) {
			plainBuffers.put(plain)
			return fmt.Errorf("what is stored as %s is something else", Digest(e.Key)), nil
		}
	}
	g.plain = plain
	switch {
	case !g.keep:
		return nil, nil
	case len(g.take) == int(g.table.entries[g.n]):
		err = f.b.shelf.append(codec.Method(g.Method), len(plain), stored, g.take)
	default:
		err = f.b.groups.keep(g.take, plain, f.b.shelf.append)
	}
	if err != nil {
		err = f.b.fail(err)
	}
	return nil, err
}
