package cas

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/kept-dev/kept/cas/chunk"
	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
)

// segmentSize is how much of a stream is read and cut at once: some groups, and
// the rest that can't be cut before more is read.
const segmentSize = 1<<20 + chunk.Max

var segments = sync.Pool{New: func() any { return new([segmentSize]byte) }}

// segment is a piece of a content, cut into chunks. It is hashed as a part of
// the whole and, at the same time, chunk by chunk; who is done last frees it.
type segment struct {
	buf   *[segmentSize]byte
	cuts  []int // ends of the chunks
	users atomic.Int32
	text  *codec.Nearness // of the stream
	parts []part          // the chunks, when done is closed
	done  chan struct{}   // the chunks are claimed, and written or gathered
}

func (s *segment) bytes() []byte { return s.buf[:s.cuts[len(s.cuts)-1]] }

func (s *segment) release() {
	if s.users.Add(-1) == 0 {
		segments.Put(s.buf)
		s.buf = nil
	}
}

// stream is the state of putting one large content.
type stream struct {
	b        *batch
	whole    *Hasher
	size     int64
	toHash   chan *segment
	hashed   chan struct{}
	waiting  []*segment // not in the manifest yet, in order
	text     codec.Nearness
	manifest manifest
}

// putStream keeps a content of which buf has the first n bytes. It returns buf
// to the pool.
func (b *batch) putStream(ctx context.Context, buf *[segmentSize]byte, n int, r io.Reader) (Digest, int64, error) {
	s := &stream{b: b, whole: NewHasher(), toHash: make(chan *segment, cap(b.slots)), hashed: make(chan struct{})}
	s.manifest.most = b.l.nodeParts
	s.manifest.keep = func(node []byte) (Digest, error) { return b.putBlob(ctx, node) }
	go s.hashWhole()
	err := s.cut(ctx, buf, n, r)
	close(s.toHash)
	<-s.hashed
	if drained := s.drain(0); err == nil {
		err = drained
	}
	if err != nil {
		return Digest{}, 0, err
	}
	d := s.whole.Digest()
	return d, s.size, b.putManifest(d, s)
}

// cut reads the stream segment by segment and hands each on.
func (s *stream) cut(ctx context.Context, buf *[segmentSize]byte, n int, r io.Reader) error {
	for end := false; !end; {
		m, err := readFull(ctx, r, buf[n:])
		n += m
		end = err == io.EOF //nolint:errorlint // a wrapped io.EOF is a failure and not the end
		if err != nil && !end {
			segments.Put(buf)
			return err
		}
		seg := &segment{buf: buf, text: &s.text, done: make(chan struct{})}
		at := 0
		for at < n && (end || n-at >= chunk.Max) {
			at += chunk.Next(buf[at:n])
			seg.cuts = append(seg.cuts, at)
		}
		if at == 0 {
			segments.Put(buf) // the content ended with the segment before
			return nil
		}
		rest := segments.Get().(*[segmentSize]byte)
		n = copy(rest[:], buf[at:n])
		buf = rest
		if err := s.send(ctx, seg); err != nil {
			segments.Put(buf)
			return err
		}
	}
	segments.Put(buf)
	return nil
}

// send has a segment hashed and stored in the background.
func (s *stream) send(ctx context.Context, seg *segment) error {
	if err := s.b.slot(ctx); err != nil {
		segments.Put(seg.buf)
		return err
	}
	seg.users.Store(2)
	s.size += int64(len(seg.bytes()))
	s.waiting = append(s.waiting, seg)
	s.toHash <- seg
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

// hashWhole hashes the content as a whole, which can't be done in parallel.
func (s *stream) hashWhole() {
	defer close(s.hashed)
	for seg := range s.toHash {
		s.whole.Write(seg.bytes())
		seg.release()
	}
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

// putSegment keeps the chunks of a segment that are new. A run that is as good
// as a group is encoded where it lies.
func (b *batch) putSegment(seg *segment) error {
	runs, err := b.newRuns(seg)
	if err != nil {
		return err
	}
	for _, r := range runs {
		content := seg.buf[r.start:r.end]
		if len(content) >= fullSize(r.class)/2 {
			class := r.class
			if class == codec.Text {
				class = seg.text.Class(content)
			}
			if err := b.encode(class, [][]byte{content}, r.entries); err != nil {
				return err
			}
		} else if full := b.groups.add(r.class, content, r.entries); full != nil {
			if err := b.encodeGroup(full); err != nil {
				return err
			}
		}
	}
	return nil
}

// newRuns notes the chunks of a segment and returns those that are new. The
// class is looked for chunk by chunk: a file of weights may have arrays of
// several types, and a header of text.
func (b *batch) newRuns(seg *segment) ([]run, error) {
	var runs []run
	start := 0
	for _, end := range seg.cuts {
		content := seg.buf[start:end]
		d := Sum(content)
		seg.parts = append(seg.parts, part{d, int64(len(content))})
		fresh, err := b.claim(d)
		if err != nil {
			return nil, err
		}
		if fresh {
			class := codec.Probe(content)
			last := len(runs) - 1
			if last < 0 || runs[last].end != start || runs[last].class != class || start-runs[last].start >= fullSize(class) {
				runs = append(runs, run{class: class, start: start})
				last++
			}
			r := &runs[last]
			r.end = end
			r.entries = append(r.entries, blobEntry(d, start-r.start, len(content)))
		}
		start = end
	}
	return runs, nil
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
