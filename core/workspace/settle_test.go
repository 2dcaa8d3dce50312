package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
)

// meddler is a Progress that changes the tree while it is read: it is called
// after a file was read and before it is looked at again, or before the next one is.
type meddler struct {
	counter
	once   bool
	meddle func()
}

func (m *meddler) Add(n int64) {
	m.counter.Add(n)
	if n > 0 && !m.once {
		m.once = true
		m.meddle()
	}
}

// A file that another process replaces is no error, and what is returned is what
// was there at the end.
func TestScanOfWhatIsReplaced(t *testing.T) {
	large := strings.Repeat("large", smallFile/4)
	for name, meddle := range map[string]func(s *space) error{
		"replaced": func(s *space) error {
			s.write("new", "other content")
			return os.Rename(s.Abs("new"), s.Abs("data/b"))
		},
		"grown":   func(s *space) error { return os.WriteFile(s.Abs("data/a"), []byte(large+"more"), 0o644) },
		"removed": func(s *space) error { return os.Remove(s.Abs("data/b")) },
		"folder":  func(s *space) error { return os.RemoveAll(s.Abs("data/sub")) },
		"a link":  func(s *space) error { return errors.Join(os.Remove(s.Abs("data/b")), os.Symlink("a", s.Abs("data/b"))) },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a link" && runtime.GOOS == "windows" {
				t.Skip("making links takes a privilege here")
			}
			s := newSpace(t)
			s.write("data/a", large)
			s.write("data/b", "content")
			s.write("data/sub/c", "content")
			m := &meddler{}
			m.meddle = func() {
				if err := meddle(s); err != nil {
					t.Error(err)
				}
			}
			s.Progress = m
			o, err := s.Scan(t.Context(), "data")
			if err != nil {
				t.Fatal(err)
			}
			s.check("Scan", "data", o)
			if m.n.Load() != s.naive("data").Size()-linkSizes(s.naive("data")) {
				t.Errorf("%d bytes were counted of %d", m.n.Load(), s.naive("data").Size())
			}
			file, err := s.ScanFiles(t.Context(), "data", []string{"data/a"})
			if err != nil || file.Tree()[0] != o.Tree()[0] {
				t.Errorf("ScanFiles = %+v, %v", file, err)
			}
		})
	}
}

// linkSizes is the part of a tree that nobody counts as read.
func linkSizes(tree cas.Tree) (size int64) {
	for _, e := range tree {
		if e.Kind == cas.Link {
			size += e.Size
		}
	}
	return size
}

// Who goes on writing is not waited for.
func TestScanOfWhatGoesOnChanging(t *testing.T) {
	s := newSpace(t)
	s.write("data/log", strings.Repeat("line\n", smallFile))
	var wrote sync.Mutex
	s.Progress = &every{func() {
		wrote.Lock()
		defer wrote.Unlock()
		f, err := os.OpenFile(filepath.Join(s.Root(), "data/log"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if _, err := f.WriteString("another line\n"); err != nil {
			t.Error(err)
		}
	}}
	began := time.Now()
	_, err := s.Scan(t.Context(), "data")
	var changing *ChangingError
	if !errors.As(err, &changing) || changing.Path != "data/log" || !errors.Is(err, ErrChanging) {
		t.Errorf("Scan = %v", err)
	}
	t.Logf("given up after %s", time.Since(began))
}

// every calls a function whenever something was read.
type every struct{ do func() }

func (e *every) Add(n int64) {
	if n > 0 {
		e.do()
	}
}
