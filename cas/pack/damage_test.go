package pack

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kept-dev/kept/cas/disk"
)

// check opens a pack and reads all of it.
func check(content []byte, name Name) error {
	p, err := Open(memoryFS{content: content}, "", name)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Each(func(Entry) error { return nil }); err != nil {
		return err
	}
	return p.Check()
}

func wantDamage(t *testing.T, err error, name Name) {
	t.Helper()
	var damage *DamageError
	if !errors.As(err, &damage) || damage.Pack != name {
		t.Errorf("got %v, want damage of pack %s", err, name)
	}
}

func TestEveryBitOfAPackCounts(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	name := publish(t, s, 0, 5)
	good, err := os.ReadFile(s.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	for at := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << bit
			if err := check(bad, name); err == nil {
				t.Fatalf("bit %d of byte %d of %d: not seen", bit, at, len(good))
			} else {
				wantDamage(t, err, name)
			}
		}
	}
}

func TestPackOfAnotherLength(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	name := publish(t, s, 0, 5)
	good, err := os.ReadFile(s.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(good) {
		wantDamage(t, check(good[:n], name), name)
	}
	for _, more := range []string{"\x00", "kept", header, string(good[len(good)-trailerSize:]), string(good)} {
		wantDamage(t, check(append(bytes.Clone(good), more...), name), name)
	}
}

func TestSwappedPacks(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	a, b := publish(t, s, 0, 5), publish(t, s, 5, 10)
	good := publish(t, s, 10, 15)
	hold := filepath.Join(s.dir, "hold")
	for _, move := range [][2]string{{s.Path(a), hold}, {s.Path(b), s.Path(a)}, {hold, s.Path(b)}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []Name{a, b} {
		_, err := s.Open(name)
		wantDamage(t, err, name)
	}
	s = OpenSet(disk.OS, s.dir)
	wantAll(t, s, 10, 15)
	wantNone(t, s, 0, 10)
	if got := s.Damaged(); len(got) != 2 || got[0].Pack == good || got[1].Pack == good {
		t.Errorf("damaged: %v, want %s and %s", got, a, b)
	}
	if err := s.Quarantine(a); err != nil {
		t.Fatal(err)
	}
	if got := s.Damaged(); len(got) != 1 || got[0].Pack != b {
		t.Errorf("damaged: %v, want %s", got, b)
	}
	if _, err := os.Stat(filepath.Join(s.dir, quarantineDir, a.String()+packExt)); err != nil {
		t.Error(err)
	}
}

func TestPackOfAnotherVersion(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	name := publish(t, s, 0, 5)
	b, err := os.ReadFile(s.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.ReplaceAll(b, []byte(header), []byte("kept pack 2\n\x00\x00\x00\x00"))
	if err := check(b, name); !errors.Is(err, ErrVersion) {
		t.Errorf("got %v, want ErrVersion", err)
	}
}

func TestReadGroup(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	name := publish(t, s, 0, 9)
	p, err := s.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	g, got, err := p.ReadGroup(1, buf)
	if err != nil || int(g.Stored) != len(got) || &got[0] != &buf[0] {
		t.Errorf("group %+v, %d bytes, %v; want it in the buffer", g, len(got), err)
	}
	want := append(append(content(3), content(4)...), content(5)...)
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	flip(t, s.Path(name), g.Offset+5)
	var damage *DamageError
	if _, _, err := p.ReadGroup(1, nil); !errors.As(err, &damage) || damage.Group != 1 {
		t.Errorf("damaged group: %v", err)
	}
	if _, _, err := p.ReadGroup(0, nil); err != nil {
		t.Errorf("its neighbour: %v", err)
	}
	if _, _, err := p.ReadGroup(3, nil); !errors.As(err, &damage) || damage.Group != 3 {
		t.Errorf("group that is not there: %v", err)
	}
}

// indexed returns a store whose packs all have an index, and its name.
func indexed(t *testing.T, packs, each uint64) (*Set, Name) {
	t.Helper()
	s := OpenSet(&faultyFS{FS: disk.OS}, newStore(t))
	for i := range packs {
		publish(t, s, i*each, i*each+each)
	}
	merge(t, s)
	names := indexes(t, s)
	if len(names) != 1 || s.view.Load().tables() != 0 {
		t.Fatalf("indexes %v, want one of all packs", names)
	}
	return OpenSet(s.fsys, s.dir), names[0]
}

func TestEveryBitOfAnIndexCounts(t *testing.T) {
	each := uint64(1)
	if os.Getenv("FAULTS_BITS") == "all" {
		each = 121 // 64 KiB
	}
	s, name := indexed(t, 9, each)
	good, err := os.ReadFile(s.indexPath(name))
	if err != nil {
		t.Fatal(err)
	}
	for at := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << bit
			r, err := openIndex(memoryFS{content: bad}, "", name)
			if err == nil {
				err = r.index.verify()
			}
			if err == nil {
				t.Fatalf("bit %d of byte %d of %d: not seen", bit, at, len(good))
			}
		}
	}
}

func TestDamagedIndexIsDropped(t *testing.T) {
	const packs, each = 12, 4
	for at := int64(0); at < 4000; at += 61 {
		s, name := indexed(t, packs, each)
		info, err := os.Stat(s.indexPath(name))
		if err != nil {
			t.Fatal(err)
		}
		if at >= info.Size() {
			break
		}
		flip(t, s.indexPath(name), at)
		if err := s.Verify(); err != nil {
			t.Fatal(err)
		}
		wantAll(t, s, 0, packs*each)
		if left := indexes(t, s); len(left) != 0 {
			t.Errorf("byte %d: the damaged index is still there", at)
		}
		merge(t, s)
		if again := indexes(t, s); len(again) != 1 || again[0] != name {
			t.Errorf("byte %d: index made again: %v, want %s", at, again, name)
		}
		if err := s.Verify(); err != nil {
			t.Fatal(err)
		}
		wantAll(t, s, 0, packs*each)
	}
}

func TestDamagedIndexIsNotMerged(t *testing.T) {
	s, name := indexed(t, 9, 4)
	flip(t, s.indexPath(name), int64(indexHeaderSize+9*nameSize+11*recordSize+3)) // a key
	for i := range uint64(20) {
		publish(t, s, 36+i*4, 40+i*4)
	}
	merge(t, s)
	wantAll(t, s, 0, 116)
	wantAll(t, OpenSet(disk.OS, s.dir), 0, 116)
}

func TestIndexOfAnotherVersionIsIgnored(t *testing.T) {
	s, name := indexed(t, 9, 4)
	if err := os.Remove(s.indexPath(name)); err != nil {
		t.Fatal(err)
	}
	next := []byte("kept index 2\n\x00\x00\x00" + "records of a kind that this version does not know")
	other := hashOf(next)
	next = append(next, other[:]...)
	if err := os.WriteFile(s.indexPath(other), next, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openIndex(disk.OS, s.indexPath(other), other); !errors.Is(err, ErrVersion) {
		t.Errorf("got %v, want ErrVersion", err)
	}

	wantAll(t, s, 0, 36)
	wantNone(t, s, 36, 40)
	merge(t, s)
	wantAll(t, OpenSet(disk.OS, s.dir), 0, 36)
	if got := indexes(t, s); len(got) != 2 || !slices.Contains(got, name) || !slices.Contains(got, other) {
		t.Errorf("indexes %v, want %s made again beside %s", got, name, other)
	}
	if after, err := os.ReadFile(s.indexPath(other)); err != nil || !bytes.Equal(after, next) {
		t.Errorf("the other version's index was changed: %v", err)
	}

	// With a bit that is wrong it is one that nobody can use.
	next[len(indexHeader)]++
	var damage indexDamage
	if _, err := openIndex(memoryFS{content: next}, "", other); !errors.As(err, &damage) {
		t.Errorf("damaged: got %v, want damage", err)
	}
}

// An index may be cut short while it is mapped: the disk gives nothing where it was.
func TestIndexIsCutWhileMapped(t *testing.T) {
	uses := map[string]func(*testing.T, *Set, uint64){
		"find": func(t *testing.T, s *Set, n uint64) { wantAll(t, s, 0, n) },
		"each": func(t *testing.T, s *Set, n uint64) {
			got := uint64(0)
			if err := s.Each(nil, func(Location) error { got++; return nil }); got != n || err != nil {
				t.Errorf("each: %d entries, %v, want %d", got, err, n)
			}
		},
		"verify": func(t *testing.T, s *Set, _ uint64) {
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
		},
		"merge": func(t *testing.T, s *Set, n uint64) {
			for i := range uint64(10) {
				publish(t, s, n+i, n+i+1)
			}
			merge(t, s)
		},
	}
	for name, use := range uses {
		for _, left := range []int64{0, 1, 4096, 8192} {
			t.Run(name, func(t *testing.T) {
				s, index := indexed(t, 40, 10)
				wantAll(t, s, 0, 1)
				path := s.indexPath(index)
				if err := os.Chmod(path, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(path, left); err != nil {
					t.Fatal(err)
				}
				use(t, s, 400)
				wantAll(t, s, 0, 400)
				if err := s.Merge(context.Background()); err != nil {
					t.Fatal(err)
				}
				wantAll(t, OpenSet(disk.OS, s.dir), 0, 400)
			})
		}
	}
}

// An index that cannot be read now may be a good one: it stays.
func TestUnreadableIndexStays(t *testing.T) {
	for _, op := range []string{"open", "map"} {
		s, name := indexed(t, 9, 4)
		f := s.fsys.(*faultyFS)
		f.fails = func(o, path string) bool { return o == op && path == s.indexPath(name) }
		wantAll(t, s, 0, 36)
		if n := s.view.Load().tables(); n != 9 {
			t.Errorf("%s fails: %d tables are used, want all 9", op, n)
		}
		f.fails = nil
		if _, err := s.Refresh(); err != nil {
			t.Fatal(err)
		}
		wantAll(t, s, 0, 36)
		if n := s.view.Load().tables(); n != 0 {
			t.Errorf("after %s failed: %d tables are used beside the index", op, n)
		}
	}
}

func TestPanicOfCallerPasses(t *testing.T) {
	s, _ := indexed(t, 9, 4)
	defer func() {
		if e := recover(); e != "mine" {
			t.Errorf("recovered %v", e)
		}
	}()
	_ = s.Each(nil, func(Location) error { panic("mine") })
}

func TestUnreadablePackIsNotMissing(t *testing.T) {
	dir := newStore(t)
	a := publish(t, OpenSet(disk.OS, dir), 0, 5)
	publish(t, OpenSet(disk.OS, dir), 5, 10)
	f := &faultyFS{FS: disk.OS, fails: func(op, name string) bool { return op == "read" && filepath.Base(name) == a.String()+packExt }}
	s := OpenSet(f, dir)
	wantAll(t, s, 5, 10)
	for seed := range uint64(5) {
		if _, found, err := s.Find(hashOf(content(seed))); found || !errors.Is(err, errDisk) {
			t.Errorf("find in a pack that the disk does not give: %v, %v", found, err)
		}
	}
	if err := s.Each(nil, func(Location) error { return nil }); !errors.Is(err, errDisk) {
		t.Errorf("each: %v", err)
	}
	if got := s.Damaged(); len(got) != 0 {
		t.Errorf("damaged: %v", got)
	}
	f.fails = nil
	wantAll(t, s, 0, 10)
	if err := s.Remove(a); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Path(a)); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A disk that gives a pack wrong once costs nobody the pack.
func TestPublishLooksTwice(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	name := publish(t, s, 0, 5)
	info, err := os.Stat(s.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	for bad := range 2 {
		wrong := &wrongOnceFS{FS: disk.OS, left: bad + 1}
		again := OpenSet(wrong, s.dir)
		publish(t, again, 0, 5)
		wantAll(t, again, 0, 5)
		after, err := os.Stat(s.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		if same := os.SameFile(info, after); same != (bad == 0) {
			t.Errorf("read wrong %d times: the same file: %v", bad+1, same)
		}
	}
}

// wrongOnceFS gives the last byte of the groups of packs wrong, a number of times.
type wrongOnceFS struct {
	disk.FS
	left int
}

func (w *wrongOnceFS) Open(name string) (disk.File, error) {
	f, err := w.FS.Open(name)
	return &wrongFile{f, w}, err
}

type wrongFile struct {
	disk.File
	fs *wrongOnceFS
}

func (f *wrongFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	if at == int64(headerSize) && f.fs.left > 0 { // the first group
		f.fs.left--
		b[n-1] ^= 1
	}
	return n, err
}

func TestWithoutStaysWithout(t *testing.T) {
	s := OpenSet(disk.OS, newStore(t))
	a := publish(t, s, 0, 5)
	publish(t, s, 5, 10)
	rest, err := s.Without(map[Name]bool{a: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantNone(t, rest, 0, 5)
		wantAll(t, rest, 5, 10)
		if _, err := rest.Refresh(); err != nil { // as after an index turned out to be damaged
			t.Fatal(err)
		}
	}
	wantAll(t, s, 0, 10)
}
