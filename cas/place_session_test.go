package cas_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

func (w workTree) put(s *cas.Session, store cas.Store, name, content string) error {
	_, err := s.File(context.Background(), store, name, cas.Sum([]byte(content)), int64(len(content)), false)
	return err
}

// More folders than a session holds open, deeper than it holds, and in any order.
func TestSessionPlacesAnywhere(t *testing.T) {
	w := newWorkTree(t)
	var contents, paths []string
	for i := range 200 {
		paths = append(paths, fmt.Sprintf("d%d/e%d/f%d", i%40, i%7, i))
		paths = append(paths, strings.Repeat(fmt.Sprintf("%d/", i%3), 30)+fmt.Sprint(i))
	}
	for _, p := range paths {
		contents = append(contents, "content of "+p)
	}
	store := memory(t, contents...)
	s := w.Session()
	for i, p := range paths {
		if err := w.put(s, store, p, contents[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		if err := s.Link(fmt.Sprintf("d%d/link", i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for i, p := range paths {
		w.wantFile(p, contents[i])
	}
	w.wantNoTemps()

	s = w.Session()
	for _, p := range paths {
		if err := s.Remove(p); err != nil {
			t.Fatal(err)
		}
		w.wantNothing(p)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.wantNothing("0", "1", "2", "d39", "d0/e0")
	if _, err := os.Lstat(w.path("d0/link")); err != nil {
		t.Errorf("what was not removed: %v", err)
	}
}

// What is done to a folder while a session holds it open.
func TestSessionFolderChanges(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder held open cannot be moved")
	}
	store := memory(t, "first", "second")
	for name, c := range map[string]struct {
		change func(w workTree)
		unsafe bool     // File refuses the path from then on, or Close says so
		gone   []string // places that the second file must not be at
		there  string   // where it is
	}{
		"removed": {
			func(w workTree) { os.RemoveAll(w.path("a")) }, false, nil, "a/b/second"},
		"removed and made again": {
			func(w workTree) { os.RemoveAll(w.path("a/b")); os.Mkdir(w.path("a/b"), 0o777) }, false, nil, "a/b/second"},
		"exchanged for a link to Git's hooks": {
			func(w workTree) { os.Rename(w.path("a/b"), w.path("away")); w.symlink("../.git/hooks", "a/b") },
			true, []string{".git/hooks/second"}, "away/second"},
		"its parent exchanged for a link out of the tree": {
			func(w workTree) { os.Rename(w.path("a"), w.path("away")); w.symlink("../outside", "a") },
			true, []string{"../outside/b/second"}, "away/b/second"},
		"exchanged for a folder": {
			func(w workTree) { os.Rename(w.path("a/b"), w.path("away")); os.Mkdir(w.path("a/b"), 0o777) },
			true, nil, "away/second"},
		"removed, and a link in its place": {
			func(w workTree) { os.RemoveAll(w.path("a/b")); w.symlink("../.git/hooks", "a/b") },
			true, []string{".git/hooks/second"}, ""},
		"the folder for unfinished files removed": {
			func(w workTree) { os.RemoveAll(w.tmp) }, false, nil, "a/b/second"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkTree(t)
			for _, dir := range []string{".git/hooks", "../outside/b"} {
				if err := os.MkdirAll(w.path(dir), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			s := w.Session()
			if err := w.put(s, store, "a/b/first", "first"); err != nil {
				t.Fatal(err)
			}
			c.change(w)
			err := errors.Join(w.put(s, store, "a/b/second", "second"), s.Close())
			if c.unsafe != (asUnsafe(err) != nil) || !c.unsafe && err != nil {
				t.Errorf("%v; want an UnsafeError: %v", err, c.unsafe)
			}
			w.wantNothing(c.gone...)
			if c.there != "" {
				w.wantFile(c.there, "second")
			}
			w.wantNoTemps()
		})
	}
}

// Several sessions place into a tree whose folders somebody exchanges for links
// all the time. Whatever they report, nothing comes out of the tree, and what
// they are satisfied with is right.
func TestSessionsInHostileTree(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder held open cannot be moved")
	}
	w := newWorkTree(t)
	outside := w.path("../outside")
	if err := os.MkdirAll(filepath.Join(outside, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	const goroutines, files = 4, 150
	store := storetest.NewMemory()
	name := func(g, i int) string { return fmt.Sprintf("d%d/sub/%d-%d", i%3, g, i) }
	for g := range goroutines {
		for i := range files {
			mustPut(t, store, []byte(name(g, i)))
		}
	}
	stop := make(chan struct{})
	var hostile sync.WaitGroup
	hostile.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			dir, away := w.path(fmt.Sprintf("d%d", i%3)), w.path(fmt.Sprintf("away%d", i))
			if os.Rename(dir, away) == nil {
				_ = os.Symlink(outside, dir)
			}
			runtime.Gosched()
			_ = os.Remove(dir)
			_ = os.Rename(away, dir)
		}
	})
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			s := w.Session()
			for i := range files {
				if err := w.put(s, store, name(g, i), name(g, i)); err != nil {
					_ = s.Close() // refused, or a folder was gone for a moment
					s = w.Session()
				}
			}
			_ = s.Close()
		})
	}
	group.Wait()
	close(stop)
	hostile.Wait()
	if left := listFiles(t, outside); len(left) > 0 {
		t.Errorf("outside the tree: %v", left)
	}
	for _, file := range listFiles(t, w.root) {
		if strings.HasPrefix(file, ".git/") || strings.Contains(file, "tmp-") {
			continue
		}
		b, err := os.ReadFile(w.path(file))
		if base := file[strings.LastIndexByte(file, '/')+1:]; err != nil || !strings.HasSuffix(string(b), "/"+base) {
			t.Errorf("%s has %q, %v", file, b, err)
		}
	}
	w.wantNoTemps()
}

// versions are two contents of the store with most in common, and some bytes.
func versions(t testing.TB, store cas.Store, size int) (old, now string) {
	t.Helper()
	b := storetest.Random(1, size)
	old = string(b)
	mustPut(t, store, b)
	copy(b[size/2:], storetest.Random(2, size/100))
	mustPut(t, store, b)
	return old, string(b)
}

func copyClone(to, from *os.File) error {
	b, err := os.ReadFile(from.Name())
	if err == nil {
		_, err = to.WriteAt(b, 0)
	}
	return err
}

// Sharing blocks, by a stand-in that copies: only what differs is written, and
// whatever is wrong with what is there, the result is right.
func TestUpdate(t *testing.T) {
	store := openLocal(t, t.TempDir())
	old, now := versions(t, store, 8<<20)
	longer := now + string(storetest.Random(3, 1<<20))
	shorter := old[:6<<20]
	for _, c := range []string{longer, shorter, "small"} {
		mustPut(t, store, []byte(c))
	}
	for name, c := range map[string]struct {
		there, believed, next string
		clone                 func(to, from *os.File) error
		atMost                int // bytes written
	}{
		"a part changed":     {old, old, now, copyClone, 1 << 20},
		"and back":           {now, now, old, copyClone, 1 << 20},
		"longer":             {old, old, longer, copyClone, 3 << 20},
		"shorter":            {old, old, shorter, copyClone, 1 << 20},
		"nothing in common":  {"small", "small", now, copyClone, len(now)},
		"to something small": {old, old, "small", copyClone, 5},
		"an edited file":     {strings.Replace(old, old[:100], strings.Repeat("x", 100), 1), old, now, copyClone, len(now) + 1<<20},
		"another file":       {"small", old, now, copyClone, len(now) + 1<<20},
		"nothing known":      {old, "", now, nil, len(now)},
		"an unknown content": {"mine", "mine", now, nil, len(now)},
		"nothing there":      {"", old, now, nil, len(now)},
		"cannot share":       {old, old, now, func(_, _ *os.File) error { return errors.ErrUnsupported }, len(now)},
		"a file system of lies": {old, old, now, func(to, from *os.File) error {
			copyClone(to, from)
			_, err := to.WriteAt(make([]byte, 9), 77)
			return err
		}, len(now) + 1<<20},
		"a file system of holes": {old, old, now, func(_, _ *os.File) error { return nil }, len(now) + 1<<20},
	} {
		t.Run(name, func(t *testing.T) {
			for _, beside := range []bool{false, true} {
				w := newWorkTree(t)
				if c.there != "" {
					w.write("d/model", c.there)
				}
				clone := c.clone
				if clone == nil {
					clone = func(_, _ *os.File) error { t.Error("asked to share"); return errors.ErrUnsupported }
				}
				w.SetClone(clone)
				written := w.CountWrites()
				if beside {
					w.SetBeside()
				}
				var believed cas.Digest
				if c.believed != "" {
					believed = cas.Sum([]byte(c.believed))
				}
				info, err := w.Update(t.Context(), store, "d/model", believed, cas.Sum([]byte(c.next)), int64(len(c.next)), true)
				if err != nil {
					t.Fatal(err)
				}
				w.wantFile("d/model", c.next)
				if info.Size() != int64(len(c.next)) || runtime.GOOS != "windows" && info.Mode()&0o100 == 0 {
					t.Errorf("info is of %d bytes, %v", info.Size(), info.Mode())
				}
				if n := written(); n > c.atMost {
					t.Errorf("%d bytes written, want at most %d", n, c.atMost)
				}
				w.wantNoTemps()
			}
		})
	}
}

// A file system that cannot share blocks is asked once.
func TestUpdateAsksOnce(t *testing.T) {
	store := openLocal(t, t.TempDir())
	old, now := versions(t, store, 1<<20)
	w := newWorkTree(t)
	asked := 0
	w.SetClone(func(_, _ *os.File) error { asked++; return errors.ErrUnsupported })
	contents := []string{old, now}
	w.write("model", old)
	for i := range 5 {
		is, will := cas.Sum([]byte(contents[i%2])), contents[(i+1)%2]
		if _, err := w.Update(t.Context(), store, "model", is, cas.Sum([]byte(will)), int64(len(will)), false); err != nil {
			t.Fatal(err)
		}
		w.wantFile("model", will)
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
}

// An object of which a chunk is damaged: the old file stays, as with File.
func TestUpdateCorrupt(t *testing.T) {
	store := openLocal(t, t.TempDir())
	old, now := versions(t, store, 4<<20)
	w := newWorkTree(t)
	w.SetClone(copyClone)
	w.write("model", old)
	ranges, err := store.Ranges(t.Context(), cas.Sum([]byte(now)))
	if err != nil {
		t.Fatal(err)
	}
	was, err := store.Ranges(t.Context(), cas.Sum([]byte(old)))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range ranges {
		if !slices.Contains(was, r) {
			if err := store.Corrupt(r.Digest); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	_, err = w.Update(t.Context(), store, "model", cas.Sum([]byte(old)), cas.Sum([]byte(now)), int64(len(now)), false)
	if asCorrupt(err) == nil && !isMissing(err) {
		t.Errorf("Update = %v", err)
	}
	w.wantFile("model", old)
	w.wantNoTemps()
}

// As TestPlaceFailsAtEveryOperation, for what a session and sharing blocks add.
func TestSessionFailsAtEveryOperation(t *testing.T) {
	store := openLocal(t, t.TempDir())
	old, now := versions(t, store, 1<<20)
	mustPut(t, store, []byte("small"))
	for _, sticky := range []bool{false, true} {
		for nth := 1; ; nth++ {
			if nth > 200 {
				t.Fatal("no end of operations")
			}
			w := newWorkTree(t)
			w.write("d/model", old)
			w.write("d/e/doomed", "doomed")
			w.SetClone(copyClone)
			count, failed := 0, ""
			w.SetFault(func(op string) error {
				if count++; count == nth || sticky && count > nth {
					failed = op
					return fmt.Errorf("%s: %w", op, errInjected)
				}
				return nil
			})
			work := func(w workTree) error {
				s := w.Session()
				_, err := s.Update(t.Context(), store, "d/model", cas.Sum([]byte(old)), cas.Sum([]byte(now)), int64(len(now)), false)
				return errors.Join(err, w.put(s, store, "d/new/a", "small"), w.put(s, store, "d/new/b", "small"),
					s.Remove("d/e/doomed"), s.Link("d/link", "model"), s.Close())
			}
			err := work(w)
			if count < nth {
				if err != nil {
					t.Fatal(err)
				}
				w.wantNothing("d/e")
				break
			}
			// Sharing blocks is an attempt, and an empty folder no loss.
			if !errors.Is(err, errInjected) && !slices.Contains([]string{"rmdir", "clone", "truncate", "write at"}, failed) {
				t.Fatalf("operation %d, %s: %v", nth, failed, err)
			}
			if b, err := os.ReadFile(w.path("d/model")); err != nil || string(b) != old && string(b) != now {
				t.Fatalf("operation %d, %s: the file has %d bytes, %v", nth, failed, len(b), err)
			}
			for _, name := range []string{"d/new/a", "d/new/b"} {
				if _, err := os.Lstat(w.path(name)); err == nil {
					w.wantFile(name, "small")
				}
			}
			w.wantNoTemps()
			again := w
			again.Placer = cas.NewPlacer(w.root, w.tmp)
			if err := work(again); err != nil {
				t.Fatalf("operation %d, %s: again: %v", nth, failed, err)
			}
			w.wantFile("d/model", now)
			w.wantNothing("d/e/doomed")
		}
	}
}
