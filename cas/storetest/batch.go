package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/kept-dev/kept/cas"
)

// batchKeeps: what was put in one way or the other is there after Commit.
func batchKeeps(t *testing.T, s cas.Store) {
	b := s.Batch()
	defer b.Close()
	contents := [][]byte{nil, []byte("x"), Text(1, 10_000), Random(2, 10_000), Text(3, 3<<20), Random(4, 3<<20)}
	for i, c := range contents {
		if d, err := b.PutBytes(t.Context(), bytes.Clone(c)); err != nil || d != cas.Sum(c) {
			t.Errorf("PutBytes of content %d = %s, %v", i, d, err)
		}
		c = append(c, '!')
		if d, n, err := b.Put(t.Context(), iotest.HalfReader(bytes.NewReader(c))); err != nil || d != cas.Sum(c) || n != int64(len(c)) {
			t.Errorf("Put of content %d = %s, %d, %v", i, d, n, err)
		}
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, c := range contents {
		if got := get(t, s, cas.Sum(c)); !bytes.Equal(got, c) {
			t.Errorf("content %d comes back otherwise", i)
		}
		c = append(c, '!')
		if got := get(t, s, cas.Sum(c)); !bytes.Equal(got, c) {
			t.Errorf("streamed content %d comes back otherwise", i)
		}
	}
}

// batchBuffer: the caller of PutBytes may use its buffer for the next content.
func batchBuffer(t *testing.T, s cas.Store) {
	b := s.Batch()
	defer b.Close()
	buffer := make([]byte, 5000)
	var want []cas.Digest
	for i := range 300 {
		copy(buffer, fmt.Sprint(i))
		d, err := b.PutBytes(t.Context(), buffer)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, d)
	}
	clear(buffer)
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, d := range want {
		if got := get(t, s, d); cas.Sum(got) != d {
			t.Errorf("%s comes back otherwise", d.Short())
		}
	}
}

func batchHas(t *testing.T, s cas.Store) {
	stored := put(t, s, []byte("in the store"))
	b := s.Batch()
	defer b.Close()
	batched, err := b.PutBytes(t.Context(), []byte("in the batch"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		d    cas.Digest
		want bool
	}{
		"in the store": {stored, true},
		"in the batch": {batched, true},
		"nowhere":      {cas.Sum([]byte("nowhere")), false},
	} {
		if has, err := b.Has(t.Context(), c.d); err != nil || has != c.want {
			t.Errorf("Has of what is %s = %v, %v", name, has, err)
		}
	}
	nowhere := cas.Sum([]byte("nowhere"))
	missing, err := b.Missing(t.Context(), []cas.Digest{nowhere, stored, batched, nowhere, stored})
	if err != nil || !slices.Equal(missing, []int{0, 3}) {
		t.Errorf("Missing = %v, %v", missing, err)
	}
	if missing, err := b.Missing(t.Context(), nil); err != nil || len(missing) > 0 {
		t.Errorf("of nothing %v is missing, %v", missing, err)
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	get(t, s, stored)
	get(t, s, batched)
}

// batchOfNothing: nothing to do is no error.
func batchOfNothing(t *testing.T, s cas.Store) {
	b := s.Batch()
	if err := errors.Join(b.Commit(t.Context()), b.Close()); err != nil {
		t.Error(err)
	}
}

// batchClosed: what was not committed does no harm, and can be put again.
func batchClosed(t *testing.T, s cas.Store) {
	content := Text(5, 100_000)
	for range 2 {
		b := s.Batch()
		if _, err := b.PutBytes(t.Context(), content); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b := s.Batch()
	defer b.Close()
	d, _, err := b.Put(t.Context(), bytes.NewReader(content))
	if err == nil {
		err = b.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, d); !bytes.Equal(got, content) {
		t.Error("the content comes back otherwise")
	}
}

// batchOfMany: many goroutines put the same and different contents.
func batchOfMany(t *testing.T, s cas.Store) {
	b := s.Batch()
	defer b.Close()
	content := func(i int) []byte { return Text(uint64(i), 100+300*i) }
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 60 {
				c := content((i + 7*g) % 60)
				if _, err := b.PutBytes(t.Context(), c); err != nil {
					t.Error(err)
				}
				if has, err := b.Has(t.Context(), cas.Sum(c)); err != nil || !has {
					t.Errorf("Has of what was put = %v, %v", has, err)
				}
			}
		})
	}
	wg.Wait()
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		if c := content(i); !bytes.Equal(get(t, s, cas.Sum(c)), c) {
			t.Errorf("content %d comes back otherwise", i)
		}
	}
}

// batchFails: a Put that fails stores nothing of its own, and the others are kept.
func batchFails(t *testing.T, s cas.Store) {
	b := s.Batch()
	defer b.Close()
	whole := Text(6, 1<<20)
	broken := io.MultiReader(bytes.NewReader(whole[:600_000]), iotest.ErrReader(syscall.EIO))
	if _, _, err := b.Put(t.Context(), broken); !errors.Is(err, syscall.EIO) {
		t.Errorf("Put of a reader that fails = %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.PutBytes(cancelled, whole); !errors.Is(err, context.Canceled) {
		t.Errorf("PutBytes = %v after cancel", err)
	}
	if _, _, err := b.Put(cancelled, bytes.NewReader(whole)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v after cancel", err)
	}
	d, err := b.PutBytes(t.Context(), []byte("good"))
	if err == nil {
		err = b.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	get(t, s, d)
	for _, gone := range [][]byte{whole, whole[:600_000]} {
		wantMissing(t, s, cas.Sum(gone))
	}
}
