package cas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kept-dev/kept/cas/pack"
)

const (
	// recentBytes is how much of the groups that came last is at hand, plain: chunks that follow each
	// other in a content lie in neighbouring groups, or in few.
	recentBytes = 16 << 20
	// heldBytes is how much is at hand of older groups of which a chunk is still to be hashed. Where
	// few chunks of a file look different from the others, they share a group from all over it.
	heldBytes = 16 << 20
)

// receive reads all groups, and hashes the contents as they come.
func (f *fetch) receive(ctx context.Context) error {
	r := &receiver{inflow: f.open(ctx, f.groups), groups: f.groups}
	err := r.contents(ctx, f)
	if err == nil {
		err = r.upTo(len(f.groups))
	}
	failed := r.close()
	f.result.Bytes += f.moved.Load()
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return err
	}
	return f.b.failed()
}

// receiver uses groups in their order.
type receiver struct {
	*inflow
	groups []*arriving
	next   int // of groups: the first that was not waited for
	recent shelter
	held   shelter
}

// shelter is groups that are at hand, the oldest first.
type shelter struct {
	groups []*arriving
	bytes  int // plain
}

func (s *shelter) add(g *arriving) {
	s.groups = append(s.groups, g)
	s.bytes += int(g.Plain)
}

// oldest takes the oldest group out.
func (s *shelter) oldest() *arriving {
	g := s.groups[0]
	s.groups = s.groups[1:]
	s.bytes -= int(g.Plain)
	return g
}

// contents hashes the contents that come from the first chunk to the last.
func (r *receiver) contents(ctx context.Context, f *fetch) error {
	for _, c := range f.cut {
		if c.err != nil || c.right || c.late {
			continue
		}
		h := NewHasher()
		var failed error
		err := f.eachPart(ctx, c.root, func(p part) error {
			var b []byte
			b, failed = r.chunk(f.places[p.key], p.size)
			if b == nil {
				return errLate
			}
			h.Write(b)
			return nil
		})
		switch {
		case failed != nil || ctx.Err() != nil:
			return cmp.Or(failed, ctx.Err())
		case errors.Is(err, errLate):
			c.late = true
		case err != nil:
			c.err = err
		case h.Digest() != c.key:
			c.err = f.corrupt(c, fmt.Errorf("its content hashes to %s", h.Digest()))
		default:
			c.right = true
		}
	}
	return nil
}

// errLate ends hashing a content of which something is not at hand.
var errLate = errors.New("not at hand")

// chunk returns the bytes of a chunk, or nil if its group did not come right or was let go of.
func (r *receiver) chunk(at place, size int64) ([]byte, error) {
	if at.group == nil {
		return nil, nil
	}
	if err := r.upTo(at.group.number + 1); err != nil {
		return nil, err
	}
	plain := at.group.plain
	if int64(at.at)+size > int64(len(plain)) {
		return nil, nil
	}
	at.group.uses--
	return plain[at.at:][:size], nil
}

// upTo waits for the groups before end, and lets go of those that came long before and are not
// needed any more.
func (r *receiver) upTo(end int) error {
	for ; r.next < end; r.next++ {
		g := r.groups[r.next]
		if err := r.wait(g); err != nil {
			return err
		}
		r.recent.add(g)
		for r.recent.bytes > recentBytes && len(r.recent.groups) > 1 {
			if old := r.recent.oldest(); old.uses > 0 {
				r.hold(old)
			} else {
				r.free(old)
			}
		}
	}
	return nil
}

// hold keeps a group at hand, and lets go of those that were held long enough.
func (r *receiver) hold(g *arriving) {
	r.held.add(g)
	for n := len(r.held.groups); n > 0; n-- {
		if old := r.held.oldest(); old.uses > 0 {
			r.held.add(old)
		} else {
			r.free(old)
		}
	}
	for r.held.bytes > heldBytes {
		r.free(r.held.oldest())
	}
}

// finish puts the manifests of the contents that are right, and makes all durable. Those that
// could not be hashed while they came are read again.
func (f *fetch) finish(ctx context.Context) error {
	f.disclaim()
	settled := false
	for _, c := range f.cut {
		if c.err != nil || c.right {
			continue
		}
		c.err = f.lost(ctx, c)
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.err != nil {
			continue
		}
		if !settled {
			if err := f.settle(ctx); err != nil {
				return err
			}
			settled = true
		}
		if err := f.readBack(ctx, c); err != nil {
			return err
		}
	}
	for _, d := range f.blobs {
		if at, comes := f.places[d]; comes {
			f.contents[d].err = at.group.err
		}
	}
	return f.commitManifests(ctx)
}

// settle makes what has come readable.
func (f *fetch) settle(ctx context.Context) error {
	if err := f.b.settle(ctx); err != nil {
		return err
	}
	return f.b.shelf.close(ctx)
}

// lost returns what is wrong with a group that a content needs.
func (f *fetch) lost(ctx context.Context, c *incoming) error {
	return f.eachPart(ctx, c.root, func(p part) error {
		if at, comes := f.places[p.key]; comes {
			return at.group.err
		}
		return nil
	})
}

// readBack hashes a content all of whose chunks are in the store.
func (f *fetch) readBack(ctx context.Context, c *incoming) error {
	r := f.l.openParts(ctx, c.key, c.root.size, func(ctx context.Context, fn func(part) error) error {
		return f.l.walkNode(ctx, c.root, fn)
	})
	_, err := io.Copy(io.Discard, r)
	r.Close()
	var missing *MissingError
	var corrupt *CorruptError
	switch {
	case err == nil:
		c.right = true
	case errors.As(err, &corrupt):
		c.err = f.corrupt(c, corrupt.Err)
	case errors.As(err, &missing):
		c.err = err
	default:
		return err
	}
	return nil
}

// commitManifests puts the manifests of what is right.
func (f *fetch) commitManifests(ctx context.Context) error {
	for _, c := range f.cut {
		if !c.right {
			continue
		}
		fresh, err := f.b.claim(c.key)
		if err != nil {
			return err
		}
		if fresh {
			e := pack.Entry{Key: c.key, Kind: pack.Manifest, Size: c.entry.Size, Len: uint32(len(c.bytes))}
			f.b.manifests = append(f.b.manifests, content{e, c.bytes})
		}
	}
	return f.b.Commit(ctx)
}

// disclaim takes back that the batch has what did not come.
func (f *fetch) disclaim() {
	for d, at := range f.places {
		if at.group.err != nil || !at.group.came() {
			delete(f.b.claimed, d)
		}
	}
}

// came reports whether the group is there.
func (g *arriving) came() bool {
	select {
	case <-g.ready:
		return true
	default:
		return false
	}
}

// keepWhole keeps what has come before a fetch ended early. That it can't is no other error.
func (f *fetch) keepWhole(ctx context.Context) {
	f.disclaim()
	_ = f.commitManifests(context.WithoutCancel(ctx))
}
