// Package reuse keeps large things for whoever needs one next.
package reuse

import "sync"

// Stack keeps things that take long to make. It gives out the one that came back last, which may be
// in a processor's cache, and has no more of them than were in use at once. A sync.Pool loses
// all of them at every other garbage collection, and to find memory for new ones may take the
// operating system longer than what is done with them.
type Stack[T any] struct {
	New func() T

	mu   sync.Mutex
	free []T
}

// Get returns a thing that was put, or a new one.
func (s *Stack[T]) Get() T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.free) - 1; last >= 0 {
		t := s.free[last]
		s.free = s.free[:last]
		return t
	}
	return s.New()
}

// Put gives a thing to the next user.
func (s *Stack[T]) Put(t T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, t)
}
