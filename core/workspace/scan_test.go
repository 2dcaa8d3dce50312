package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// space is a working tree for a test, whose files have been left alone for long.
type space struct {
	t testing.TB
	*Workspace
	cacheFile string
}

func newSpace(t testing.TB) *space {
	dir := t.TempDir()
	s := &space{t: t, cacheFile: filepath.Join(dir, "index", "cache")}
	root := filepath.Join(dir, "tree")
	if err := os.Mkdir(root, 0o777); err != nil {
		t.Fatal(err)
	}
	s.Workspace = Open(root, s.cacheFile)
	s.later(time.Minute)
	return s
}

// Known returns the digest of the file at path if its stat data is as it was
// when it was hashed last.
func (w *Workspace) Known(path string) (cas.Digest, bool) {
	info, err := os.Lstat(w.Abs(path))
	if err != nil || !info.Mode().IsRegular() {
		return cas.Digest{}, false
	}
	return w.cache.lookup(path, statOf(info), w.now)
}

// later moves the clock: nothing that has been written is racy any more.
func (s *space) later(d time.Duration) {
	s.now = func() time.Time { return time.Now().Add(d) }
}

// reopen closes the workspace and opens it anew, as the next process does.
func (s *space) reopen() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
	now, progress := s.now, s.Progress
	s.Workspace = Open(s.Root(), s.cacheFile)
	s.now, s.Progress = now, progress
}

func (s *space) write(path, content string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.Abs(path)), 0o777); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.Abs(path), []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *space) scan(path string) *Object {
	s.t.Helper()
	o, err := s.Scan(s.t.Context(), path)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// naive reads a folder as the specification says, and nothing cleverer.
func (s *space) naive(folder string) cas.Tree {
	s.t.Helper()
	tree := cas.Tree{}
	err := fs.WalkDir(os.DirFS(s.Abs(folder)), ".", func(inside string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		full := s.Abs(path.Join(folder, inside))
		e := cas.Entry{Path: inside, Kind: cas.File}
		var content []byte
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(full)
			if err != nil {
				return err
			}
			e.Kind, content = cas.Link, []byte(filepath.ToSlash(target))
		} else {
			info, err := d.Info()
			if err != nil {
				return err
			}
			if info.Mode()&0o100 != 0 {
				e.Kind = cas.Executable
			}
			if content, err = os.ReadFile(full); err != nil {
				return err
			}
		}
		e.Digest, e.Size = cas.Sum(content), int64(len(content))
		tree = append(tree, e)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortFunc(tree, func(a, b cas.Entry) int { return strings.Compare(a.Path, b.Path) })
	return tree
}

// check compares an object with what is in the folder.
func (s *space) check(what, folder string, o *Object) {
	s.t.Helper()
	want := s.naive(folder)
	if o.Digest != cas.Sum(want.Marshal()) || o.Size != want.Size() || o.Files() != int64(len(want)) || !o.Folder {
		s.t.Fatalf("%s: %q is %s with %d bytes in %d files, want %s, %d, %d\n%v\nwant\n%v", what, folder,
			o.Digest.Short(), o.Size, o.Files(), cas.Sum(want.Marshal()).Short(), want.Size(), len(want), o.Tree(), want)
	}
	if !slices.Equal(o.Tree(), want) {
		s.t.Fatalf("%s: the tree of %q is\n%v\nwant\n%v", what, folder, o.Tree(), want)
	}
}

// counter is a Progress that adds up.
type counter struct{ n atomic.Int64 }

func (c *counter) Add(n int64) { c.n.Add(n) }

func TestScanFolder(t *testing.T) {
	s := newSpace(t)
	for _, name := range []string{"a", "a-b", "a.b", "d/x", "d-e", "d.e/y", "d/z/deep/er", "d0", "ä", "UPPER", "empty"} {
		s.write("data/"+name, strings.Repeat(name, len(name)))
	}
	s.write("data/empty", "")
	s.write("data/large", strings.Repeat("0123456789", smallFile/5))
	s.write("other/x", "x")
	if err := os.MkdirAll(s.Abs("data/no/thing"), 0o777); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.check("Scan", "data", s.scan("data"))
		s.check("Scan of a folder in it", "data/d", s.scan("data/d"))
		s.check("Scan of an empty folder", "data/no", s.scan("data/no"))
		if o := s.scan("data/a"); o.Folder || o.Digest != cas.Sum([]byte("a")) || o.Size != 1 || o.Tree() != nil || o.Files() != 0 {
			t.Errorf("a file is %+v", o)
		}
		s.reopen()
	}
}

// A folder that has not changed is neither read nor made a tree of, whatever
// happened beside it.
func TestScanUnchanged(t *testing.T) {
	s := newSpace(t)
	for i := range 2500 {
		s.write(fmt.Sprintf("data/%d/%d", i%3, i), fmt.Sprint(i))
	}
	s.check("the first Scan", "data", s.scan("data"))
	s.reopen()
	for _, name := range []string{"data/0/0", "data/1/4"} {
		if d, ok := s.Known(name); !ok || d != cas.Sum([]byte(path.Base(name))) {
			t.Errorf("%s is known as %s, %v", name, d, ok)
		}
	}
	root, err := s.walk(t.Context(), "data")
	if err != nil {
		t.Fatal(err)
	}
	was, ok := s.unchanged(root)
	if !ok || was.files != 2500 {
		t.Errorf("the folder counts as changed: %v, %v", was, ok)
	}
	s.write("beside", "x")
	s.scan("beside")
	s.reopen()
	if root, err = s.walk(t.Context(), "data"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.unchanged(root); !ok {
		t.Error("the folder counts as changed because of a file beside it")
	}
	// So does one of which single files were noted meanwhile, once it was scanned.
	info, err := os.Lstat(s.Abs("data/1/1"))
	if err != nil {
		t.Fatal(err)
	}
	s.Note("data/1/1", info, cas.Sum([]byte("1")))
	s.scan("data")
	if root, err = s.walk(t.Context(), "data"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.unchanged(root); !ok || s.cache.dirs["data/1"].noted.len() > 0 {
		t.Error("the folder counts as changed because of a file that was noted")
	}
	s.write("data/2/2", "changed")
	s.check("Scan after a change", "data", s.scan("data"))
}

func TestScanErrors(t *testing.T) {
	s := newSpace(t)
	s.write("data/a", "a")
	s.write("file", "a")
	if _, err := s.Scan(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Scan of nothing = %v", err)
	}
	if _, err := s.Scan(t.Context(), "file/below"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Scan below a file = %v", err)
	}
	for name, want := range map[string]error{"con": cas.ErrPath, "x.": cas.ErrPath, "A": cas.ErrTree} {
		s.write("data/"+name, "x")
		for range 2 {
			if _, err := s.Scan(t.Context(), "data"); !errors.Is(err, want) {
				t.Errorf("Scan of a folder with %q = %v", name, err)
			}
			s.reopen()
		}
		if err := os.Remove(s.Abs("data/" + name)); err != nil {
			t.Fatal(err)
		}
		s.check("without it", "data", s.scan("data"))
	}
}

func TestScanLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege")
	}
	s := newSpace(t)
	s.write("data/a/x", "x")
	link := func(name, target string) {
		t.Helper()
		_ = os.Remove(s.Abs(name))
		if err := os.Symlink(target, s.Abs(name)); err != nil {
			t.Fatal(err)
		}
	}
	link("data/a/up", "../top")
	link("data/top", "a/x")
	for range 2 {
		s.check("Scan", "data", s.scan("data"))
		s.reopen()
		// In its own folder the link leads nowhere else; from here it leads out.
		if _, err := s.Scan(t.Context(), "data/a"); !errors.Is(err, cas.ErrPath) {
			t.Errorf("Scan of the folder that a link leaves = %v", err)
		}
	}
	link("data/top", "a/up")
	s.check("Scan with another target", "data", s.scan("data"))
	var linked *LinkError
	if _, err := s.Scan(t.Context(), "data/top"); !errors.As(err, &linked) {
		t.Errorf("Scan of a link = %v", err)
	}
	link("around", "data")
	if _, err := s.Scan(t.Context(), "around/a"); !errors.As(err, &linked) || linked.Link != "around" {
		t.Errorf("Scan behind a link = %v", err)
	}
}

// One folder with more names than one goroutine takes at once.
func TestScanLargeFolder(t *testing.T) {
	s := newSpace(t)
	const n = 2*splitAt + 100
	for i := range n {
		s.write(fmt.Sprintf("data/%d", i), fmt.Sprint(i%7))
	}
	s.write("data/sub/x", "x")
	s.check("Scan", "data", s.scan("data"))
	s.reopen()
	s.check("Scan again", "data", s.scan("data"))
	if err := os.Remove(s.Abs("data/17")); err != nil {
		t.Fatal(err)
	}
	s.write("data/new", "new")
	s.write("data/4000", "other")
	s.check("Scan after changes", "data", s.scan("data"))
}

// Whatever is done to a working tree and to the cache, Scan says what is there.
func TestScanIsRight(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{space: newSpace(t), rand: rand.New(rand.NewPCG(seed, 1)), store: storetest.NewMemory()}
			for range 30 {
				m.step()
			}
		})
	}
}

// model does random things to a working tree.
type model struct {
	*space
	rand  *rand.Rand
	store *storetest.Memory
	done  []string
}

var modelFolders = []string{"data", "data/a", "data/a/b", "data/c", "data/a-b", "data/c/d/e"}

func (m *model) path() string {
	return fmt.Sprintf("%s/f%d", modelFolders[m.rand.IntN(len(modelFolders))], m.rand.IntN(8))
}

func (m *model) content() string {
	return strings.Repeat(string(rune('a'+m.rand.IntN(3))), m.rand.IntN(4))
}

func (m *model) step() {
	m.t.Helper()
	for range 1 + m.rand.IntN(4) {
		m.edit()
	}
	switch m.rand.IntN(10) {
	case 0:
		m.damage()
	case 1:
		m.Forget()
		m.log("Forget")
	case 2:
		// Killed: what it learned is lost.
		now := m.now
		m.Workspace = Open(m.Root(), m.cacheFile)
		m.now = now
		m.log("killed")
	case 3, 4, 5:
		m.reopen()
		m.log("reopened")
	}
	for _, folder := range modelFolders {
		if !m.Exists(folder) || m.rand.IntN(3) == 0 {
			continue
		}
		look := func() (*Object, error) { return m.Scan(m.t.Context(), folder) }
		if m.rand.IntN(3) == 0 {
			look = func() (*Object, error) { return m.Keep(m.t.Context(), m.store, folder) }
		}
		o, err := look()
		if err != nil {
			m.t.Fatalf("%s: %v", strings.Join(m.done, ", "), err)
		}
		m.log("looked at " + folder)
		m.check(strings.Join(m.done, ", "), folder, o)
	}
	m.tick()
}

// tick lets the clock of the file system move on: the model's own clock says that
// it has, and what changes within a tick cannot be seen.
func (m *model) tick() { time.Sleep(12 * time.Millisecond) }

func (m *model) log(s string) { m.done = append(m.done, s) }

// edit changes one thing. No edit restores all that can be seen of a file:
// ctime where there is one, else the time that it is given differs.
func (m *model) edit() {
	m.t.Helper()
	file := m.path()
	full := m.Abs(file)
	info, err := os.Lstat(full)
	var failed error
	switch what := m.rand.IntN(9); {
	case what <= 2 || err != nil:
		m.log("write " + file)
		m.write(file, m.content())
	case what == 3:
		m.log("remove " + file)
		failed = os.Remove(full)
	case what == 4:
		m.log("chmod " + file)
		failed = os.Chmod(full, info.Mode()^0o100)
	case what == 5 && runtime.GOOS != "windows":
		m.log("rewrite " + file + " with its old time")
		m.write(file, m.content())
		failed = os.Chtimes(full, info.ModTime(), info.ModTime())
	case what == 6:
		m.log("touch " + file)
		at := time.Unix(1e9+m.rand.Int64N(5), 0)
		failed = os.Chtimes(full, at, at)
	case what == 7:
		to := m.path()
		m.log("rename " + file + " to " + to)
		failed = os.MkdirAll(filepath.Dir(m.Abs(to)), 0o777)
		if failed == nil {
			failed = os.Rename(full, m.Abs(to))
		}
	default:
		m.log("remove all of " + path.Dir(file))
		failed = os.RemoveAll(filepath.Dir(full))
	}
	if failed != nil {
		m.t.Fatal(failed)
	}
	if m.Exists(file) && m.rand.IntN(4) == 0 {
		m.place(file)
	}
}

// place does what a restore does.
func (m *model) place(file string) {
	content, err := os.ReadFile(m.Abs(file))
	if err != nil {
		m.t.Fatal(err)
	}
	info, err := os.Lstat(m.Abs(file))
	if err != nil {
		m.t.Fatal(err)
	}
	m.tick()
	m.log("note " + file)
	m.Note(file, info, cas.Sum(content))
}

// damage does something to the file of the cache.
func (m *model) damage() {
	m.t.Helper()
	m.reopen()
	data, err := os.ReadFile(m.cacheFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	switch m.rand.IntN(4) {
	case 0:
		m.log("cut the cache")
		data = data[:m.rand.IntN(len(data))]
	case 1:
		m.log("flipped bits of the cache")
		for range 1 + m.rand.IntN(3) {
			data[m.rand.IntN(len(data))] ^= 1 << m.rand.IntN(8)
		}
	case 2:
		m.log("a foreign cache")
		data = []byte("kept stat cache 1\n" + strings.Repeat("x", 100))
	case 3:
		m.log("no cache")
		data = nil
	}
	if err := os.WriteFile(m.cacheFile, data, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := newSpace(t)
	for i := range 300 {
		s.write(fmt.Sprintf("data/%d/%d", i%5, i), fmt.Sprint(i))
	}
	want := s.scan("data").Digest
	s.reopen()
	store := storetest.NewMemory()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; i < 300; i += 4 {
				name := fmt.Sprintf("data/%d/%d", i%5, i)
				info, err := os.Lstat(s.Abs(name))
				if err != nil {
					t.Error(err)
					return
				}
				if d, ok := s.Known(name); !ok || d != cas.Sum([]byte(fmt.Sprint(i))) {
					t.Errorf("%s is known as %s, %v", name, d, ok)
				}
				s.Note(name, info, cas.Sum([]byte(fmt.Sprint(i))))
			}
		})
		wg.Go(func() {
			o, err := s.Scan(t.Context(), "data")
			if err != nil || o.Digest != want || len(o.Tree()) != 300 {
				t.Errorf("Scan = %v, %v", o, err)
			}
			if o, err = s.Keep(t.Context(), store, "data"); err != nil || o.Digest != want {
				t.Errorf("Keep = %v, %v", o, err)
			}
		})
	}
	wg.Wait()
	s.reopen()
	s.check("afterwards", "data", s.scan("data"))
}

func TestCancel(t *testing.T) {
	s := newSpace(t)
	for i := range 100 {
		s.write(fmt.Sprintf("data/%d", i), fmt.Sprint(i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.Progress = progressFunc(func(int64) { cancel() })
	if _, err := s.Scan(ctx, "data"); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan = %v", err)
	}
	if _, err := s.Keep(ctx, storetest.NewMemory(), "data"); !errors.Is(err, context.Canceled) {
		t.Errorf("Keep = %v", err)
	}
	s.Progress = nil
	s.check("Scan after it", "data", s.scan("data"))
}

type progressFunc func(int64)

func (f progressFunc) Add(n int64) { f(n) }
