package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/kept-dev/kept/cas/pack"
)

// openContent returns a reader of a content that was cut. Groups are read and
// decoded ahead of it, several at once, while what came before is hashed and
// written.
func (l *Local) openContent(ctx context.Context, at pack.Location) (io.ReadCloser, error) {
	return l.openParts(ctx, at.Key, at.Size, func(ctx context.Context, fn func(part) error) error {
		return l.eachChunk(ctx, at, fn)
	}), nil
}

// openParts is openContent for the chunks that each calls fn for.
func (l *Local) openParts(ctx context.Context, d Digest, size int64, each func(ctx context.Context, fn func(part) error) error) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	c := &contentReader{
		l: l, ctx: ctx, cancel: cancel, want: d, left: size, hash: NewHasher(),
		steps: make(chan *step, 4*workers),
	}
	p := &planner{l: l, ctx: ctx, steps: c.steps, slots: make(chan struct{}, 4*workers)}
	c.work.Go(func() {
		defer close(c.steps)
		if err := p.plan(each); err != nil {
			p.send(&step{err: err})
		}
	})
	return c
}

// contentReader reads a content chunk by chunk and keeps the promises of
// Store.Open: the last bytes are held back until the whole is known to be right.
type contentReader struct {
	l      *Local
	ctx    context.Context
	cancel context.CancelFunc
	want   Digest
	left   int64 // bytes that were not hashed yet
	hash   *Hasher
	behind *hashing // of WriteTo
	steps  chan *step
	work   sync.WaitGroup

	now   *step
	ready []byte // hashed, and not read yet
	err   error
}

// next returns the bytes of the next chunks that lie side by side, hashed. It returns
// io.EOF after the last, which it verifies first. The bytes are good until the
// next call. If write is not nil it is called with them, and hashing goes on behind it;
// with the last bytes only when the whole is known to be right.
func (c *contentReader) next(write func([]byte) error) ([]byte, error) {
	for {
		if c.now != nil && len(c.now.chunks) > 0 {
			return c.take(write)
		}
		if c.now != nil {
			c.now.group.release()
			c.now = nil
		}
		if c.left == 0 {
			return nil, io.EOF
		}
		s, ok := <-c.steps
		switch {
		case c.ctx.Err() != nil:
			if ok && s.group != nil {
				s.group.release()
			}
			return nil, c.ctx.Err()
		case !ok:
			return nil, c.corrupt(fmt.Errorf("it is %d bytes short", c.left))
		case s.err != nil:
			return nil, c.failed(s.err)
		}
		c.now = s
		<-s.group.ready
		if err := s.group.err; err != nil {
			plain, err := c.slowly(s, err)
			if err != nil {
				return nil, c.failed(err)
			}
			c.now.chunks = nil
			return c.pass(plain, nil, write)
		}
	}
}

// take returns chunks of the step at hand that lie side by side.
func (c *contentReader) take(write func([]byte) error) ([]byte, error) {
	s := c.now
	start := uint64(s.chunks[0].At)
	end := start
	for len(s.chunks) > 0 && uint64(s.chunks[0].At) == end {
		end += uint64(s.chunks[0].Len)
		s.chunks = s.chunks[1:]
	}
	if end > uint64(len(s.group.plain)) {
		return nil, c.corrupt(errors.New("a chunk is said to lie behind the end of its group"))
	}
	return c.pass(s.group.plain[start:end], s.group, write)
}

// pass hashes bytes of the content, which are a group's if that is not nil.
func (c *contentReader) pass(b []byte, of *decoded, write func([]byte) error) ([]byte, error) {
	if int64(len(b)) > c.left {
		return nil, c.corrupt(errors.New("it is too long"))
	}
	c.left -= int64(len(b))
	if write != nil && c.left > 0 {
		c.behind.add(b, of)
		return b, write(b)
	}
	if write != nil {
		c.behind.wait()
	}
	c.hash.Write(b)
	if c.left == 0 {
		if got := c.hash.Digest(); got != c.want {
			return nil, c.corrupt(fmt.Errorf("its content hashes to %s", got))
		}
	}
	if write != nil {
		return b, write(b)
	}
	return b, nil
}

// slowly reads a step chunk by chunk after its group could not be read: a
// collection may have moved them.
func (c *contentReader) slowly(s *step, failed error) ([]byte, error) {
	if changed, err := c.l.look(failed); !changed || err != nil {
		return nil, failed
	}
	var plain []byte
	for _, e := range s.chunks {
		at, err := c.l.find(e.Key)
		var missing *MissingError
		if reason := damage(failed); errors.As(err, &missing) && reason != nil {
			return nil, &CorruptError{Digest: e.Key, Err: reason, Quarantine: c.l.quarantined(s.group.name.pack)}
		}
		if err != nil {
			return nil, err
		}
		b, err := c.l.read(at)
		if err != nil {
			return nil, err
		}
		plain = append(plain, b...)
	}
	return plain, nil
}

// failed makes the error of a chunk one of the content.
func (c *contentReader) failed(err error) error {
	var missing *MissingError
	var corrupt *CorruptError
	switch {
	case errors.As(err, &missing):
		return &MissingError{Digest: c.want}
	case errors.As(err, &corrupt):
		return &CorruptError{Digest: c.want, Err: corrupt.Err, Quarantine: corrupt.Quarantine}
	case damage(err) != nil:
		return c.corrupt(damage(err))
	}
	return fmt.Errorf("read object %s: %w", c.want, err)
}

// corrupt returns the error for a content that is not right, after it has looked
// for the chunk that is to blame and got it out of the way.
func (c *contentReader) corrupt(reason error) error {
	e := &CorruptError{Digest: c.want, Err: reason}
	at, err := c.l.find(c.want)
	if err != nil {
		return e
	}
	_ = c.l.eachChunk(c.ctx, at, func(p part) error {
		at, err := c.l.find(p.key)
		if err != nil {
			return nil
		}
		var bad *CorruptError
		if _, err := c.l.readFresh(at); errors.As(err, &bad) && e.Quarantine == "" {
			e.Quarantine = bad.Quarantine
		}
		return nil
	})
	return e
}

func (c *contentReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.ready) == 0 {
		if c.ready, c.err = c.next(nil); c.err != nil {
			return 0, c.err
		}
	}
	if err := c.ctx.Err(); err != nil {
		c.err = err
		return 0, err
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: writing and hashing go on side by side.
func (c *contentReader) WriteTo(w io.Writer) (int64, error) {
	if c.err != nil {
		return 0, errors.Join(c.err)
	}
	c.behind = newHashing(c.hash)
	defer c.behind.wait()
	var total int64
	write := func(b []byte) error {
		n, err := w.Write(b)
		total += int64(n)
		return err
	}
	if len(c.ready) > 0 {
		if c.err = write(c.ready); c.err != nil {
			return total, c.err
		}
		c.ready = nil
	}
	for c.err == nil {
		_, c.err = c.next(write)
	}
	if c.err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure and not the end
		return total, nil
	}
	return total, c.err
}

func (c *contentReader) Close() error {
	c.cancel()
	if c.err == nil || c.err == io.EOF { //nolint:errorlint // see WriteTo
		c.err = errClosed
	}
	c.ready = nil
	if c.now != nil {
		c.now.group.release()
		c.now = nil
	}
	for s := range c.steps {
		if s.group != nil {
			s.group.release()
		}
	}
	c.work.Wait()
	return nil
}
