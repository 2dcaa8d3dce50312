package remote

import (
	"io"
	"sync"
)

// Lent is the body of a Put, as it is given to a client that may read on in the background
// after it has returned.
type Lent struct {
	body io.ReaderAt
	mu   sync.RWMutex
	err  error
}

// Lend lends body until Return is called.
func Lend(body io.ReaderAt) *Lent { return &Lent{body: body} }

// ReadAt reads from the body. Its errors are *BodyError.
func (l *Lent) ReadAt(p []byte, off int64) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.body.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = &BodyError{err}
	}
	return n, err
}

// Return waits for a ReadAt that runs. Those that come later return err, or io.ErrClosedPipe where that is nil: whoever
// has lent the body may let go of its memory.
func (l *Lent) Return(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	if err == nil {
		l.err = io.ErrClosedPipe
	}
}

// BodyError is one of the body of a Put. What it wraps says nothing of the remote.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "read what is to be put: " + e.Err.Error() }

// Unwrap returns Err.
func (e *BodyError) Unwrap() error { return e.Err }
