package remote

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// sending is the body of one try of a Put: it keeps to the limit, counts, and
// remembers what was wrong with the body itself.
type sending struct {
	s    *steady
	ctx  context.Context
	w    *watch
	from io.ReaderAt
	size int64
	// told is how much of the body was reported as moved, by all tries.
	told *atomic.Int64
	read atomic.Int64

	// A client may still read when its Put has returned, and what it reads may be gone
	// by then: the lock is held to read, and taken once to end.
	mu    sync.RWMutex
	ended bool
	local atomic.Pointer[error]
}

var errEnded = errors.New("the upload has ended")

func (b *sending) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for {
		n := part(b.s.up, len(p)-done)
		if err := pass(b.ctx, b.s.up, n); err != nil {
			return done, err
		}
		n, err := b.readAt(p[done:done+n], off+int64(done))
		done += n
		b.moved(int64(n))
		if err != nil || done == len(p) {
			return done, err
		}
	}
}

// Unsent returns the body of a Put to be read for a checksum: what is read that way is not
// taken for sent.
func Unsent(body io.ReaderAt) io.ReaderAt {
	if b, ok := body.(*sending); ok {
		return unsent{b}
	}
	return body
}

type unsent struct{ b *sending }

func (u unsent) ReadAt(p []byte, off int64) (int, error) {
	if err := u.b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := u.b.readAt(p, off)
	u.b.w.touch(0)
	return n, err
}

func (b *sending) readAt(p []byte, off int64) (int, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.ended {
		return 0, errEnded
	}
	n, err := b.from.ReadAt(p, off)
	switch end := off + int64(n); {
	case err != nil && err != io.EOF:
		b.local.CompareAndSwap(nil, &err)
	case err == io.EOF && end < min(off+int64(len(p)), b.size):
		err = io.ErrUnexpectedEOF
		b.local.CompareAndSwap(nil, &err)
	}
	return n, err
}

// moved counts. A client may read twice, to compute a checksum; nobody is told of
// more than there is.
func (b *sending) moved(n int64) {
	if n == 0 {
		return
	}
	read := b.read.Add(n)
	extra := time.Duration(0)
	if read >= b.size {
		extra = time.Duration(b.size/(512<<10)) * time.Second
	}
	b.w.touch(extra)
	b.s.stats.Sent.Add(n)
	told := b.s.limits.Moved
	if told == nil {
		return
	}
	for now := min(read, b.size); ; {
		before := b.told.Load()
		if now <= before {
			return
		}
		if b.told.CompareAndSwap(before, now) {
			told(now-before, 0)
			return
		}
	}
}

// end lets nobody read any more, and returns what was wrong with the body.
func (b *sending) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	if err := b.local.Load(); err != nil {
		return *err
	}
	return nil
}
