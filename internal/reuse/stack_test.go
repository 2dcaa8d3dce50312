package reuse_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kept-dev/kept/internal/reuse"
)

func TestStack(t *testing.T) {
	made := 0
	s := reuse.Stack[*int]{New: func() *int { made++; return new(int) }}
	a, b := s.Get(), s.Get()
	s.Put(a)
	s.Put(b)
	if s.Get() != b || s.Get() != a || made != 2 {
		t.Errorf("%d were made for two users, or did not come back last first", made)
	}
}

// No two have the same thing, and no more are made than were in use at once.
func TestStackTogether(t *testing.T) {
	const users = 8
	var made atomic.Int32
	s := reuse.Stack[*atomic.Bool]{New: func() *atomic.Bool { made.Add(1); return new(atomic.Bool) }}
	var work sync.WaitGroup
	for range users {
		work.Go(func() {
			for range 1000 {
				used := s.Get()
				if used.Swap(true) {
					t.Error("two have the same")
				}
				used.Store(false)
				s.Put(used)
			}
		})
	}
	work.Wait()
	if made.Load() > users {
		t.Errorf("%d were made for %d users", made.Load(), users)
	}
}
