package cas

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/pack"
)

// putPacks puts all drafts. While some are on their way the next is read. One of which something
// is damaged, or has gone with what is, is left out.
func (p *push) putPacks(ctx context.Context, drafts []*draft) error {
	g, working := errgroup.WithContext(ctx)
	g.SetLimit(p.o.Jobs)
	for _, d := range drafts {
		if working.Err() != nil {
			break
		}
		s, err := p.seal(working, d)
		if p.movedBy(err) {
			continue
		}
		if err != nil {
			g.Go(func() error { return err })
			break
		}
		g.Go(func() error {
			defer s.close()
			return p.putPack(working, s)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// movedBy reports whether an error of reading says that packs of the store went to quarantine.
func (p *push) movedBy(err error) bool {
	if damage(err) == nil && !isGone(err) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved = true
	return true
}

// putPack puts one pack, unless the remote has it, and notes that it has.
func (p *push) putPack(ctx context.Context, s *sealed) error {
	ref := refOf(s.Table)
	file := packFile(ref.name)
	size, err := p.remote.Stat(ctx, file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	progress := &sending{meter: p.o.Meter, most: ref.size}
	put := int64(0)
	if err != nil || size != ref.size || p.spoiled[ref.name] {
		s.progress = progress
		if err := p.remote.Put(ctx, file, s, ref.size); err != nil {
			if failed := s.failed.Load(); failed != nil && p.movedBy(*failed) {
				return nil
			}
			return err
		}
		put = ref.size
	}
	progress.upTo(ref.size)
	p.known.learn(s.Table)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Bytes += put
	p.proven[ref.name] = ref.size
	f := &farPack{packRef: ref, number: int32(len(p.far))}
	p.far = append(p.far, f)
	for i := range s.Len() {
		if n, ok := p.index[s.Entry(i).Key]; ok {
			p.needs[n].on = f.number
		}
	}
	return nil
}

// sealed is a pack that is ready to be put. It is in no file: its bytes are read from those that
// have them.
type sealed struct {
	*pack.Outline
	parts    []stretch
	temp     disk.Temp // of groups that were encoded anew; nil is none
	progress *sending
	failed   atomic.Pointer[error] // the first of reading
}

// stretch is bytes of a sealed pack that lie side by side somewhere else.
type stretch struct {
	start, end int64 // in the pack
	from       io.ReaderAt
	at         int64 // in from
}

func (s *sealed) close() {
	if s.temp != nil {
		s.temp.Discard()
	}
}

// ReadAt implements io.ReaderAt.
func (s *sealed) ReadAt(b []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, fs.ErrInvalid
	}
	i, _ := slices.BinarySearchFunc(s.parts, offset, func(p stretch, offset int64) int {
		return cmp.Compare(p.end, offset+1)
	})
	for ; n < len(b) && i < len(s.parts); i++ {
		part := s.parts[i]
		inside := offset + int64(n) - part.start
		m := min(int64(len(b)-n), part.end-part.start-inside)
		if _, err := part.from.ReadAt(b[n:n+int(m)], part.at+inside); err != nil {
			s.failed.CompareAndSwap(nil, &err)
			return n, err
		}
		n += int(m)
	}
	if s.progress != nil {
		s.progress.upTo(offset + int64(n))
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// packing is a pack that is being put together.
type packing struct {
	p       *push
	groups  []pack.Group
	entries []pack.Entry
	parts   []stretch
	end     int64
	temp    disk.Temp
	written int64 // bytes of temp
}

// seal reads and verifies all that goes into a pack. Groups that are taken as they are stored come
// first, then what of others is encoded anew.
func (p *push) seal(ctx context.Context, d *draft) (s *sealed, err error) {
	k := &packing{p: p}
	defer func() {
		if err != nil && k.temp != nil {
			k.temp.Discard()
		}
	}()
	if err := p.verify(ctx, d.pieces); err != nil {
		return nil, err
	}
	for i := range d.pieces {
		if piece := &d.pieces[i]; piece.whole {
			k.add(piece.group, piece.take, piece.pack, piece.group.Offset)
		}
	}
	if err := k.addRest(d.pieces); err != nil {
		return nil, err
	}
	o, err := pack.NewOutline(k.groups, k.entries)
	if err != nil {
		return nil, err
	}
	return &sealed{Outline: o, parts: k.frame(o), temp: k.temp}, nil
}

// verify reads groups that are taken as they are, several at once, and compares all that is in them.
func (p *push) verify(ctx context.Context, pieces []piece) error {
	g, working := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i := range pieces {
		piece := &pieces[i]
		if !piece.whole || working.Err() != nil {
			continue
		}
		g.Go(func() error { return p.read(piece, nil) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// read reads a piece, and takes the pack out of use if it is damaged.
func (p *push) read(piece *piece, use func(g pack.Group, stored, plain []byte) error) error {
	err := readEntries(piece.pack, piece.n, piece.take, use)
	if reason := damage(err); reason != nil {
		name := piece.pack.Name()
		corrupt := p.l.quarantine(piece.take[0].Key, name, reason)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.bad[groupName{name, piece.n}] = true
		p.damage = append(p.damage, corrupt)
	}
	return err
}

// add appends a group whose stored bytes lie at an offset of from.
func (k *packing) add(g pack.Group, entries []pack.Entry, from io.ReaderAt, at int64) {
	number := uint32(len(k.groups))
	k.groups = append(k.groups, g)
	for _, e := range entries {
		e.Group = number
		k.entries = append(k.entries, e)
	}
	size := int64(g.Stored)
	if last := len(k.parts) - 1; last >= 0 && k.parts[last].from == from && k.parts[last].at+k.parts[last].end-k.parts[last].start == at {
		k.parts[last].end += size
	} else if size > 0 {
		k.parts = append(k.parts, stretch{k.end, k.end + size, from, at})
	}
	k.end += size
}

// addRest encodes anew what is taken of groups that are not whole.
func (k *packing) addRest(pieces []piece) error {
	var open gathering
	for i := range pieces {
		piece := &pieces[i]
		if piece.whole {
			continue
		}
		err := k.p.read(piece, func(_ pack.Group, _, plain []byte) error { return open.keep(piece.take, plain, k.write) })
		if err != nil {
			return err
		}
	}
	for _, g := range open.rest() {
		if err := g.encode(k.write); err != nil {
			return err
		}
	}
	return nil
}

// write appends a group that was encoded anew, by way of a temporary file.
func (k *packing) write(method codec.Method, plain int, stored []byte, entries []pack.Entry) (err error) {
	if k.temp == nil {
		if k.temp, err = k.p.l.temp(); err != nil {
			return err
		}
	}
	if _, err := k.temp.WriteAt(stored, k.written); err != nil {
		return err
	}
	k.add(pack.NewGroup(uint8(method), plain, stored), entries, k.temp, k.written)
	k.written += int64(len(stored))
	return nil
}

// frame returns the parts with those that come before and after the groups.
func (k *packing) frame(o *pack.Outline) []stretch {
	head := int64(len(o.Head))
	parts := make([]stretch, 0, len(k.parts)+2)
	parts = append(parts, stretch{0, head, bytesAt(o.Head), 0})
	for _, p := range k.parts {
		p.start, p.end = p.start+head, p.end+head
		parts = append(parts, p)
	}
	end := head + k.end
	return append(parts, stretch{end, end + int64(len(o.Tail)), bytesAt(o.Tail), 0})
}

// bytesAt is bytes.Reader without a place.
type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, offset int64) (int, error) {
	if n := copy(p, b[offset:]); n < len(p) {
		return n, io.EOF
	}
	return len(p), nil
}

// sending tells the meter of bytes that were read to be put, each once.
type sending struct {
	meter Meter
	most  int64
	sent  atomic.Int64
}

// upTo notes that the bytes before end were read.
func (m *sending) upTo(end int64) {
	for {
		before := m.sent.Load()
		if end = min(end, m.most); end <= before {
			return
		}
		if m.sent.CompareAndSwap(before, end) {
			m.meter.Moved(end - before)
			return
		}
	}
}
