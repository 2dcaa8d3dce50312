package cas_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/chunk"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/storetest"
)

// localStore is a Local that can damage its objects.
type localStore struct {
	*cas.Local
	dir string
}

func openLocal(t testing.TB, dir string) localStore {
	t.Helper()
	l, err := cas.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return localStore{l, dir}
}

// Corrupt implements storetest.Corrupter: it changes one byte where the last
// chunk of d is stored.
func (s localStore) Corrupt(d cas.Digest) error {
	file, offset, size, err := s.Place(d)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b[offset+size/2] ^= 1
	s.Forget()
	return overwrite(file, b)
}

// overwrite changes a file that nobody is meant to change.
func overwrite(name string, b []byte) error {
	if err := os.Chmod(name, 0o600); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o600)
}

func mustPut(t testing.TB, s cas.Store, content []byte) cas.Digest {
	t.Helper()
	d, _, err := s.Put(background, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func readAll(s cas.Store, d cas.Digest) ([]byte, error) {
	return cas.ReadAll(background, s, d, 1<<30)
}

func wantContent(t testing.TB, s cas.Store, content []byte) {
	t.Helper()
	if b, err := readAll(s, cas.Sum(content)); err != nil || !bytes.Equal(b, content) {
		t.Errorf("%d bytes come back as %d, %v", len(content), len(b), err)
	}
}

func isMissing(err error) bool {
	var e *cas.MissingError
	return errors.As(err, &e)
}

func asCorrupt(err error) *cas.CorruptError {
	var e *cas.CorruptError
	errors.As(err, &e)
	return e
}

// tree lists the files below dir, with slashes.
func listFiles(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

func TestLocal(t *testing.T) {
	storetest.Run(t, func(t *testing.T) cas.Store { return openLocal(t, t.TempDir()) })
}

func TestLocalCreatesNothingBeforePut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	s := openLocal(t, dir)
	d := cas.Sum([]byte("x"))
	if _, err := s.Stat(t.Context(), d); !isMissing(err) {
		t.Errorf("Stat = %v", err)
	}
	if _, err := s.Open(t.Context(), d); !isMissing(err) {
		t.Errorf("Open = %v", err)
	}
	if found, err := s.Find("abcd"); found != nil || err != nil {
		t.Errorf("Find = %v, %v", found, err)
	}
	if order := s.Order([]cas.Digest{d, {}}); len(order) != 2 {
		t.Errorf("Order = %v", order)
	}
	if n, err := s.Sweep(); n != 0 || err != nil {
		t.Errorf("Sweep = %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
	mustPut(t, s, []byte("x"))
	wantContent(t, s, []byte("x"))
}

func TestOpenLocalRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "store")} {
		if _, err := cas.OpenLocal(dir); err == nil {
			t.Errorf("OpenLocal(%q) works", dir)
		}
	}
}

// storedBytes is what the packs take.
func (s localStore) storedBytes(t testing.TB) (bytes int64, packs int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "packs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	return bytes, len(names)
}

func TestBatchIsOnePack(t *testing.T) {
	s := openLocal(t, t.TempDir())
	b := s.Batch()
	defer b.Close()
	var contents [][]byte
	for i := range uint64(500) {
		contents = append(contents, storetest.Text(i, int(i*37%9000)), storetest.Random(i, int(i*53%9000)))
	}
	contents = append(contents, storetest.Random(1, 3<<20), storetest.Text(1, 3<<20))
	for _, content := range contents {
		d, n, err := b.Put(t.Context(), bytes.NewReader(content))
		if err != nil || d != cas.Sum(content) || n != int64(len(content)) {
			t.Fatalf("Put = %v, %d, %v", d, n, err)
		}
		if has, err := b.Has(t.Context(), d); !has || err != nil {
			t.Fatalf("Has of what was put = %v, %v", has, err)
		}
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, packs := s.storedBytes(t); packs != 1 {
		t.Errorf("%d packs", packs)
	}
	for _, again := range []localStore{s, openLocal(t, s.dir)} {
		for _, content := range contents {
			wantContent(t, again, content)
		}
	}
	if names := listFiles(t, s.TempDir()); len(names) > 0 {
		t.Errorf("temporary files left: %v", names)
	}
}

func TestBatchNotCommitted(t *testing.T) {
	s := openLocal(t, t.TempDir())
	b := s.Batch()
	content := storetest.Random(1, 3<<20)
	if _, _, err := b.Put(t.Context(), bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), cas.Sum(content)); !isMissing(err) {
		t.Errorf("Stat of what was not committed: %v", err)
	}
	if _, _, err := b.Put(t.Context(), bytes.NewReader(content)); err == nil {
		t.Error("a closed batch takes content")
	}
	mustPut(t, s, content)
	wantContent(t, s, content)
}

// Packs that are full are there before Commit, so that a writer which is killed
// can go on where it was, but no manifest is.
func TestBatchPublishesFullPacks(t *testing.T) {
	s := openLocal(t, t.TempDir())
	const size = 150 << 20
	stream := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{7}), size) }
	b := s.Batch()
	d, _, err := b.Put(t.Context(), stream())
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	before, packs := s.storedBytes(t)
	if packs != 2 {
		t.Errorf("%d packs before Commit, want 2", packs)
	}
	if _, err := s.Stat(t.Context(), d); !isMissing(err) {
		t.Errorf("Stat before Commit: %v", err)
	}
	if _, _, err := s.Put(t.Context(), stream()); err != nil {
		t.Fatal(err)
	}
	after, _ := s.storedBytes(t)
	if grown, most := after-before, size-before+1<<20; grown > most {
		t.Errorf("the next writer stored %d bytes more, want at most %d", grown, most)
	}
	r, err := s.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); n != size || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// A second version costs what is new in it.
func TestVersionsShareChunks(t *testing.T) {
	s := openLocal(t, t.TempDir())
	first := storetest.Random(1, 32<<20)
	second := slices.Concat(first[:10<<20], storetest.Random(2, 100_000), first[10<<20:20<<20], storetest.Random(3, 100_000), first[20<<20+100_000:])
	mustPut(t, s, first)
	before, _ := s.storedBytes(t)
	mustPut(t, s, second)
	after, _ := s.storedBytes(t)
	if grown := after - before; grown < 200_000 || grown > 200_000+8*chunk.Average {
		t.Errorf("200,000 new bytes of 32 MiB store %d bytes more", grown)
	}
	wantContent(t, s, first)
	wantContent(t, s, second)
	a, errA := s.Ranges(t.Context(), cas.Sum(first))
	b, errB := s.Ranges(t.Context(), cas.Sum(second))
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	shared := map[cas.Digest]bool{}
	for _, r := range a {
		shared[r.Digest] = true
		if cas.Sum(first[r.Offset:r.Offset+r.Size]) != r.Digest {
			t.Fatalf("range %v is of other bytes", r)
		}
	}
	n := 0
	for _, r := range b {
		if shared[r.Digest] {
			n++
		}
	}
	if n < len(b)*9/10 {
		t.Errorf("%d of %d ranges are shared", n, len(b))
	}
}

func TestPutOfPresentContentWritesNothing(t *testing.T) {
	s := openLocal(t, t.TempDir())
	contents := [][]byte{nil, storetest.Text(1, 10_000), storetest.Random(1, 3<<20)}
	for _, content := range contents {
		mustPut(t, s, content)
	}
	bytes, packs := s.storedBytes(t)
	for _, again := range []localStore{s, openLocal(t, s.dir)} {
		for _, content := range contents {
			mustPut(t, again, content)
		}
	}
	if b, p := s.storedBytes(t); b != bytes || p != packs {
		t.Errorf("%d bytes in %d packs became %d in %d", bytes, packs, b, p)
	}
}

// What a damaged pack still has whole is there after it was taken out of use.
func TestDamageIsContained(t *testing.T) {
	s := openLocal(t, t.TempDir())
	b := s.Batch()
	defer b.Close()
	var contents [][]byte
	for i := range uint64(300) {
		contents = append(contents, storetest.Random(i, 20_000))
	}
	contents = append(contents, storetest.Random(1000, 3<<20), storetest.Text(1, 200_000))
	for _, content := range contents {
		if _, err := b.PutBytes(t.Context(), content); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	bad := contents[150]
	if err := s.Corrupt(cas.Sum(bad)); err != nil {
		t.Fatal(err)
	}
	_, err := readAll(s, cas.Sum(bad))
	corrupt := asCorrupt(err)
	if corrupt == nil || corrupt.Quarantine == "" {
		t.Fatalf("read of a damaged object: %v", err)
	}
	if _, err := os.Stat(corrupt.Quarantine); err != nil {
		t.Error(err)
	}
	lost := 0
	for _, again := range []localStore{s, openLocal(t, s.dir)} {
		lost = 0
		for _, content := range contents {
			got, err := readAll(again, cas.Sum(content))
			switch {
			case isMissing(err):
				lost++
			case err != nil || !bytes.Equal(got, content):
				t.Errorf("after damage elsewhere: %v", err)
			}
		}
	}
	if lost < 1 || lost > 2 { // one byte is in one object, or two that share a group of planes
		t.Errorf("%d objects are lost", lost)
	}
	mustPut(t, s, bad)
	wantContent(t, s, bad)
}

// Two stores of one folder see each other's objects.
func TestStoresOfOneFolder(t *testing.T) {
	dir := t.TempDir()
	a, b := openLocal(t, dir), openLocal(t, dir)
	for i := range uint64(30) {
		content := storetest.Random(i, 1000)
		mustPut(t, a, content)
		wantContent(t, b, content)
		a, b = b, a
	}
}

func TestLocalMemoryIsBounded(t *testing.T) {
	s := openLocal(t, t.TempDir())
	const size = 128 << 20
	for name, source := range map[string]io.Reader{"random": rand.NewChaCha8([32]byte{1}), "zeros": zeroReader{}} {
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		peak, stop := watchHeap()
		d, _, err := s.Put(t.Context(), io.LimitReader(source, size))
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); n != size || err != nil {
			t.Fatal(n, err)
		}
		r.Close()
		stop()
		if got := int64(peak()) - int64(before.HeapInuse); got > 200<<20 {
			t.Errorf("%s: 128 MiB in and out take %d MiB", name, got>>20)
		}
	}
}

// watchHeap looks at the heap until stop.
func watchHeap() (peak func() uint64, stop func()) {
	var most uint64
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-quit:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { return most }, func() { close(quit); <-done }
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// visibleIsWhole reads all that the store shows.
func visibleIsWhole(t testing.TB, s localStore) {
	t.Helper()
	err := s.Walk(func(d cas.Digest, size int64) error {
		b, err := readAll(s, d)
		if err == nil && int64(len(b)) != size {
			err = fmt.Errorf("it is said to have %d bytes and has %d", size, len(b))
		}
		return err
	})
	if err != nil {
		t.Errorf("the store shows what is not whole: %v", err)
	}
}

func TestFind(t *testing.T) {
	s := openLocal(t, t.TempDir())
	var list []cas.Digest
	for i := range 300 {
		list = append(list, mustPut(t, s, storetest.Text(uint64(i), 20*i)))
	}
	for _, d := range list {
		for _, n := range []int{4, 5, 10, 63, 64} {
			for _, prefix := range []string{"", cas.Prefix} {
				found, err := s.Find(prefix + d.Hex()[:n])
				if err != nil || !slices.Contains(found, d) || n > 10 && len(found) != 1 {
					t.Fatalf("Find of %d digits = %v, %v", n, found, err)
				}
			}
		}
	}
	if found, err := s.Find(strings.ToUpper(list[0].Hex()[:12])); len(found) != 1 || err != nil {
		t.Errorf("Find in upper case = %v, %v", found, err)
	}
	if found, err := s.Find("00000000"); len(found) != 0 || err != nil {
		t.Errorf("Find of nothing = %v, %v", found, err)
	}
	for _, prefix := range []string{"", "abc", "blake3:abc", "abcg", "../..", "ab/cd", strings.Repeat("a", 65), "sha256:abcd"} {
		if _, err := s.Find(prefix); err == nil {
			t.Errorf("Find(%q) works", prefix)
		}
	}
}

func TestSweep(t *testing.T) {
	s := openLocal(t, t.TempDir())
	mustPut(t, s, []byte("x"))
	old := time.Now().Add(-disk.StrayAge - time.Minute)
	for name, age := range map[string]time.Time{
		"tmp-old": old, "tmp-old2": old, "tmp-young": time.Now().Add(-disk.StrayAge + time.Hour), "mine": old,
	} {
		file := filepath.Join(s.TempDir(), name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, age, age); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Sweep(); n != 2 || err != nil {
		t.Errorf("Sweep = %d, %v; want 2", n, err)
	}
	if got := listFiles(t, s.TempDir()); !slices.Equal(got, []string{"mine", "tmp-young"}) {
		t.Errorf("left: %v", got)
	}
	wantContent(t, s, []byte("x"))
}

func benchmarkPut(b *testing.B, make func(seed uint64, size int) []byte, size int) {
	s := openLocal(b, b.TempDir())
	content := make(1, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		binary.LittleEndian.PutUint64(content, i) // new content every time
		mustPut(b, s, content)
	}
}

func BenchmarkPutRandom64M(b *testing.B) { benchmarkPut(b, storetest.Random, 64<<20) }
func BenchmarkPutText64M(b *testing.B)   { benchmarkPut(b, storetest.Text, 64<<20) }
func BenchmarkPutRandom4K(b *testing.B)  { benchmarkPut(b, storetest.Random, 4<<10) }
func BenchmarkPutText20K(b *testing.B)   { benchmarkPut(b, storetest.Text, 20<<10) }

func BenchmarkPutPresent20K(b *testing.B) {
	s := openLocal(b, b.TempDir())
	content := storetest.Text(1, 20<<10)
	for b.Loop() {
		mustPut(b, s, content)
	}
}

func benchmarkOpen(b *testing.B, content []byte) {
	s := openLocal(b, b.TempDir())
	d := mustPut(b, s, content)
	buf := make([]byte, 256<<10)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.Open(background, d)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

func BenchmarkOpenRandom64M(b *testing.B) { benchmarkOpen(b, storetest.Random(1, 64<<20)) }
func BenchmarkOpenText64M(b *testing.B)   { benchmarkOpen(b, storetest.Text(1, 64<<20)) }
func BenchmarkOpenRandom4K(b *testing.B)  { benchmarkOpen(b, storetest.Random(1, 4<<10)) }
