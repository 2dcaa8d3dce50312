package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/kept-dev/kept/cas/disk"
)

// newStore returns a folder as a store has it.
func newStore(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	for _, name := range []string{"", tempDir} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// content returns some bytes that are those of seed.
func content(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 10+r.IntN(300))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// publish makes a pack of the contents from first up to last, three in a group.
func publish(t testing.TB, s *Set, first, last uint64) Name {
	t.Helper()
	temp, err := s.fsys.Temp(filepath.Join(s.dir, tempDir))
	if err != nil {
		t.Fatal(err)
	}
	defer temp.Discard()
	w, name := write(t, temp, first, last)
	if err := temp.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(w, temp, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func write(t testing.TB, temp disk.Temp, first, last uint64) (*Writer, Name) {
	t.Helper()
	w, err := NewWriter(temp)
	if err != nil {
		t.Fatal(err)
	}
	for seed := first; seed < last; {
		var plain []byte
		var entries []Entry
		for ; seed < last && len(entries) < 3; seed++ {
			b := content(seed)
			entries = append(entries, Entry{Key: hashOf(b), Size: int64(len(b)), At: uint32(len(plain)), Len: uint32(len(b))})
			plain = append(plain, b...)
		}
		if err := w.Append(0, len(plain), plain, entries); err != nil {
			t.Fatal(err)
		}
	}
	name, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return w, name
}

// read returns what is at a location.
func read(s *Set, at Location) ([]byte, error) {
	p, err := s.Open(at.Pack)
	if err != nil {
		return nil, err
	}
	_, stored, err := p.ReadGroup(at.Group, nil)
	if err != nil {
		return nil, err
	}
	return stored[at.At:][:at.Len], nil
}

// wantAll expects exactly the contents from first up to last to be found and right.
func wantAll(t testing.TB, s *Set, first, last uint64) {
	t.Helper()
	for seed := first; seed < last; seed++ {
		want := content(seed)
		at, found, err := s.Find(hashOf(want))
		if err != nil || !found {
			t.Fatalf("find content %d: found %v, error %v", seed, found, err)
		}
		if got, err := read(s, at); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("content %d: got %x, error %v, want %x", seed, got, err, want)
		}
	}
	wantSorted(t, s, first, last)
}

// wantSorted expects the same of a search for many at once.
func wantSorted(t testing.TB, s *Set, first, last uint64) {
	t.Helper()
	seeds := map[Key]uint64{}
	for seed := first; seed < last; seed++ {
		seeds[hashOf(content(seed))] = seed
	}
	keys := slices.SortedFunc(maps.Keys(seeds), func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	found := map[int]bool{}
	err := s.FindSorted(keys, func(i int, at Location) {
		want := content(seeds[keys[i]])
		if got, err := read(s, at); err != nil || !bytes.Equal(got, want) || found[i] {
			t.Errorf("content %d: got %x, error %v, want %x, seen before: %v", seeds[keys[i]], got, err, want, found[i])
		}
		found[i] = true
	})
	if err != nil || len(found) != len(keys) {
		t.Fatalf("%d of %d are found, error %v", len(found), len(keys), err)
	}
}

// What is not there is not found among what is, in any pack or index.
func TestFindSortedAmongOthers(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	for first := uint64(0); first < 120; first += 10 {
		publish(t, s, first, first+10)
	}
	if _, err := s.Refresh(); err != nil {
		t.Fatal(err)
	}
	if err := s.Merge(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(t, s, 120, 130)
	if _, err := s.Refresh(); err != nil {
		t.Fatal(err)
	}
	var keys []Key
	there := map[Key]bool{}
	for seed := range uint64(200) {
		key := hashOf(content(seed))
		keys, there[key] = append(keys, key), seed < 130
	}
	keys = append(keys, Key{}, Key(bytes.Repeat([]byte{0xff}, 32)))
	slices.SortFunc(keys, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	found := 0
	err := s.FindSorted(keys, func(i int, _ Location) {
		if found++; !there[keys[i]] {
			t.Errorf("%x is found, which nobody put", keys[i])
		}
	})
	if err != nil || found != 130 {
		t.Errorf("%d are found, error %v", found, err)
	}
}

func wantNone(t testing.TB, s *Set, first, last uint64) {
	t.Helper()
	for seed := first; seed < last; seed++ {
		if at, found, err := s.Find(hashOf(content(seed))); err != nil || found {
			t.Fatalf("find content %d, which was never put: %v, error %v", seed, at, err)
		}
	}
}

func TestPublishedIsFound(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	wantNone(t, s, 0, 10)
	publish(t, s, 0, 100)
	wantAll(t, s, 0, 100)
	publish(t, s, 100, 200)
	wantAll(t, s, 0, 200)
	wantNone(t, s, 200, 300)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	wantAll(t, OpenSet(disk.OS, s.dir), 0, 200)
}

func TestRefreshSeesOthers(t *testing.T) {
	a := OpenSet(disk.OS, newStore(t))
	b := OpenSet(disk.OS, a.dir)
	wantNone(t, b, 0, 10)
	name := publish(t, a, 0, 10)
	if changed, err := b.Refresh(); !changed || err != nil {
		t.Fatalf("refresh after a pack came: %v, %v", changed, err)
	}
	wantAll(t, b, 0, 10)
	if changed, err := b.Refresh(); changed || err != nil {
		t.Fatalf("refresh after nothing: %v, %v", changed, err)
	}
	if err := a.Remove(name); err != nil {
		t.Fatal(err)
	}
	if changed, err := b.Refresh(); !changed || err != nil {
		t.Fatalf("refresh after a pack went: %v, %v", changed, err)
	}
	wantNone(t, a, 0, 10)
	wantNone(t, b, 0, 10)
	if _, err := b.Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("open of a removed pack: %v", err)
	}
}

func TestPublishTwice(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	first := publish(t, s, 0, 10)
	if second := publish(t, s, 0, 10); second != first {
		t.Fatalf("the same content makes packs %s and %s", first, second)
	}
	// A damaged one is no substitute for a good one.
	flip(t, s.Path(first), int64(headerSize))
	publish(t, s, 0, 10)
	wantAll(t, s, 0, 10)
}

// flip changes a bit in a file.
func flip(t testing.TB, path string, at int64) {
	t.Helper()
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 4
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEach(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	var want []Key
	for i := range uint64(10) {
		publish(t, s, i*150, i*150+300) // each content in two packs
	}
	for seed := range uint64(10*150 + 150) {
		want = append(want, hashOf(content(seed)))
	}
	compare := func(a, b Key) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(want, compare)
	for _, prefix := range [][]byte{nil, {0}, {0x7f}, {0xff}, want[7][:3], want[8][:]} {
		var got []Key
		err := s.Each(prefix, func(at Location) error { got = append(got, at.Key); return nil })
		if err != nil {
			t.Fatal(err)
		}
		want := slices.DeleteFunc(slices.Clone(want), func(k Key) bool { return !bytes.HasPrefix(k[:], prefix) })
		if !slices.Equal(got, want) {
			t.Errorf("prefix %x: got %d keys, want %d", prefix, len(got), len(want))
		}
	}
	stop := errors.New("enough")
	if err := s.Each(nil, func(Location) error { return stop }); err != stop {
		t.Errorf("each returns %v, want the error of the function", err)
	}
}

func TestAppendConcurrently(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	temp, err := disk.OS.Temp(filepath.Join(s.dir, tempDir))
	if err != nil {
		t.Fatal(err)
	}
	defer temp.Discard()
	w, err := NewWriter(temp)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			for i := range uint64(50) {
				b := content(g*50 + i)
				e := []Entry{{Key: hashOf(b), Size: int64(len(b)), Len: uint32(len(b))}}
				if err := w.Append(0, len(b), b, e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	name, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(w, temp, name); err != nil {
		t.Fatal(err)
	}
	wantAll(t, s, 0, 400)
	p, err := s.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}

func TestStrayFilesAreIgnored(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	name := publish(t, s, 0, 10)
	for _, stray := range []string{"README", "abc.pack", fmt.Sprintf("%X.pack", name[:]), name.String() + ".pack~"} {
		if err := os.WriteFile(filepath.Join(s.dir, packsDir, stray), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(s.Path(Name{1}), 0o700); err != nil {
		t.Fatal(err)
	}
	s = OpenSet(disk.OS, s.dir)
	wantAll(t, s, 0, 10)
	if packs, err := s.Packs(); len(packs) != 1 || err != nil {
		t.Errorf("packs: %v, %v", packs, err)
	}
	if damaged := s.Damaged(); len(damaged) != 0 {
		t.Errorf("damaged: %v", damaged)
	}
}
