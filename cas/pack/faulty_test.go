package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/disk"
)

var errDisk = errors.New("input/output error")

// faultyFS fails where it is told to. It does not wait for the disk: no test cuts the power.
type faultyFS struct {
	disk.FS
	// fails is asked before every operation; nil is never. It is called by many at once.
	fails func(op, name string) bool
	open  atomic.Int64 // files
}

func (f *faultyFS) check(op, name string) error {
	if f.fails != nil && f.fails(op, name) {
		return &fs.PathError{Op: op, Path: name, Err: errDisk}
	}
	return nil
}

func (f *faultyFS) do(op, name string, fn func() error) error {
	if err := f.check(op, name); err != nil {
		return err
	}
	return fn()
}

func (f *faultyFS) Mkdir(name string) error {
	return f.do("mkdir", name, func() error { return f.FS.Mkdir(name) })
}

func (f *faultyFS) Rename(from, to string) error {
	return f.do("rename", from, func() error { return f.FS.Rename(from, to) })
}

func (f *faultyFS) Link(from, to string) error {
	return f.do("link", from, func() error { return f.FS.Link(from, to) })
}

func (f *faultyFS) Remove(name string) error {
	return f.do("remove", name, func() error { return f.FS.Remove(name) })
}

func (f *faultyFS) Touch(name string, t time.Time) error {
	return f.do("touch", name, func() error { return f.FS.Touch(name, t) })
}

func (f *faultyFS) SyncDir(name string) error {
	return f.check("syncdir", name)
}

func (f *faultyFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.check("readdir", name); err != nil {
		return nil, err
	}
	return f.FS.ReadDir(name)
}

func (f *faultyFS) Stat(name string) (fs.FileInfo, error) {
	if err := f.check("stat", name); err != nil {
		return nil, err
	}
	return f.FS.Stat(name)
}

func (f *faultyFS) Open(name string) (disk.File, error) {
	if err := f.check("open", name); err != nil {
		return nil, err
	}
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	f.open.Add(1)
	return &faultyFile{file, f, name}, nil
}

type faultyFile struct {
	disk.File
	fs   *faultyFS
	name string
}

func (f *faultyFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.fs.check("read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, at)
}

func (f *faultyFile) Stat() (fs.FileInfo, error) {
	if err := f.fs.check("fstat", f.name); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f *faultyFile) Map() ([]byte, func(), error) {
	if err := f.fs.check("map", f.name); err != nil {
		return nil, nil, err
	}
	return f.File.Map()
}

func (f *faultyFile) Close() error {
	f.fs.open.Add(-1)
	return f.File.Close()
}

func (f *faultyFS) Temp(dir string) (disk.Temp, error) {
	if err := f.check("temp", dir); err != nil {
		return nil, err
	}
	t, err := f.FS.Temp(dir)
	if err != nil {
		return nil, err
	}
	return &faultyTemp{t, f, dir}, nil
}

type faultyTemp struct {
	disk.Temp
	fs  *faultyFS
	dir string
}

// Write leaves half of it behind, as a full disk does.
func (t *faultyTemp) Write(b []byte) (int, error) {
	if err := t.fs.check("write", t.dir); err != nil {
		n, _ := t.Temp.Write(b[:len(b)/2])
		return n, err
	}
	return t.Temp.Write(b)
}

func (t *faultyTemp) WriteAt(b []byte, at int64) (int, error) {
	if err := t.fs.check("write", t.dir); err != nil {
		n, _ := t.Temp.WriteAt(b[:len(b)/2], at)
		return n, err
	}
	return t.Temp.WriteAt(b, at)
}

func (t *faultyTemp) Sync() error {
	return t.fs.check("sync", t.dir)
}

func (t *faultyTemp) Publish(name string) error {
	return t.fs.do("publish", name, func() error { return t.Temp.Publish(name) })
}

// memoryFS has one file, whatever it is called.
type memoryFS struct {
	disk.FS
	content []byte
}

func (m memoryFS) Open(string) (disk.File, error) {
	return memoryFile{bytes.NewReader(m.content), m.content}, nil
}

type memoryFile struct {
	*bytes.Reader
	content []byte
}

func (f memoryFile) Map() ([]byte, func(), error) { return f.content, func() {}, nil }
func (f memoryFile) Close() error                 { return nil }
func (f memoryFile) Stat() (fs.FileInfo, error)   { return memoryInfo{size: f.Size()}, nil }

type memoryInfo struct {
	fs.FileInfo
	size int64
}

func (i memoryInfo) Size() int64 { return i.size }

// put is publish that returns its error.
func put(s *Set, seed uint64) (Name, error) {
	temp, err := s.temp()
	if err != nil {
		return Name{}, err
	}
	defer temp.Discard()
	w, err := NewWriter(temp)
	if err != nil {
		return Name{}, err
	}
	b := content(seed)
	if err := w.Append(0, len(b), b, []Entry{{Key: hashOf(b), Size: int64(len(b)), Len: uint32(len(b))}}); err != nil {
		return Name{}, err
	}
	name, err := w.Finish()
	if err != nil {
		return Name{}, err
	}
	if err := temp.Sync(); err != nil {
		return Name{}, err
	}
	return name, s.Publish(w, temp, name)
}

// Whatever fails, what was published is there and whole, and what was not is not.
func TestEveryOperationMayFail(t *testing.T) {
	for n := 1; ; n++ {
		count, failed := 0, ""
		f := &faultyFS{FS: disk.OS}
		f.fails = func(op, name string) bool {
			if count++; count == n {
				failed = op + " " + filepath.Base(name)
			}
			return count == n
		}
		dir := newStore(t)
		os.Remove(filepath.Join(dir, tempDir))
		published := scenario(t, OpenSet(f, dir), failed)
		s := OpenSet(disk.OS, dir)
		for seed, there := range published {
			b := content(seed)
			at, found, err := s.Find(hashOf(b))
			if err != nil || there && !found {
				t.Fatalf("operation %d (%s) failed: content %d: found %v, %v", n, failed, seed, found, err)
			}
			if !found {
				continue
			}
			if got, err := read(s, at); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("operation %d (%s) failed: content %d: %x, %v", n, failed, seed, got, err)
			}
		}
		if bad := s.Damaged(); len(bad) != 0 {
			t.Fatalf("operation %d (%s) failed: damaged: %v", n, failed, bad)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, tempDir)); len(left) != 0 {
			t.Fatalf("operation %d (%s) failed: left in tmp: %v", n, failed, left)
		}
		if failed == "" {
			t.Logf("%d operations", count)
			return
		}
	}
}

// scenario publishes, merges and removes, and returns the contents that must be
// there (true) or may be.
func scenario(t *testing.T, s *Set, failed string) map[uint64]bool {
	t.Helper()
	published := map[uint64]bool{}
	var names []Name
	for seed := range uint64(20) {
		name, err := put(s, seed)
		published[seed] = err == nil
		if err == nil {
			names = append(names, name)
		}
		if seed%10 == 9 {
			_ = s.Merge(context.Background())
		}
		if seed == 12 {
			_, _ = put(s, seed) // is there
			_, _ = s.Refresh()
			_ = s.Sync()
		}
	}
	if err := s.Remove(names[3]); err == nil {
		for seed := range published {
			if names[3] == nameOf(t, seed) {
				delete(published, seed)
			}
		}
	}
	_ = s.Verify()
	for seed, there := range published {
		at, found, err := s.Find(hashOf(content(seed)))
		if there && err == nil && !found {
			t.Fatalf("%s failed: content %d is not found by the one who put it", failed, seed)
		}
		if found {
			_, _ = read(s, at)
		}
	}
	return published
}

// nameOf returns the name of the pack that put makes.
func nameOf(t *testing.T, seed uint64) Name {
	t.Helper()
	temp, err := disk.OS.Temp(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer temp.Discard()
	_, name := write(t, temp, seed, seed+1)
	return name
}

func TestFewFilesStayOpen(t *testing.T) {
	f := &faultyFS{FS: disk.OS}
	s := OpenSet(f, newStore(t))
	const packs = 3 * maxOpen
	held := map[Name]*Pack{}
	for i := range uint64(packs) {
		name := publish(t, s, i, i+1)
		p, err := s.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		held[name] = p
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, p := range held { // also those that were closed
				if _, _, err := p.ReadGroup(0, nil); err != nil {
					t.Error(err)
				}
				if n := f.open.Load(); n > maxOpen+4 {
					t.Errorf("%d files are open", n)
				}
			}
		})
	}
	wg.Wait()
	if n := f.open.Load(); n > maxOpen {
		t.Errorf("%d files stay open", n)
	}
	for name := range held {
		if err := s.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.open.Load(); n != 0 {
		t.Errorf("%d files of removed packs stay open", n)
	}
}

// Writers, mergers and removers of two sets, and readers of both, on one folder.
func TestManyShareAFolder(t *testing.T) {
	dir := newStore(t)
	f := &faultyFS{FS: disk.OS}
	sets := []*Set{OpenSet(f, dir), OpenSet(f, dir)}
	const writers, each = 4, 60
	var done [writers]atomic.Uint64 // how many contents of each writer are there for good
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	fail := make(chan error, 100)
	for g := range uint64(writers) {
		writing.Go(func() {
			s := sets[g%2]
			for i := range uint64(each) {
				seed := g*1000 + i
				if _, err := put(s, seed); err != nil {
					fail <- fmt.Errorf("put: %w", err)
					return
				}
				done[g].Store(i + 1)
				name, err := put(s, 100000+seed) // goes again
				if err == nil {
					err = s.Remove(name)
				}
				if err != nil {
					fail <- fmt.Errorf("put and remove: %w", err)
					return
				}
				if i%10 == 9 {
					if err := s.Merge(context.Background()); err != nil {
						fail <- fmt.Errorf("merge: %w", err)
						return
					}
				}
			}
		})
	}
	for g := range uint64(4) {
		reading.Go(func() {
			s := sets[g%2]
			for i := uint64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				w := (g + i) % writers
				n := done[w].Load()
				if n == 0 {
					continue
				}
				if err := look(s, w*1000+i%n); err != nil {
					fail <- err
					return
				}
				if i%50 == 0 {
					if err := s.Each([]byte{byte(i)}, func(Location) error { return nil }); err != nil {
						fail <- fmt.Errorf("each: %w", err)
						return
					}
					if err := s.Verify(); err != nil {
						fail <- fmt.Errorf("verify: %w", err)
						return
					}
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	close(fail)
	for err := range fail {
		t.Error(err)
	}
	for g := range uint64(writers) {
		wantAll(t, OpenSet(disk.OS, dir), g*1000, g*1000+each)
	}
}

// look reads a content that is there, as a reader has to: what is not found or
// gone is looked for once more in the folder as it is now.
func look(s *Set, seed uint64) error {
	want := content(seed)
	for again := false; ; again = true {
		at, found, err := s.Find(hashOf(want))
		if err != nil {
			return fmt.Errorf("find: %w", err)
		}
		if found {
			got, err := read(s, at)
			if err != nil || !bytes.Equal(got, want) {
				return fmt.Errorf("content %d: %x, %w", seed, got, err)
			}
			return nil
		}
		if again {
			return fmt.Errorf("content %d is not found", seed)
		}
		if _, err := s.Refresh(); err != nil {
			return err
		}
	}
}
