package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Get implements Remote. Its reader goes on where it broke.
func (s *steady) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r := &receiving{s: s, ctx: ctx, name: name, offset: offset, left: length, bounded: length >= 0}
	r.release = s.acquire(ctx)
	r.patience = s.newPatience()
	if err := r.connect(nil); err != nil {
		_ = r.Close() // there is nothing
		return nil, err
	}
	return r, nil
}

// receiving is the reader of a Get.
type receiving struct {
	s    *steady
	ctx  context.Context
	name string
	// What is still to be read: left is known where it is bounded.
	offset, left int64
	bounded      bool
	begun        bool

	release  func()
	patience *patience
	fresh    int64 // bytes since the last failure
	shorts   int   // how often in a row it ended before it should, without a byte
	from     io.ReadCloser
	w        *watch
	err      error // of all that follows
	broken   error // what the next Read has to deal with first
}

func (r *receiving) Read(p []byte) (int, error) {
	if len(p) == 0 || r.err != nil {
		return 0, r.err
	}
	r.patience.alive = time.Now() // who reads may have taken long to come back
	for {
		if r.broken != nil {
			if r.err = r.connect(r.broken); r.err != nil {
				r.finish()
				return 0, r.err
			}
		}
		if r.bounded && r.left == 0 {
			r.err = r.atEnd()
			r.finish()
			return 0, r.err
		}
		n := r.read(p)
		if n == 0 {
			continue
		}
		if err := pass(r.ctx, r.s.down, n); err != nil {
			r.err = r.fail(err)
		}
		return n, r.err
	}
}

// read reads once. What went wrong is in broken, which is io.EOF where there is no more.
func (r *receiving) read(p []byte) int {
	p = p[:part(r.s.down, len(p))]
	if r.bounded && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	r.w.resume()
	n, err := r.from.Read(p)
	r.w.pause()
	r.moved(n)
	switch {
	case err == io.EOF && r.bounded && r.left > 0: //nolint:errorlint // an io.EOF that is wrapped is a broken connection
		err = r.fail(fmt.Errorf("%w: %d are missing", ErrShort, r.left))
	case err == io.EOF && !r.bounded: //nolint:errorlint // see above
		r.bounded, r.left = true, 0
		err = nil
	case r.bounded && r.left == 0:
		err = nil // what is asked for is there
	}
	r.broken = r.w.reason(r.ctx, err)
	return n
}

// moved counts.
func (r *receiving) moved(n int) {
	if n == 0 {
		return
	}
	r.offset += int64(n)
	r.left -= int64(n)
	r.begun, r.shorts = true, 0
	r.w.touch(0)
	r.w.pause()
	r.s.stats.Received.Add(int64(n))
	if told := r.s.limits.Moved; told != nil {
		told(0, int64(n))
	}
	if r.fresh += int64(n); r.fresh >= enough {
		r.patience.achieved()
	}
}

// atEnd returns io.EOF, or ErrShort if the remote has sent more than it was asked for.
func (r *receiving) atEnd() error {
	if r.from == nil {
		return io.EOF
	}
	r.w.resume()
	n, _ := r.from.Read(make([]byte, 1)) // a connection that breaks now does no harm
	if n > 0 {
		return r.fail(fmt.Errorf("%w: more than it was asked for", ErrShort))
	}
	return io.EOF
}

// connect asks for the rest until there is a reader of it. cause is what has broken
// the one before; nil is that there was none.
func (r *receiving) connect(cause error) error {
	for first := cause; ; {
		r.disconnect()
		r.broken, r.fresh = nil, 0
		if cause != nil {
			if first == nil {
				first = cause
			}
			if r.ends(first, cause) {
				return first
			}
			if err := r.patience.wait(r.ctx, cause); err != nil {
				return err
			}
		}
		if cause = r.open(); cause == nil {
			return nil
		}
	}
}

// ends reports whether what came too short is so itself, and not for the way.
func (r *receiving) ends(first, cause error) bool {
	if r.ctx.Err() != nil || !errors.Is(first, ErrShort) {
		return false
	}
	if r.shorts++; r.shorts > shortTries {
		return true
	}
	return !again(cause) || r.shorts == 1 && r.beyond()
}

// beyond reports whether the remote says that the file has less than what is asked for. Where
// it says nothing, asking again for the rest will show what is wrong.
func (r *receiving) beyond() bool {
	trial, w := r.s.watch(r.ctx)
	defer w.end()
	r.s.stats.Stats.Add(1)
	size, err := r.s.r.Stat(trial, r.name)
	if err != nil {
		return false
	}
	end := r.offset + max(r.left, 0)
	return end > size || !r.bounded && end == size
}

const shortTries = 3

// open asks for the rest once.
func (r *receiving) open() error {
	trial, w := r.s.watch(r.ctx)
	r.w = w
	if r.begun && !r.bounded {
		// It may have broken after the last byte: then there is no rest to ask for.
		r.s.stats.Stats.Add(1)
		size, err := r.s.r.Stat(trial, r.name)
		if err != nil {
			return w.reason(r.ctx, err)
		}
		r.bounded, r.left = true, max(0, size-r.offset)
		w.resume()
	}
	if r.begun && r.left == 0 {
		return nil
	}
	length := int64(-1)
	if r.bounded {
		length = r.left
	}
	r.s.stats.Gets.Add(1)
	from, err := r.s.r.Get(trial, r.name, r.offset, length)
	if err != nil {
		return w.reason(r.ctx, err)
	}
	w.pause()
	r.from = from
	return nil
}

func (r *receiving) disconnect() {
	if r.w != nil {
		r.w.end()
		r.w = nil
	}
	if r.from != nil {
		_ = r.from.Close() // it has broken, or everything was read
		r.from = nil
	}
}

// finish lets go of everything but the error.
func (r *receiving) finish() {
	r.disconnect()
	r.release()
	r.release = func() {}
}

// Close implements io.Closer.
func (r *receiving) Close() error {
	r.finish()
	if r.err == nil {
		r.err = r.fail(errClosed)
	}
	return nil
}

var errClosed = errors.New("the reader was closed")

// fail makes an error of the reader's own.
func (r *receiving) fail(err error) error {
	e := &Error{Op: "get", Remote: r.s.limits.URL, Name: r.name, Err: err}
	if errors.Is(err, ErrShort) {
		e.Kind = ErrShort
	}
	return e
}
