package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// watched counts what is put into a store and calls before ahead of it.
type watched struct {
	cas.Store
	puts   atomic.Int64
	others atomic.Int64 // puts of what was said to be a version of something
	before func()
	has    error
}

func (s *watched) Batch() cas.Batch { return &watchedBatch{s.Store.Batch(), s} }

type watchedBatch struct {
	cas.Batch
	s *watched
}

func (b *watchedBatch) Has(ctx context.Context, d cas.Digest) (bool, error) {
	if b.s.has != nil {
		return false, b.s.has
	}
	return b.Batch.Has(ctx, d)
}

func (b *watchedBatch) Missing(ctx context.Context, list []cas.Digest) ([]int, error) {
	var corrupt *cas.CorruptError
	switch {
	case errors.As(b.s.has, &corrupt):
		missing := make([]int, len(list))
		for i := range missing {
			missing[i] = i
		}
		return missing, nil
	case b.s.has != nil:
		return nil, b.s.has
	}
	return b.Batch.Missing(ctx, list)
}

func (b *watchedBatch) Put(ctx context.Context, r io.Reader) (cas.Digest, int64, error) {
	b.s.put()
	if fmt.Sprintf("%T", r) == fmt.Sprintf("%T", cas.VersionOf(cas.Digest{1}, nil)) {
		b.s.others.Add(1)
	}
	return b.Batch.Put(ctx, r)
}

func (b *watchedBatch) PutBytes(ctx context.Context, content []byte) (cas.Digest, error) {
	b.s.put()
	return b.Batch.PutBytes(ctx, content)
}

func (s *watched) put() {
	s.puts.Add(1)
	if s.before != nil {
		s.before()
	}
}

func (s *space) keep(store cas.Store, path string) *Object {
	s.t.Helper()
	o, err := s.Keep(s.t.Context(), store, path)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// stored compares what the store has for an object with what is in the folder.
func (s *space) stored(store cas.Store, folder string, o *Object) {
	s.t.Helper()
	manifest, err := cas.ReadAll(s.t.Context(), store, o.Digest, 1<<30)
	if err != nil {
		s.t.Fatal(err)
	}
	tree, err := cas.ParseTree(manifest)
	if err != nil || !slices.Equal(tree, s.naive(folder)) {
		s.t.Fatalf("the manifest is %v, %v", tree, err)
	}
	for _, e := range tree {
		if content, err := cas.ReadAll(s.t.Context(), store, e.Digest, 1<<30); err != nil || int64(len(content)) != e.Size {
			s.t.Errorf("%s: %d bytes, %v", e.Path, len(content), err)
		}
	}
}

func keepSpace(t *testing.T) *space {
	s := newSpace(t)
	for i := range 200 {
		s.write(fmt.Sprintf("data/%d/%d", i%7, i), strings.Repeat(fmt.Sprint(i), i))
	}
	s.write("data/large", strings.Repeat("large", smallFile/4))
	if runtime.GOOS != "windows" {
		if err := os.Symlink("3/3", s.Abs("data/link")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestKeepFolder(t *testing.T) {
	s := keepSpace(t)
	store := &watched{Store: storetest.NewMemory()}
	o := s.keep(store, "data")
	s.check("Keep", "data", o)
	s.stored(store, "data", o)
	for range 2 {
		s.reopen()
		store.puts.Store(0)
		s.check("Keep again", "data", s.keep(store, "data"))
		if n := store.puts.Load(); n > 0 && linksKeep {
			t.Errorf("keeping what is kept puts %d objects", n)
		}
	}
	// Another store has nothing of it, whatever the cache knows.
	other := storetest.NewMemory()
	s.stored(other, "data", s.keep(other, "data"))
}

func TestKeepFile(t *testing.T) {
	s := keepSpace(t)
	store := &watched{Store: storetest.NewMemory()}
	for _, name := range []string{"data/large", "data/1/8", "data/0/0"} {
		o := s.keep(store, name)
		content, err := os.ReadFile(s.Abs(name))
		if err != nil || o.Digest != cas.Sum(content) || o.Size != int64(len(content)) || o.Folder {
			t.Errorf("%s is kept as %+v", name, o)
		}
		if size, err := store.Stat(t.Context(), o.Digest); err != nil || size != o.Size {
			t.Errorf("%s: the store has %d bytes, %v", name, size, err)
		}
	}
	s.reopen()
	store.puts.Store(0)
	if s.keep(store, "data/large"); store.puts.Load() > 0 {
		t.Error("a file that is kept is put again")
	}
}

// What the store has lost is read again, one file or the manifest alone.
// TestKeepVersion holds that the store is told what a large file was before, also where that is
// not to be relied on, for it was written just now.
func TestKeepVersion(t *testing.T) {
	for name, clock := range map[string]time.Duration{"settled": time.Minute, "racy": -time.Minute} {
		for _, path := range []string{"data", "data/large"} {
			t.Run(name+" "+path, func(t *testing.T) {
				s := keepSpace(t)
				s.later(clock)
				store := &watched{Store: storetest.NewMemory()}
				for i := range 3 {
					before := store.others.Load()
					s.keep(store, path)
					if got := store.others.Load() - before; got != int64(min(i, 1)) {
						t.Errorf("time %d: %d files were said to be a version of another", i, got)
					}
					s.write("data/large", strings.Repeat(fmt.Sprint("larger", i), smallFile/4))
					s.reopen()
				}
			})
		}
	}
}

func TestKeepWhatIsMissing(t *testing.T) {
	s := keepSpace(t)
	full := storetest.NewMemory()
	o := s.keep(full, "data")
	s.reopen()
	for _, lost := range []cas.Digest{o.Digest, o.Tree()[5].Digest, cas.Sum([]byte("3/3"))} {
		store := &watched{Store: storetest.NewMemory()}
		for _, e := range append(o.Tree(), cas.Entry{Digest: o.Digest}) {
			if e.Digest == lost {
				continue
			}
			r, err := full.Open(t.Context(), e.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := store.Store.Put(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		s.stored(store, "data", s.keep(store, "data"))
		if n := store.puts.Load(); n > 3 {
			t.Errorf("%d objects are put for one that was missing", n)
		}
		s.reopen()
	}
	damaged := &watched{Store: full, has: &cas.CorruptError{Err: io.ErrUnexpectedEOF}}
	s.stored(damaged, "data", s.keep(damaged, "data"))
	broken := &watched{Store: full, has: syscall.EIO}
	if _, err := s.Keep(t.Context(), broken, "data"); !errors.Is(err, syscall.EIO) {
		t.Errorf("Keep in a store that cannot be read = %v", err)
	}
}

func TestKeepFails(t *testing.T) {
	s := keepSpace(t)
	memory := storetest.NewMemory()
	store := storetest.NewFaulty(memory)
	store.FailPut(storetest.Fault{Err: syscall.ENOSPC})
	_, err := s.Keep(t.Context(), store, "data")
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), `store "data/`) {
		t.Errorf("Keep on a full disk = %v", err)
	}
	store.FailCommit(syscall.EIO)
	if o, err := s.Keep(t.Context(), store, "data"); !errors.Is(err, syscall.EIO) || o != nil {
		t.Errorf("Keep = %v, %v without a commit", o, err)
	}
	if memory.Len() > 0 {
		t.Errorf("%d objects are in the store without a commit", memory.Len())
	}
	s.stored(store, "data", s.keep(store, "data"))
}

// A file that is written to while it is read is not what was read, and no
// digest of it is remembered.
func TestKeepWhatChanges(t *testing.T) {
	for _, size := range []int{10, smallFile + 1} {
		s := newSpace(t)
		s.write("data/f", strings.Repeat("a", size))
		store := &watched{Store: storetest.NewMemory()}
		store.before = func() {
			// In the middle of it for a large file, too late for a small one.
			if size > smallFile {
				time.Sleep(10 * time.Millisecond)
				s.write("data/f", strings.Repeat("b", size))
			}
		}
		_, err := s.Keep(t.Context(), store, "data")
		if size > smallFile && !errors.Is(err, ErrChanging) {
			t.Errorf("Keep of %d bytes = %v", size, err)
		}
		if _, ok := s.Known("data/f"); ok != (size <= smallFile) {
			t.Errorf("%d bytes are known: %v", size, ok)
		}
		info, err := os.Lstat(s.Abs("data/f"))
		if err != nil {
			t.Fatal(err)
		}
		before := statOf(info)
		before.mtime++
		if _, _, err := s.reader(nil).content(t.Context(), new([]byte), "data/f", before, cas.Digest{}); !errors.Is(err, ErrChanging) {
			t.Errorf("reading what is not as it was = %v", err)
		}
	}
}

func TestKeepOfRacyFiles(t *testing.T) {
	s := keepSpace(t)
	s.now = func() time.Time { return time.Now().Add(-time.Minute) } // all was written just now
	store := storetest.NewMemory()
	for range 2 {
		s.check("Keep", "data", s.keep(store, "data"))
		s.check("Scan", "data", s.scan("data"))
		if d, ok := s.Known("data/1/1"); ok {
			t.Errorf("the cache knows %s", d.Short())
		}
		s.reopen()
	}
}

// What a restore has placed is known once the clock has moved on, and not before.
func TestNote(t *testing.T) {
	s := newSpace(t)
	s.write("f", "content")
	info, err := os.Lstat(s.Abs("f"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(0, max(statOf(info).ctime, statOf(info).mtime))
	d := cas.Sum([]byte("content"))
	s.now = func() time.Time { return at.Add(time.Millisecond) }
	s.Note("f", info, d)
	if _, ok := s.Known("f"); ok {
		t.Error("it is known in the tick in which it was placed")
	}
	s.reopen()
	s.later(time.Minute)
	if _, ok := s.Known("f"); ok {
		t.Error("it is known though it was written down in the tick in which it was placed")
	}
	s.Note("f", info, d)
	if got, ok := s.Known("f"); !ok || got != d {
		t.Errorf("it is known as %s, %v", got, ok)
	}
	s.reopen()
	if got, ok := s.Known("f"); !ok || got != d {
		t.Errorf("it is known to the next process as %s, %v", got, ok)
	}
}

func TestProgressCountsOnce(t *testing.T) {
	s := keepSpace(t)
	if err := os.RemoveAll(s.Abs("data/link")); err != nil {
		t.Fatal(err)
	}
	want := s.naive("data").Size()
	store := storetest.NewMemory()
	for _, look := range []struct {
		name string
		look func() (*Object, error)
	}{
		{"Scan", func() (*Object, error) { return s.Scan(t.Context(), "data") }},
		{"Scan again", func() (*Object, error) { return s.Scan(t.Context(), "data") }},
		{"Keep what is known", func() (*Object, error) { return s.Keep(t.Context(), store, "data") }},
		{"Keep again", func() (*Object, error) { return s.Keep(t.Context(), store, "data") }},
		{"Keep after a change", func() (*Object, error) {
			s.write("data/1/1", "x")
			want = s.naive("data").Size()
			return s.Keep(t.Context(), store, "data")
		}},
		{"Keep a file", func() (*Object, error) {
			want = 1
			return s.Keep(t.Context(), store, "data/1/1")
		}},
	} {
		var c counter
		s.Progress = &c
		if _, err := look.look(); err != nil || c.n.Load() != want {
			t.Errorf("%s: %d bytes, want %d, %v", look.name, c.n.Load(), want, err)
		}
	}
}

func TestScanFiles(t *testing.T) {
	s := keepSpace(t)
	for range 2 {
		o, err := s.ScanFiles(t.Context(), "data", []string{"data/large", "data/1/8", "data/0/0"})
		if err != nil || o.Files() != 3 || o.Tree()[0].Path != "0/0" || o.Digest != cas.Sum(o.Tree().Marshal()) || o.Size != o.Tree().Size() {
			t.Errorf("ScanFiles = %+v, %v", o, err)
		}
		s.reopen()
	}
	if _, err := s.ScanFiles(t.Context(), "data", []string{"data/0/0", "data/0/0"}); !errors.Is(err, cas.ErrTree) {
		t.Errorf("ScanFiles of a file twice = %v", err)
	}
}
