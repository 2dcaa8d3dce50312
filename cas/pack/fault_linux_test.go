package pack

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/cas/disk"
)

// faultingFS maps files where nothing can be read any more after fail was
// called: as a disk does that fails while an index is mapped.
type faultingFS struct {
	disk.FS
	mapped [][]byte
}

func (f *faultingFS) Open(name string) (disk.File, error) {
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &faultingFile{file, f}, nil
}

// SyncDir does nothing: no test cuts the power.
func (f *faultingFS) SyncDir(string) error { return nil }

func (f *faultingFS) fail(t *testing.T) {
	t.Helper()
	for _, b := range f.mapped {
		if err := unix.Mprotect(b, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	f.mapped = nil
}

type faultingFile struct {
	disk.File
	fs *faultingFS
}

func (f *faultingFile) Map() ([]byte, func(), error) {
	b, release, err := f.File.Map()
	if err == nil {
		f.fs.mapped = append(f.fs.mapped, b)
	}
	return b, release, err
}

// An error of the disk under a mapped index moves nothing, and is not one of the
// caller: the tables of the packs say the same.
func TestIndexFaults(t *testing.T) {
	const n = 40 * 10
	uses := map[string]func(*testing.T, *Set){
		"find": func(t *testing.T, s *Set) { wantAll(t, s, 0, n) },
		"each": func(t *testing.T, s *Set) {
			got := 0
			if err := s.Each(nil, func(Location) error { got++; return nil }); got != n || err != nil {
				t.Errorf("each: %d entries, %v, want %d", got, err, n)
			}
		},
		"verify": func(t *testing.T, s *Set) {
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
		},
		"merge": func(t *testing.T, s *Set) {
			for i := range uint64(10) {
				publish(t, s, n+i, n+i+1)
			}
			merge(t, s)
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			good, index := indexed(t, 40, 10)
			before, err := os.ReadFile(good.indexPath(index))
			if err != nil {
				t.Fatal(err)
			}
			fsys := &faultingFS{FS: disk.OS}
			s := OpenSet(fsys, good.dir)
			wantAll(t, s, 0, 1)
			fsys.fail(t)
			use(t, s)
			wantAll(t, s, 0, n)
			for i := range uint64(10) { // reason enough to merge
				publish(t, s, 1000+i, 1001+i)
			}
			if err := s.Merge(context.Background()); err != nil {
				t.Fatal(err)
			}
			wantAll(t, s, 0, n)
			if after, err := os.ReadFile(s.indexPath(index)); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the index is not what it was: %v", err)
			}
			if moved, _ := os.ReadDir(filepath.Join(s.dir, quarantineDir)); len(moved) > 0 {
				t.Errorf("in quarantine: %v", moved)
			}
			wantAll(t, OpenSet(disk.OS, s.dir), 0, n) // the disk works again
		})
	}
}
