package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/kept-dev/kept/cas/remote"
)

// Source is the body of a Put as an http.Client wants it. It tells a body that can't be
// read from a connection that broke, and it is not read any more once Stop has
// returned: the client goes on for a moment after it has answered.
type Source struct {
	ctx     context.Context
	size    int64
	mu      sync.Mutex
	section *io.SectionReader
	at      int64
	err     error
	stopped bool
}

// NewSource returns one of the first size bytes of body.
func NewSource(ctx context.Context, body io.ReaderAt, size int64) *Source {
	return &Source{ctx: ctx, size: size, section: io.NewSectionReader(body, 0, size)}
}

var errStopped = errors.New("the upload has ended")

// Read implements io.Reader.
func (s *Source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return 0, errStopped
	}
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.section.Read(p)
	s.at += int64(n)
	if errors.Is(err, io.EOF) && s.at < s.size {
		err = fmt.Errorf("%w: the body has %d of %d", remote.ErrShort, s.at, s.size)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// Seek implements io.Seeker.
func (s *Source) Seek(offset int64, whence int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, err := s.section.Seek(offset, whence)
	if err == nil {
		s.at = at
	}
	return at, err
}

// Close does nothing: the body is the caller's.
func (s *Source) Close() error { return nil }

// Stop ends the reading, and returns what went wrong with the body itself.
func (s *Source) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	return s.err
}
