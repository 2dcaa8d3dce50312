package cas

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/kept-dev/kept/cas/chunk"
	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
	"github.com/kept-dev/kept/internal/reuse"
)

const (
	// segmentRead is how much of a stream is read and cut at once: some groups.
	segmentRead = 1 << 20
	// segmentRest is the room before it, for what of the segment before could not be cut
	// without more.
	segmentRest = chunk.Max
	// segmentsAhead is how many wait for who hashes and for who cuts.
	segmentsAhead = 2
)

var segments = reuse.Stack[[]byte]{New: func() []byte { return make([]byte, segmentRest+segmentRead) }}

// segment is a piece of a content. It is hashed as a part of the whole, and cut into chunks
// that are kept, while what is left behind them goes to the next segment; who is done last frees it.
type segment struct {
	buf   []byte
	n     int   // bytes that were read, after room for what is left of the segment before
	err   error // of reading; io.EOF says that it is the last
	users atomic.Int32

	start int             // of the first chunk
	cuts  []cut           // the chunks
	text  *codec.Nearness // of the stream
	parts []part          // the chunks, when done is closed
	done  chan struct{}   // the chunks are claimed, and written or gathered
}

func (s *segment) release() {
	if s.users.Add(-1) == 0 {
		segments.Put(s.buf)
		s.buf = nil
	}
}

// cut is the end of a chunk.
type cut struct {
	end    int
	digest Digest // of the chunk, or zero if nobody knows it yet
}

// stream is the state of putting one large content.
type stream struct {
	b        *batch
	whole    *Hasher
	size     int64
	toCut    chan *segment
	toHash   chan *segment
	waiting  []*segment // not in the manifest yet, in order
	text     codec.Nearness
	guide    *guide
	manifest manifest
}

// putStream keeps a content of which buf, a segment's, has the first n bytes, and r the rest. It
// returns buf to the others.
func (b *batch) putStream(ctx context.Context, buf []byte, n int, r io.Reader) (Digest, int64, error) {
	s := &stream{b: b, whole: NewHasher(), toCut: make(chan *segment, segmentsAhead), toHash: make(chan *segment, segmentsAhead)}
	s.guide = &guide{}
	if v, ok := r.(*version); ok {
		s.guide = b.guideBy(ctx, v.of)
	}
	s.manifest.most = b.l.nodeParts
	s.manifest.keep = func(node []byte) (Digest, error) { return b.putBlob(ctx, node) }
	reading, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { s.read(reading, buf, n, r) })
	work.Go(s.hash)
	err := s.cut(ctx)
	stop()
	for seg := range s.toCut {
		seg.release()
	}
	work.Wait() // r is the caller's again
	if drained := s.drain(0); err == nil {
		err = drained
	}
	if err != nil {
		return Digest{}, 0, err
	}
	d := s.whole.Digest()
	return d, s.size, b.putManifest(d, s)
}

// read reads segments, ahead of what is hashed and cut.
func (s *stream) read(ctx context.Context, buf []byte, n int, r io.Reader) {
	defer close(s.toCut)
	defer close(s.toHash)
	for {
		m, err := readFull(ctx, r, buf[segmentRest+n:])
		seg := &segment{buf: buf, n: n + m, err: err, text: &s.text, done: make(chan struct{})}
		seg.users.Store(2)
		s.size += int64(seg.n)
		s.toHash <- seg
		select {
		case s.toCut <- seg:
		case <-ctx.Done():
			seg.release()
			return
		}
		if err != nil {
			return
		}
		buf, n = segments.Get(), 0
	}
}

// hash hashes the content as a whole, which can't be done in parallel.
func (s *stream) hash() {
	for seg := range s.toHash {
		s.whole.Write(seg.buf[segmentRest : segmentRest+seg.n])
		seg.release()
	}
}

// cut cuts every segment, after what is left of the one before, and hands it on.
func (s *stream) cut(ctx context.Context) error {
	last := new(segment) // none, which has nothing to free
	var rest []byte      // of last
	defer func() { last.release() }()
	for seg := range s.toCut {
		seg.start = segmentRest - len(rest)
		copy(seg.buf[seg.start:], rest)
		last.release()
		last = seg
		end := seg.err == io.EOF //nolint:errorlint // a wrapped io.EOF is a failure and not the end
		if seg.err != nil && !end {
			return seg.err
		}
		at, stop := seg.start, segmentRest+seg.n
		for at < stop && (end || stop-at >= chunk.Max) {
			n, d := s.guide.cut(seg.buf[at:stop])
			at += n
			seg.cuts = append(seg.cuts, cut{at, d})
		}
		rest = seg.buf[at:stop]
		if len(seg.cuts) > 0 { // the content may have ended with the segment before
			if err := s.send(ctx, seg); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
	return ctx.Err()
}

// send has a segment stored in the background.
func (s *stream) send(ctx context.Context, seg *segment) error {
	if err := s.b.slot(ctx); err != nil {
		return err
	}
	seg.users.Add(1)
	s.waiting = append(s.waiting, seg)
	s.b.background(func() error {
		defer seg.release()
		defer close(seg.done)
		return s.b.putSegment(seg)
	})
	if err := s.drain(2 * cap(s.b.slots)); err != nil {
		return err
	}
	return s.b.start(ctx)
}

// drain moves the parts of finished segments into the manifest, in order, until
// no more than most segments wait.
func (s *stream) drain(most int) error {
	for len(s.waiting) > most {
		seg := s.waiting[0]
		s.waiting = s.waiting[1:]
		<-seg.done
		for _, p := range seg.parts {
			if err := s.manifest.add(0, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// putManifest notes the manifest of d, to be written at Commit.
func (b *batch) putManifest(d Digest, s *stream) error {
	root, err := s.manifest.root()
	if err != nil {
		return err
	}
	if fresh, err := b.claim(d); err != nil || !fresh {
		return err
	}
	e := pack.Entry{Key: d, Kind: pack.Manifest, Size: s.size, Len: uint32(len(root))}
	b.mu.Lock()
	b.manifests = append(b.manifests, content{e, root})
	b.mu.Unlock()
	return nil
}

// run is chunks of one class that follow each other in a segment.
type run struct {
	class      codec.Class
	start, end int
	entries    []pack.Entry
}

// putSegment notes the chunks of a segment and keeps those that are new. The
// class is looked for chunk by chunk: a file of weights may have arrays of
// several types, and a header of text.
func (b *batch) putSegment(seg *segment) error {
	var r run
	start := seg.start
	for _, c := range seg.cuts {
		content, d, end := seg.buf[start:c.end], c.digest, c.end
		if d.IsZero() {
			d = Sum(content)
		}
		seg.parts = append(seg.parts, part{d, int64(len(content))})
		fresh, err := b.claim(d)
		if err != nil {
			return err
		}
		if fresh {
			class := codec.Probe(content)
			if r.end != start || r.class != class || r.end-r.start >= fullSize(class) {
				if err := b.putRun(seg, r); err != nil {
					return err
				}
				r = run{class: class, start: start}
			}
			r.end = end
			r.entries = append(r.entries, blobEntry(d, start-r.start, len(content)))
		}
		start = end
	}
	return b.putRun(seg, r)
}

// putRun keeps a run. One that is as good as a group is encoded where it lies, soon after it was
// hashed: it is in the processor's cache.
func (b *batch) putRun(seg *segment, r run) error {
	if len(r.entries) == 0 {
		return nil
	}
	content := seg.buf[r.start:r.end]
	if len(content) < fullSize(r.class)/2 {
		if full := b.groups.add(r.class, content, r.entries); full != nil {
			return b.encodeGroup(full)
		}
		return nil
	}
	class := r.class
	if class == codec.Text {
		class = seg.text.Class(content)
	}
	return b.encode(class, content, r.entries)
}

// readFull fills b and returns io.EOF if r ends before b is full. Unlike
// io.ReadFull it keeps a reader's own io.ErrUnexpectedEOF, by which a broken
// connection says that this was not the end, apart from the end.
func readFull(ctx context.Context, r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	if n == len(b) {
		err = nil // what else there is to say the next Read says again
	}
	return n, err
}
