package cas_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// workTree is a root with a Placer on it.
type workTree struct {
	*cas.Placer
	t    testing.TB
	root string
	tmp  string
}

func newWorkTree(t testing.TB) workTree {
	dir := t.TempDir()
	w := workTree{t: t, root: filepath.Join(dir, "root"), tmp: filepath.Join(dir, "root", ".git", "kept", "tmp")}
	if err := os.Mkdir(w.root, 0o777); err != nil {
		t.Fatal(err)
	}
	w.Placer = cas.NewPlacer(w.root, w.tmp)
	return w
}

func (w workTree) path(name string) string { return filepath.Join(w.root, filepath.FromSlash(name)) }

// write puts a user's file there.
func (w workTree) write(name, content string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o777); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(content), 0o666); err != nil {
		w.t.Fatal(err)
	}
}

func (w workTree) symlink(target, name string) {
	w.t.Helper()
	if err := os.Symlink(filepath.FromSlash(target), w.path(name)); err != nil {
		w.t.Skip(err) // Windows without the right to
	}
}

func (w workTree) wantFile(name, content string) {
	w.t.Helper()
	info, err := os.Lstat(w.path(name))
	if err != nil || !info.Mode().IsRegular() {
		w.t.Errorf("%s: %v, %v; want a file", name, info, err)
		return
	}
	if b, err := os.ReadFile(w.path(name)); err != nil || string(b) != content {
		w.t.Errorf("%s has %.50q, %v; want %.50q", name, b, err, content)
	}
}

func (w workTree) wantNothing(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if info, err := os.Lstat(w.path(name)); !errors.Is(err, fs.ErrNotExist) {
			w.t.Errorf("%s is there: %v, %v", name, info, err)
		}
	}
}

// wantNoTemps looks for unfinished files anywhere.
func (w workTree) wantNoTemps() {
	w.t.Helper()
	for _, name := range listFiles(w.t, w.root) {
		if base := name[strings.LastIndexByte(name, '/')+1:]; strings.HasPrefix(base, "tmp-") || strings.HasPrefix(base, ".kept-") {
			w.t.Errorf("unfinished file left: %s", name)
		}
	}
}

func (w workTree) file(s cas.Store, name, content string) error {
	_, err := w.File(context.Background(), s, name, cas.Sum([]byte(content)), int64(len(content)), false)
	return err
}

func memory(t testing.TB, contents ...string) *storetest.Memory {
	s := storetest.NewMemory()
	for _, c := range contents {
		mustPut(t, s, []byte(c))
	}
	return s
}

func asUnsafe(err error) *cas.UnsafeError {
	var e *cas.UnsafeError
	errors.As(err, &e)
	return e
}

func TestPlaceFile(t *testing.T) {
	w := newWorkTree(t)
	big := string(storetest.Random(1, 3<<20))
	local := openLocal(t, t.TempDir())
	for _, c := range []string{"model", "", big} {
		mustPut(t, local, []byte(c))
	}
	for _, s := range []cas.Store{memory(t, "model", "", big), local} {
		for _, path := range []string{"a", "models/model.pkl", "deep/er/and/deeper/file", "ünï/cödé"} {
			for _, content := range []string{"model", "", big} {
				info, err := w.File(t.Context(), s, path, cas.Sum([]byte(content)), int64(len(content)), false)
				if err != nil {
					t.Fatal(err)
				}
				w.wantFile(path, content)
				there, err := os.Lstat(w.path(path))
				if err != nil || !os.SameFile(info, there) || info.Size() != there.Size() || !info.ModTime().Equal(there.ModTime()) || info.Mode() != there.Mode() {
					t.Errorf("File returns %v, Lstat says %v, %v", info, there, err)
				}
			}
		}
	}
	w.wantNoTemps()
}

func TestPlaceReplaces(t *testing.T) {
	s := memory(t, "new")
	for name, prepare := range map[string]func(w workTree){
		"nothing":       func(workTree) {},
		"a file":        func(w workTree) { w.write("target", "old") },
		"a longer file": func(w workTree) { w.write("target", strings.Repeat("old", 1000)) },
		"a read-only file": func(w workTree) {
			w.write("target", "old")
			if runtime.GOOS != "windows" { // whose rename does not replace one
				os.Chmod(w.path("target"), 0o400)
			}
		},
		"a link":                  func(w workTree) { w.write("other", "precious"); w.symlink("other", "target") },
		"a link out of the tree":  func(w workTree) { w.symlink("../outside", "target") },
		"a link to nowhere":       func(w workTree) { w.symlink("nowhere", "target") },
		"a link to itself":        func(w workTree) { w.symlink("target", "target") },
		"a link to Git's hooks":   func(w workTree) { w.write(".git/hooks/pre-commit", "x"); w.symlink(".git/hooks/pre-commit", "target") },
		"a link to a folder":      func(w workTree) { w.write("dir/x", "x"); w.symlink("dir", "target") },
		"a hard link to outside":  func(w workTree) { hardlink(w, "../outside", "target") },
		"a hard link to a sister": func(w workTree) { w.write("other", "precious"); hardlink(w, "other", "target") },
	} {
		t.Run(name, func(t *testing.T) {
			for _, beside := range []bool{false, true} {
				w := newWorkTree(t)
				if beside {
					w.SetBeside()
				}
				w.write("../outside", "outside")
				prepare(w)
				if err := w.file(s, "target", "new"); err != nil {
					t.Fatal(err)
				}
				w.wantFile("target", "new")
				w.wantFile("../outside", "outside")
				for path, content := range map[string]string{"other": "precious", ".git/hooks/pre-commit": "x", "dir/x": "x"} {
					if _, err := os.Lstat(w.path(path)); err == nil {
						w.wantFile(path, content)
					}
				}
				w.wantNothing("nowhere")
				w.wantNoTemps()
			}
		})
	}
}

func hardlink(w workTree, from, to string) {
	w.t.Helper()
	if err := os.Link(w.path(from), w.path(to)); err != nil {
		w.t.Skip(err)
	}
}

// What a hostile repository can leave in the way. Nothing is followed, nothing
// changes, and the error says what it is.
func TestPlaceRefusesUnsafeTree(t *testing.T) {
	s := memory(t, "new")
	for name, c := range map[string]struct {
		path    string
		prepare func(w workTree)
		at      string
	}{
		"a folder at the path":        {"d", func(w workTree) { w.write("d/x", "x") }, "d"},
		"an empty folder at the path": {"d", func(w workTree) { os.Mkdir(w.path("d"), 0o777) }, "d"},
		"a file above":                {"a/b", func(w workTree) { w.write("a", "precious") }, "a"},
		"a file further above":        {"a/b/c/d", func(w workTree) { w.write("a/b", "precious") }, "a/b"},
		"a link above":                {"a/b", func(w workTree) { w.write("real/x", "x"); w.symlink("real", "a") }, "a"},
		"a link above, file there":    {"a/x", func(w workTree) { w.write("real/x", "x"); w.symlink("real", "a") }, "a"},
		"a link to Git's hooks above": {"a/post-checkout", func(w workTree) { w.write(".git/hooks/x", "x"); w.symlink(".git/hooks", "a") }, "a"},
		"a link out of the tree":      {"a/b", func(w workTree) { os.Mkdir(w.path("../out"), 0o777); w.symlink("../out", "a") }, "a"},
		"an absolute link":            {"a/b", func(w workTree) { os.Mkdir(w.path("../out"), 0o777); w.symlink(w.path("../out"), "a") }, "a"},
		"a link to nowhere above":     {"a/b", func(w workTree) { w.symlink("nowhere", "a") }, "a"},
		"a loop above":                {"a/b", func(w workTree) { w.symlink("a", "a") }, "a"},
		"a link in the middle":        {"a/b/c", func(w workTree) { w.write("a/real/x", "x"); w.symlink("real", "a/b") }, "a/b"},
		"a link to the folder itself": {"a/b", func(w workTree) { w.symlink(".", "a") }, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkTree(t)
			c.prepare(w)
			before := snapshot(t, filepath.Dir(w.root))
			for verb, err := range map[string]error{
				"File":   w.file(s, c.path, "new"),
				"Link":   w.Link(c.path, "x"),
				"Remove": w.Remove(c.path),
			} {
				e := asUnsafe(err)
				if e == nil || e.At != c.at || e.Path != c.path || e.Reason == "" {
					t.Errorf("%s(%q) = %v; want an UnsafeError at %q", verb, c.path, err, c.at)
				}
			}
			if after := snapshot(t, filepath.Dir(w.root)); !slices.Equal(before, after) {
				t.Errorf("the tree was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
		})
	}
}

// snapshot describes everything below dir.
func snapshot(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		line := name + " " + e.Type().String()
		switch {
		case e.Type() == fs.ModeSymlink:
			target, _ := os.Readlink(name)
			line += " " + target
		case e.Type().IsRegular():
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			line += " " + cas.Sum(b).Short()
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPlaceRefusesPaths(t *testing.T) {
	w := newWorkTree(t)
	s := memory(t, "new")
	w.write("keep", "x")
	before := snapshot(t, filepath.Dir(w.root))
	for _, paths := range badPaths {
		for _, p := range paths {
			if err := w.file(s, p, "new"); !errors.Is(err, cas.ErrPath) {
				t.Errorf("File(%q) = %v", p, err)
			}
			if err := w.Link(p, "x"); !errors.Is(err, cas.ErrPath) {
				t.Errorf("Link(%q) = %v", p, err)
			}
			if err := w.Remove(p); !errors.Is(err, cas.ErrPath) {
				t.Errorf("Remove(%q) = %v", p, err)
			}
		}
	}
	for _, target := range []string{"", "/etc/passwd", "..", "../x", ".git/config", `C:\x`, "x/../y"} {
		if err := w.Link("link", target); !errors.Is(err, cas.ErrPath) {
			t.Errorf("Link to %q = %v", target, err)
		}
	}
	if after := snapshot(t, filepath.Dir(w.root)); !slices.Equal(before, after) {
		t.Errorf("the tree was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// Whatever is wrong with the object, the old file stays.
func TestPlaceKeepsTheOldFile(t *testing.T) {
	small, big := string(storetest.Text(1, 5000)), string(storetest.Random(1, 3<<20))
	size := func(s string) int64 { return int64(len(s)) }
	for name, c := range map[string]struct {
		content string
		size    int64
		fault   *storetest.Fault
		want    func(error) bool
	}{
		"missing":        {"nobody put this", 15, nil, isMissing},
		"corrupt":        {big, size(big), &storetest.Fault{After: 2 << 20, Flip: true}, func(err error) bool { return asCorrupt(err) != nil }},
		"corrupt, small": {small, size(small), &storetest.Fault{Flip: true}, func(err error) bool { return asCorrupt(err) != nil }},
		"cut short":      {big, size(big), &storetest.Fault{After: 2 << 20, Cut: true}, func(err error) bool { return asCorrupt(err) != nil }},
		"cut by a byte":  {small, size(small), &storetest.Fault{After: 4999, Cut: true}, func(err error) bool { return asCorrupt(err) != nil }},
		"unreadable":     {big, size(big), &storetest.Fault{After: 2 << 20, Err: syscall.EIO}, func(err error) bool { return errors.Is(err, syscall.EIO) }},
		"larger":         {big, size(big) - 1, nil, func(err error) bool { return errors.Is(err, cas.ErrSize) }},
		"much larger":    {big, 10, nil, func(err error) bool { return errors.Is(err, cas.ErrSize) }},
		"not empty":      {small, 0, nil, func(err error) bool { return errors.Is(err, cas.ErrSize) }},
		"smaller":        {small, size(small) + 1, nil, func(err error) bool { return errors.Is(err, cas.ErrSize) }},
		"negative":       {small, -1, nil, func(err error) bool { return errors.Is(err, cas.ErrSize) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkTree(t)
			s := storetest.NewFaulty(memory(t, small, big))
			w.write("d/model", "old")
			if c.fault != nil {
				s.FailOpen(*c.fault, *c.fault)
			}
			for _, path := range []string{"d/model", "new/model"} {
				_, err := w.File(t.Context(), s, path, cas.Sum([]byte(c.content)), c.size, false)
				if !c.want(err) {
					t.Errorf("File(%q) = %v", path, err)
				}
			}
			w.wantFile("d/model", "old")
			w.wantNothing("new/model")
			w.wantNoTemps()
		})
	}
}

// endless is a store whose object does not end.
type endless struct{ cas.Store }

func (endless) Open(context.Context, cas.Digest) (io.ReadCloser, error) {
	return io.NopCloser(zeroReader{}), nil
}

// More than the size given is never read.
func TestPlaceIsBounded(t *testing.T) {
	w := newWorkTree(t)
	w.write("a", "old")
	if _, err := w.File(t.Context(), endless{}, "a", cas.Sum(nil), 10<<20, false); !errors.Is(err, cas.ErrSize) {
		t.Errorf("File = %v", err)
	}
	w.wantFile("a", "old")
	w.wantNoTemps()
}

func TestPlaceCancelled(t *testing.T) {
	w := newWorkTree(t)
	w.write("a", "old")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := memory(t, "new")
	if _, err := w.File(ctx, s, "a", cas.Sum([]byte("new")), 3, false); !errors.Is(err, context.Canceled) {
		t.Errorf("File = %v", err)
	}
	w.wantFile("a", "old")
	w.wantNoTemps()
}

// A damaged object of a Local goes to quarantine when placing meets it.
func TestPlaceCorruptFromLocal(t *testing.T) {
	w := newWorkTree(t)
	for _, content := range [][]byte{storetest.Random(1, 10_000), storetest.Text(1, 10_000)} {
		s := openLocal(t, t.TempDir())
		d := mustPut(t, s, content)
		if err := s.Corrupt(d); err != nil {
			t.Fatal(err)
		}
		err := w.file(s, "a", string(content))
		if e := asCorrupt(err); e == nil || e.Quarantine == "" {
			t.Errorf("File = %v", err)
		}
		w.wantNothing("a")
		mustPut(t, s, content)
		if err := w.file(s, "a", string(content)); err != nil {
			t.Error(err)
		}
		os.Remove(w.path("a"))
	}
}

func TestPlaceLink(t *testing.T) {
	for _, beside := range []bool{false, true} {
		w := newWorkTree(t)
		if beside {
			w.SetBeside()
		}
		w.write("data/x", "x")
		w.write("old", "old")
		w.symlink("nowhere", "oldlink")
		for _, c := range [][2]string{{"link", "data/x"}, {"a/b/link", "../../data"}, {"old", "data/x"}, {"oldlink", "data/x"}, {"data/dangling", "y"}} {
			if err := w.Link(c[0], c[1]); err != nil {
				t.Fatal(err)
			}
			if got, err := os.Readlink(w.path(c[0])); err != nil || filepath.ToSlash(got) != c[1] {
				t.Errorf("%s links to %q, %v; want %q", c[0], got, err, c[1])
			}
		}
		w.wantFile("data/x", "x")
		w.wantNoTemps()
	}
}

func TestRemove(t *testing.T) {
	w := newWorkTree(t)
	w.write("a/b/c/x", "x")
	w.write("a/b/y", "y")
	w.write("target/z", "z")
	w.symlink("target", "a/link")
	w.symlink("../target/z", "a/filelink")

	for _, path := range []string{"a/link", "a/filelink"} {
		if err := w.Remove(path); err != nil {
			t.Fatal(err)
		}
		w.wantNothing(path)
	}
	w.wantFile("target/z", "z")

	if err := w.Remove("a/b/c/x"); err != nil {
		t.Fatal(err)
	}
	w.wantNothing("a/b/c")
	w.wantFile("a/b/y", "y")

	if err := w.Remove("a/b/y"); err != nil {
		t.Fatal(err)
	}
	w.wantNothing("a")
	if _, err := os.Stat(w.root); err != nil {
		t.Errorf("the root is gone: %v", err)
	}

	for _, path := range []string{"a/b/y", "a", "target/none", "target/none/x"} {
		if err := w.Remove(path); err != nil {
			t.Errorf("Remove of nothing at %q = %v", path, err)
		}
	}
	os.Mkdir(w.path("mine"), 0o777)
	if err := w.Remove("mine/x"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.path("mine")); err != nil {
		t.Error("Remove of nothing took an empty folder away")
	}
	if err := w.Remove("target"); asUnsafe(err) == nil {
		t.Errorf("Remove of a folder = %v", err)
	}
}

func TestPlaceNeedsARoot(t *testing.T) {
	p := cas.NewPlacer(filepath.Join(t.TempDir(), "none"), t.TempDir())
	if _, err := p.File(t.Context(), memory(t, "x"), "a", cas.Sum([]byte("x")), 1, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("File = %v", err)
	}
}

func TestPlaceConcurrently(t *testing.T) {
	w := newWorkTree(t)
	s := openLocal(t, t.TempDir())
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 20 {
				content := fmt.Sprintf("file %d of %d", j, i)
				mustPut(t, s, []byte(content))
				if err := w.file(s, fmt.Sprintf("dir%d/%d/%d", j%5, j%3, i*100+j), content); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for i := range 8 {
		for j := range 20 {
			w.wantFile(fmt.Sprintf("dir%d/%d/%d", j%5, j%3, i*100+j), fmt.Sprintf("file %d of %d", j, i))
		}
	}
	w.wantNoTemps()
}

// Every operation fails once, and then all from there on as after a crash: the
// old file or the new one is there, and the next attempt succeeds.
func TestPlaceFailsAtEveryOperation(t *testing.T) {
	content := string(storetest.Random(1, 1200_000))
	s := memory(t, content)
	steps := map[string]func(w workTree) error{
		"file":      func(w workTree) error { return w.file(s, "a/b/model", content) },
		"link":      func(w workTree) error { return w.Link("a/b/model", "x") },
		"remove":    func(w workTree) error { return w.Remove("a/b/model") },
		"first":     func(w workTree) error { return w.file(s, "new/dir/model", content) },
		"firstlink": func(w workTree) error { return w.Link("new/dir/model", "x") },
	}
	for name, step := range steps {
		for _, sticky := range []bool{false, true} {
			for _, beside := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, sticky %v, beside %v", name, sticky, beside), func(t *testing.T) {
					for n := 1; placeFailsAt(t, step, content, n, sticky, beside); n++ {
						if n > 100 {
							t.Fatal("no end of operations")
						}
					}
				})
			}
		}
	}
}

func placeFailsAt(t *testing.T, step func(workTree) error, content string, nth int, sticky, beside bool) bool {
	t.Helper()
	w := newWorkTree(t)
	w.write("a/b/model", "old")
	w.write("a/sister", "sister")
	count, failed := 0, ""
	w.SetFault(func(op string) error {
		if count++; count == nth || sticky && count > nth {
			failed = op
			return fmt.Errorf("%s: %w", op, errInjected)
		}
		return nil
	})
	if beside {
		w.SetBeside()
	}
	err := step(w)
	if count < nth {
		if err != nil {
			t.Fatalf("without a fault: %v", err)
		}
		return false
	}
	if !errors.Is(err, errInjected) && failed != "rmdir" {
		t.Fatalf("operation %d, %s: %v", nth, failed, err)
	}
	for _, path := range []string{"a/b/model", "new/dir/model"} {
		switch b, readErr := os.ReadFile(w.path(path)); {
		case readErr == nil && (string(b) == "old" || string(b) == content):
		case errors.Is(readErr, fs.ErrNotExist) && (path != "a/b/model" || err == nil):
		default:
			t.Fatalf("operation %d, %s: %q has %d bytes, %v", nth, failed, path, len(b), readErr)
		}
	}
	w.wantFile("a/sister", "sister")
	w.wantNoTemps()
	again := w
	again.Placer = cas.NewPlacer(w.root, w.tmp)
	if err := step(again); err != nil {
		t.Fatalf("operation %d, %s: again: %v", nth, failed, err)
	}
	return true
}

var errInjected = errors.New("injected")

func benchmarkPlace(b *testing.B, size int) {
	w := newWorkTree(b)
	s := openLocal(b, b.TempDir())
	content := storetest.Random(1, size)
	d := mustPut(b, s, content)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := w.File(context.Background(), s, fmt.Sprintf("data/train/%d", i), d, int64(size), false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPlace4K(b *testing.B) { benchmarkPlace(b, 4<<10) }
func BenchmarkPlace1M(b *testing.B) { benchmarkPlace(b, 1<<20) }

// A folder of small files from memory, over nothing, in one session; and as the
// limit of the machine, in the same run, a loop that writes them and no more.
func BenchmarkPlaceFolder(b *testing.B) {
	const files = 2000
	for _, size := range []int{1 << 10, 20 << 10} {
		contents := make([]string, files)
		for i := range contents {
			contents[i] = string(storetest.Random(uint64(i), size))
		}
		name := func(i int) string { return fmt.Sprintf("data/%d/%d", i/100, i) }
		run := func(b *testing.B, place func(w workTree)) {
			w := newWorkTree(b)
			b.SetBytes(int64(files * size))
			for b.Loop() {
				place(w)
				b.StopTimer()
				if err := os.RemoveAll(w.path("data")); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*files), "us/file")
		}
		b.Run(fmt.Sprintf("Session%dK", size>>10), func(b *testing.B) {
			store := memory(b, contents...)
			digests := make([]cas.Digest, files)
			for i, c := range contents {
				digests[i] = cas.Sum([]byte(c))
			}
			run(b, func(w workTree) {
				s := w.Session()
				for i, d := range digests {
					if _, err := s.File(context.Background(), store, name(i), d, int64(size), false); err != nil {
						b.Fatal(err)
					}
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(fmt.Sprintf("WriteFile%dK", size>>10), func(b *testing.B) {
			run(b, func(w workTree) {
				for i, c := range contents {
					file := w.path(name(i))
					if i%100 == 0 {
						if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
							b.Fatal(err)
						}
					}
					if err := os.WriteFile(file, []byte(c), 0o666); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
