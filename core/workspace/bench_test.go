package workspace

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/kept-dev/kept/cas"
)

// sums is a store that has digests and no content, for measuring what is above it.
type sums struct {
	cas.Store
	mu  sync.Mutex
	has map[cas.Digest]struct{}
}

func newSums() *sums { return &sums{has: map[cas.Digest]struct{}{}} }

func (s *sums) Batch() cas.Batch { return s }

func (s *sums) Put(_ context.Context, r io.Reader) (cas.Digest, int64, error) {
	d, n, err := cas.SumReader(r)
	s.add(d)
	return d, n, err
}

func (s *sums) PutBytes(_ context.Context, content []byte) (cas.Digest, error) {
	d := cas.Sum(content)
	s.add(d)
	return d, nil
}

func (s *sums) add(d cas.Digest) {
	s.mu.Lock()
	s.has[d] = struct{}{}
	s.mu.Unlock()
}

func (s *sums) Has(_ context.Context, d cas.Digest) (bool, error) {
	s.mu.Lock()
	_, ok := s.has[d]
	s.mu.Unlock()
	return ok, nil
}

func (s *sums) Missing(_ context.Context, list []cas.Digest) (missing []int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range list {
		if _, ok := s.has[d]; !ok {
			missing = append(missing, i)
		}
	}
	return missing, nil
}

func (s *sums) Commit(context.Context) error { return nil }
func (s *sums) Close() error                 { return nil }

func benchSpace(b *testing.B) *space {
	s := newSpace(b)
	for i := range 50_000 {
		s.write(fmt.Sprintf("data/class-%03d/image-%05d", i/100, i), fmt.Sprint(i))
	}
	return s
}

// What every status of an unchanged folder of 50,000 files costs, the stat cache
// read anew each time.
func BenchmarkScanUnchanged(b *testing.B) {
	s := benchSpace(b)
	s.scan("data")
	for b.Loop() {
		s.reopen()
		s.scan("data")
	}
}

// One file of 50,000 has changed: all is listed and looked at, one is read, and
// the manifest and the stat cache are made again.
func BenchmarkScanOneChanged(b *testing.B) {
	s := benchSpace(b)
	s.scan("data")
	n := 0
	for b.Loop() {
		s.write("data/class-007/image-00700", fmt.Sprint(n))
		n++
		s.reopen()
		s.scan("data")
	}
}

// 50,000 small files that nobody knows are read, hashed and written down.
func BenchmarkKeep(b *testing.B) {
	s := benchSpace(b)
	for b.Loop() {
		s.Forget()
		s.keep(newSums(), "data")
		s.reopen()
	}
}

// The same files once more: the store is asked for each of them.
func BenchmarkKeepUnchanged(b *testing.B) {
	s := benchSpace(b)
	store := newSums()
	s.keep(store, "data")
	for b.Loop() {
		s.reopen()
		s.keep(store, "data")
	}
}
