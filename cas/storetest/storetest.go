// Package storetest is the conformance suite of cas.Store, with a store in
// memory and one whose bytes go wrong, for tests.
//
// Every implementation of cas.Store runs the suite in its own tests:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) cas.Store { return open(t, t.TempDir()) })
//	}
//
// A store that can also damage an object of its own implements Corrupter, and
// then the suite checks that it notices.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/kept-dev/kept/cas"
)

// Corrupter is a store that can damage what it holds, below its own checks.
type Corrupter interface {
	// Corrupt changes bytes of a stored object and leaves its size.
	Corrupt(d cas.Digest) error
}

// Run tests that open returns stores that keep the contract of cas.Store. It
// is called for every case and returns an empty store.
func Run(t *testing.T, open func(t *testing.T) cas.Store) {
	cases := []struct {
		name string
		run  func(t *testing.T, s cas.Store)
	}{
		{"content comes back", contentComesBack},
		{"an empty object is an object", emptyObject},
		{"5 MB that do not compress", func(t *testing.T, s cas.Store) { roundTrip(t, s, Random(1, 5<<20)) }},
		{"5 MB of text", func(t *testing.T, s cas.Store) { roundTrip(t, s, Text(1, 5<<20)) }},
		{"text before random bytes", func(t *testing.T, s cas.Store) { roundTrip(t, s, append(Text(1, 2<<20), Random(1, 6<<20)...)) }},
		{"random bytes before text", func(t *testing.T, s cas.Store) { roundTrip(t, s, append(Random(1, 2<<20), Text(1, 3<<20)...)) }},
		{"a file, from its offset", fromFile},
		{"a reader that gives a byte at a time", byteAtATime},
		{"putting twice is putting once", putTwice},
		{"an object that is not there", missing},
		{"concurrent puts of one content", concurrentSame},
		{"concurrent puts of many contents", concurrentMany},
		{"a reader that fails stores nothing", failingReader},
		{"a broken connection is not the end", brokenConnection},
		{"cancelled before put", cancelledPut},
		{"cancelled while put reads", cancelledWhilePut},
		{"cancelled open and read", cancelledOpen},
		{"a source that changes while it is read", changingSource},
		{"a reader closed early", closedEarly},
		{"two readers of one object", twoReaders},
		{"a small buffer", smallBuffer},
		{"ReadAll at its limit", readAllLimit},
		{"ReadAll of what decompresses to very much", bomb},
		{"a corrupt object", corrupt},
		{"a corrupt object can be put again", corruptThenPut},
		{"a batch is kept", batchKeeps},
		{"a batch keeps no buffer", batchBuffer},
		{"a batch knows what is there", batchHas},
		{"a batch of nothing", batchOfNothing},
		{"a batch that is closed", batchClosed},
		{"concurrent puts into a batch", batchOfMany},
		{"a put into a batch that fails", batchFails},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// Random returns bytes that do not compress, always the same for a seed.
func Random(seed uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 1})
	r.Read(b)
	return b
}

// Text returns bytes that compress as tables of numbers do, always the same for a seed.
func Text(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, 0, size+64)
	for len(b) < size {
		b = fmt.Appendf(b, "%d,review-%d,%.4f,positive\n", len(b), r.IntN(5000), r.Float64())
	}
	return b[:size]
}

func put(t *testing.T, s cas.Store, content []byte) cas.Digest {
	t.Helper()
	d, n, err := s.Put(t.Context(), bytes.NewReader(content))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	if want := cas.Sum(content); d != want || n != int64(len(content)) {
		t.Fatalf("Put = %s, %d bytes; want %s, %d", d, n, want, len(content))
	}
	return d
}

func get(t *testing.T, s cas.Store, d cas.Digest) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return b
}

func roundTrip(t *testing.T, s cas.Store, content []byte) {
	t.Helper()
	d := put(t, s, content)
	if got := get(t, s, d); !bytes.Equal(got, content) {
		t.Errorf("content of %d bytes comes back as %d other bytes", len(content), len(got))
	}
	if size, err := s.Stat(t.Context(), d); size != int64(len(content)) || err != nil {
		t.Errorf("Stat = %d, %v; want %d", size, err, len(content))
	}
}

func wantMissing(t *testing.T, s cas.Store, d cas.Digest) {
	t.Helper()
	var missing *cas.MissingError
	if _, err := s.Stat(t.Context(), d); !errors.As(err, &missing) || missing.Digest != d {
		t.Errorf("Stat of an object that must not be there: %v", err)
	}
	missing = nil
	r, err := s.Open(t.Context(), d)
	if err == nil {
		r.Close()
	}
	if !errors.As(err, &missing) || missing.Digest != d {
		t.Errorf("Open of an object that must not be there: %v", err)
	}
}

func contentComesBack(t *testing.T, s cas.Store) {
	for _, size := range []int{1, 2, 100, 4095, 4096, 4097, 1<<20 - 1, 1 << 20, 1<<20 + 1} {
		roundTrip(t, s, Text(uint64(size), size))
		roundTrip(t, s, Random(uint64(size), size))
		roundTrip(t, s, make([]byte, size))
	}
}

func emptyObject(t *testing.T, s cas.Store) {
	wantMissing(t, s, cas.Sum(nil))
	roundTrip(t, s, nil)
}

func fromFile(t *testing.T, s cas.Store) {
	for _, size := range []int{10_000, 3 << 20} {
		name := filepath.Join(t.TempDir(), "data.csv")
		content := Text(1, size)
		if err := os.WriteFile(name, append([]byte("skipped"), content...), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 { // absent, then there
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Seek(int64(len("skipped")), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			d, n, err := s.Put(t.Context(), f)
			if d != cas.Sum(content) || n != int64(size) || err != nil {
				t.Fatalf("Put of a file = %s, %d, %v; want %s, %d", d, n, err, cas.Sum(content), size)
			}
		}
		if got := get(t, s, cas.Sum(content)); !bytes.Equal(got, content) {
			t.Error("a file comes back with other content")
		}
	}
}

func byteAtATime(t *testing.T, s cas.Store) {
	content := Text(1, 5000)
	d, n, err := s.Put(t.Context(), iotest.OneByteReader(bytes.NewReader(content)))
	if d != cas.Sum(content) || n != 5000 || err != nil {
		t.Errorf("Put = %s, %d, %v", d, n, err)
	}
	d, n, err = s.Put(t.Context(), iotest.DataErrReader(bytes.NewReader(content[1:]))) // io.EOF with the last bytes
	if d != cas.Sum(content[1:]) || n != 4999 || err != nil {
		t.Errorf("Put = %s, %d, %v", d, n, err)
	}
}

func putTwice(t *testing.T, s cas.Store) {
	for _, content := range [][]byte{nil, Text(1, 10_000), Random(1, 3<<20)} {
		put(t, s, content)
		roundTrip(t, s, content)
	}
}

func missing(t *testing.T, s cas.Store) {
	wantMissing(t, s, cas.Sum([]byte("nobody put this")))
	wantMissing(t, s, cas.Digest{})
	put(t, s, []byte("something"))
	wantMissing(t, s, cas.Sum([]byte("something else")))
}

func concurrentSame(t *testing.T, s cas.Store) {
	content := Text(1, 2<<20)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			d, n, err := s.Put(t.Context(), bytes.NewReader(content))
			if d != cas.Sum(content) || n != int64(len(content)) || err != nil {
				t.Errorf("concurrent Put = %s, %d, %v", d, n, err)
			}
		})
	}
	group.Wait()
	if got := get(t, s, cas.Sum(content)); !bytes.Equal(got, content) {
		t.Error("content of concurrent puts comes back wrong")
	}
}

func concurrentMany(t *testing.T, s cas.Store) {
	var group sync.WaitGroup
	for i := range uint64(8) {
		group.Go(func() {
			for j := range uint64(5) {
				content := Text(i*100+j, 20_000)
				d, _, err := s.Put(t.Context(), bytes.NewReader(content))
				if err != nil {
					t.Errorf("concurrent Put: %v", err)
					return
				}
				b, err := cas.ReadAll(t.Context(), s, d, 20_000)
				if err != nil || !bytes.Equal(b, content) {
					t.Errorf("read of what a concurrent Put returned: %v", err)
				}
			}
		})
	}
	group.Wait()
}

func failingReader(t *testing.T, s cas.Store) {
	broken := errors.New("the source broke")
	for _, after := range []int{0, 1, 10_000, 1 << 20, 3 << 20} {
		content := Random(uint64(after), after)
		_, _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("Put of a reader that fails after %d bytes: %v", after, err)
		}
		wantMissing(t, s, cas.Sum(content))
	}
}

func brokenConnection(t *testing.T, s cas.Store) {
	for _, after := range []int{1, 10_000, 3 << 20} {
		content := Text(uint64(after), after)
		_, _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(content), iotest.ErrReader(io.ErrUnexpectedEOF)))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Put of a connection that broke after %d bytes: %v", after, err)
		}
		wantMissing(t, s, cas.Sum(content))
	}
}

func cancelledPut(t *testing.T, s cas.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	content := Text(1, 10_000)
	if _, _, err := s.Put(ctx, bytes.NewReader(content)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put with a cancelled context: %v", err)
	}
	wantMissing(t, s, cas.Sum(content))
}

func cancelledWhilePut(t *testing.T, s cas.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	content := Random(1, 4<<20)
	var more io.Reader = &hookReader{Reader: io.LimitReader(zeros{}, 16<<20), after: 2 << 20, hook: func() {
		t.Error("Put reads on for megabytes after it was cancelled")
	}}
	r := &hookReader{Reader: bytes.NewReader(content), after: 2 << 20, hook: cancel}
	if _, _, err := s.Put(ctx, io.MultiReader(r, more)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put cancelled half-way: %v", err)
	}
	wantMissing(t, s, cas.Sum(content))
}

func cancelledOpen(t *testing.T, s cas.Store) {
	d := put(t, s, Random(1, 4<<20))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := s.Open(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("read with a cancelled context: %v", err)
	}
	if _, err := s.Open(ctx, d); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a cancelled context: %v", err)
	}
	if _, err := s.Stat(ctx, d); !errors.Is(err, context.Canceled) {
		t.Errorf("Stat with a cancelled context: %v", err)
	}
}

// changingSource rewrites a file while Put reads it: the digest must be that
// of bytes that can be read back, whichever they are.
func changingSource(t *testing.T, s cas.Store) {
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, Text(1, 6<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		w, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer w.Close()
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
				w.WriteAt(fmt.Appendf(nil, "line %d", i), i*7919%(6<<20))
			}
		}
	})
	for range 5 {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		d, n, err := s.Put(t.Context(), f)
		if err != nil {
			t.Errorf("Put of a file that changes: %v", err)
			break
		}
		b, err := cas.ReadAll(t.Context(), s, d, 7<<20)
		if err != nil || int64(len(b)) != n || cas.Sum(b) != d {
			t.Errorf("Put of a file that changes returned %s, %d bytes; reading it: %d bytes, %v", d, n, len(b), err)
		}
	}
	close(stop)
	group.Wait()
}

func closedEarly(t *testing.T, s cas.Store) {
	content := Text(1, 3<<20)
	d := put(t, s, content)
	r, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(r, make([]byte, 1000))
	if err := r.Close(); err != nil {
		t.Errorf("Close before the end: %v", err)
	}
	if n, err := r.Read(make([]byte, 10)); err == nil || err == io.EOF {
		t.Errorf("read after Close = %d, %v; want an error", n, err)
	}
	r.Close() // must not disturb others
	if got := get(t, s, d); !bytes.Equal(got, content) {
		t.Error("content wrong after a reader was closed early")
	}
}

func twoReaders(t *testing.T, s cas.Store) {
	content := Text(1, 3<<20)
	d := put(t, s, content)
	a, errA := s.Open(t.Context(), d)
	b, errB := s.Open(t.Context(), d)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	defer a.Close()
	defer b.Close()
	bufA, bufB := make([]byte, 7001), make([]byte, 7001)
	for at := 0; at < len(content); at += 7001 {
		n := min(7001, len(content)-at)
		_, errA := io.ReadFull(a, bufA[:n])
		_, errB := io.ReadFull(b, bufB[:n])
		if errA != nil || errB != nil {
			t.Fatalf("at %d: %v, %v", at, errA, errB)
		}
		if !bytes.Equal(bufA[:n], content[at:at+n]) || !bytes.Equal(bufB[:n], content[at:at+n]) {
			t.Fatalf("two readers disturb each other at %d", at)
		}
	}
}

func smallBuffer(t *testing.T, s cas.Store) {
	content := Text(1, 10_000)
	r, err := s.Open(t.Context(), put(t, s, content))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := iotest.TestReader(r, content); err != nil {
		t.Error(err)
	}
}

func readAllLimit(t *testing.T, s cas.Store) {
	content := Text(1, 10_000)
	d := put(t, s, content)
	for _, limit := range []int64{10_000, 10_001, 1 << 40} {
		if b, err := cas.ReadAll(t.Context(), s, d, limit); err != nil || !bytes.Equal(b, content) {
			t.Errorf("ReadAll with limit %d: %d bytes, %v", limit, len(b), err)
		}
	}
	for _, limit := range []int64{9999, 1, 0, -1} {
		if b, err := cas.ReadAll(t.Context(), s, d, limit); !errors.Is(err, cas.ErrSize) || b != nil {
			t.Errorf("ReadAll with limit %d: %d bytes, %v; want ErrSize", limit, len(b), err)
		}
	}
	empty := put(t, s, nil)
	if b, err := cas.ReadAll(t.Context(), s, empty, 0); err != nil || len(b) != 0 {
		t.Errorf("ReadAll of the empty object with limit 0: %d bytes, %v", len(b), err)
	}
}

// bomb checks that a bounded read of a large object takes little memory.
func bomb(t *testing.T, s cas.Store) {
	const size = 64 << 20
	d, _, err := s.Put(t.Context(), io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	cas.ReadAll(t.Context(), s, d, 1000) // fills pools
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := cas.ReadAll(t.Context(), s, d, 1<<20); !errors.Is(err, cas.ErrSize) {
		t.Errorf("ReadAll of %d zeros with limit 1 MiB: %v; want ErrSize", size, err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("ReadAll with limit 1 MiB allocated %d MiB", got>>20)
	}
}

func corrupt(t *testing.T, s cas.Store) {
	c, ok := s.(Corrupter)
	if !ok {
		t.Skip("this store cannot damage its objects")
	}
	for _, content := range [][]byte{[]byte("x"), Text(1, 10_000), Random(1, 10_000), Text(1, 3<<20), Random(1, 3<<20)} {
		for _, exact := range []bool{false, true} {
			d := put(t, s, content)
			if err := c.Corrupt(d); err != nil {
				t.Fatal(err)
			}
			err := readExactly(t, s, d, len(content), exact)
			var corrupt *cas.CorruptError
			if !errors.As(err, &corrupt) || corrupt.Digest != d {
				t.Errorf("read of a corrupt object of %d bytes: %v; want a CorruptError", len(content), err)
			}
			put(t, s, content)
		}
	}
}

// readExactly reads d to io.EOF, or, if exact is set, only as many bytes as it has.
func readExactly(t *testing.T, s cas.Store, d cas.Digest, size int, exact bool) error {
	r, err := s.Open(t.Context(), d)
	if err != nil {
		return err
	}
	defer r.Close()
	if exact {
		_, err = io.ReadFull(r, make([]byte, size))
	} else {
		_, err = io.Copy(io.Discard, r)
	}
	return err
}

func corruptThenPut(t *testing.T, s cas.Store) {
	c, ok := s.(Corrupter)
	if !ok {
		t.Skip("this store cannot damage its objects")
	}
	for _, content := range [][]byte{Text(1, 10_000), Random(1, 3<<20)} {
		d := put(t, s, content)
		if err := c.Corrupt(d); err != nil {
			t.Fatal(err)
		}
		if err := readExactly(t, s, d, len(content), false); err == nil {
			t.Fatal("a corrupt object was read without an error")
		}
		roundTrip(t, s, content)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// hookReader calls hook once when after bytes have been read.
type hookReader struct {
	io.Reader
	after int
	hook  func()
}

func (r *hookReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.after > 0 {
		if r.after -= n; r.after <= 0 {
			r.hook()
		}
	}
	return n, err
}
