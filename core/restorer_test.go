package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// newRepository returns a new repository.
func newRepository(t testing.TB) *Repository {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, out)
	}
	r, err := OpenRepository(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// keepFolder stores a folder of the files given and returns it as an artifact at path.
func keepFolder(t testing.TB, r *Repository, path string, files map[string]string) item {
	t.Helper()
	batch := r.objects.Batch()
	defer batch.Close()
	var tree cas.Tree
	for _, name := range slices.Sorted(maps.Keys(files)) { // as kept add finds them
		kind, content := cas.File, files[name]
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			kind, content = cas.Link, target
		} else if strings.HasPrefix(content, "#!") {
			kind = cas.Executable
		}
		d, err := batch.PutBytes(t.Context(), []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		tree = append(tree, cas.Entry{Path: name, Kind: kind, Digest: d, Size: int64(len(content))})
	}
	d, err := batch.PutBytes(t.Context(), tree.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if err := batch.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	art := &lockfile.Artifact{Path: path, Hash: d, Size: tree.Size(), Folder: true, Files: int64(len(files))}
	return item{path: path, art: art}
}

// look returns what every file and link below folder is.
func look(t *testing.T, r *Repository, folder string) map[string]fs.FileInfo {
	t.Helper()
	seen := map[string]fs.FileInfo{}
	root := r.Workspace.Abs(folder)
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err == nil {
			seen[filepath.ToSlash(rel)], err = e.Info()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// untouched reports whether nobody wrote or replaced a file between two looks.
func untouched(before, after fs.FileInfo) bool {
	return before != nil && after != nil && os.SameFile(before, after) &&
		before.ModTime().Equal(after.ModTime()) && before.Mode() == after.Mode()
}

func wantFolder(t *testing.T, r *Repository, it item) {
	t.Helper()
	r.Workspace.Forget() // so that the files are read
	o, err := r.Workspace.Scan(t.Context(), it.path)
	if err != nil || o.Digest != it.art.Hash {
		t.Fatalf("the folder is %+v, %v; want %s", o, err, it.art.Hash)
	}
}

// twoVersions returns a folder of many files, and one that has some of them
// otherwise, less and more.
func twoVersions(t *testing.T, r *Repository) (one, two item, differ []string) {
	t.Helper()
	files := map[string]string{"link": "-> d1/f1", "run": "#!/bin/sh", "folder/a": "a", "file": "f"}
	for i := range 300 {
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = fmt.Sprintf("content %d", i)
	}
	one = keepFolder(t, r, "data", files)
	next := maps.Clone(files)
	for i := range 10 {
		name := fmt.Sprintf("d%d/f%d", i%7, i)
		next[name] += " changed"
		differ = append(differ, name)
	}
	next["link"] = "-> d1/f8"
	next["run"] = "no script now"
	next["new/deep/file"] = "new"
	delete(next, "d6/f13")
	delete(next, "folder/a") // a folder becomes a file, and a file a folder
	next["folder"] = "a file"
	delete(next, "file")
	next["file/b"] = "b"
	differ = append(differ, "link", "run", "new/deep/file", "d6/f13", "folder/a", "folder", "file", "file/b")
	return one, keepFolder(t, r, "data", next), differ
}

// Switching between two versions of a folder touches what differs, nothing else.
func TestRestoreTouchesWhatDiffers(t *testing.T) {
	r := newRepository(t)
	one, two, differ := twoVersions(t, r)
	if _, err := r.restoreItems(t.Context(), []item{one}); err != nil {
		t.Fatal(err)
	}
	wantFolder(t, r, one)
	for _, to := range []item{two, one, two} {
		before := look(t, r, "data")
		report, err := r.restoreItems(t.Context(), []item{to})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(report.Placed, []string{"data"}) || len(report.Saved) > 0 {
			t.Errorf("the report is %+v", report)
		}
		after := look(t, r, "data")
		wantFolder(t, r, to)
		names := maps.Clone(before)
		maps.Copy(names, after)
		for name := range names {
			if touched := !untouched(before[name], after[name]); touched != slices.Contains(differ, name) {
				t.Errorf("%s: touched %v", name, touched)
			}
		}
	}
}

// A folder as a killed restore leaves it is finished, and is nobody's content to
// save; what a user changed in it is.
func TestRestoreFinishesWhatWasKilled(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *Repository)
		saved  int
	}{
		"as it was left":        {func(*Repository) {}, 0},
		"with a file less":      {func(r *Repository) { os.Remove(r.Workspace.Abs("data/d3/f3")) }, 0},
		"with a file of mine":   {func(r *Repository) { os.WriteFile(r.Workspace.Abs("data/mine"), []byte("mine"), 0o666) }, 1},
		"with an edited file":   {func(r *Repository) { os.WriteFile(r.Workspace.Abs("data/d1/f1"), []byte("mine"), 0o666) }, 1},
		"with a file elsewhere": {func(r *Repository) { os.Rename(r.Workspace.Abs("data/d1/f1"), r.Workspace.Abs("data/x")) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, forwards := range []bool{true, false} {
				r := newRepository(t)
				one, two, _ := twoVersions(t, r)
				const lock = "kept.lock"
				s := &state{Version: stateVersion, Locks: map[string]restored{lock: {Artifacts: placedOf([]item{one})}}}
				if err := r.writeState(s); err != nil {
					t.Fatal(err)
				}
				if _, err := r.restoreItems(t.Context(), []item{one}); err != nil {
					t.Fatal(err)
				}
				killHalfWay(t, r, lock, two)
				c.change(r)
				to := two
				if !forwards {
					to = one
				}
				rs := r.restorer()
				rs.marks(lock, []item{to}, restored{})
				if err := rs.ensure(t.Context(), to); err != nil {
					t.Fatal(err)
				}
				if len(rs.report.Saved) != c.saved {
					t.Errorf("saved %v, want %d", rs.report.Saved, c.saved)
				}
				wantFolder(t, r, to)
				for _, saved := range rs.report.Saved { // whole
					o := keepFolder(t, r, "other", nil)
					o.art.Hash = saved.Hash
					if report, err := r.restoreItems(t.Context(), []item{o}); err != nil || len(report.Placed) != 1 {
						t.Errorf("bring it back: %+v, %v", report, err)
					}
				}
			}
		})
	}
}

// killHalfWay restores to, and ends as if it had been killed in the middle.
func killHalfWay(t *testing.T, r *Repository, lock string, to item) {
	t.Helper()
	rs := r.restorer()
	rs.marks(lock, []item{to}, restored{})
	if err := rs.touch(); err != nil {
		t.Fatal(err)
	}
	tree, err := r.tree(t.Context(), to.art.Hash)
	if err != nil {
		t.Fatal(err)
	}
	current, err := r.Workspace.Scan(t.Context(), to.path)
	if err != nil {
		t.Fatal(err)
	}
	change := compare(current.Tree(), tree)
	if err := rs.removeEntries(t.Context(), to.path, change.gone[:1]); err != nil {
		t.Fatal(err)
	}
	var files []replacing
	for _, p := range change.place {
		if p.Kind != cas.Link && strings.HasPrefix(p.Path, "d") {
			files = append(files, p)
		}
	}
	err = rs.putEach(t.Context(), files[:len(files)/2], func(s *cas.Session, p replacing) error { return rs.putFile(t.Context(), s, to.path, p) })
	if err != nil {
		t.Fatal(err)
	}
}

// What is replaced is in the store, and nothing but this restore has need of it:
// a collection at the same time must not take the one when the other goes.
func TestRestoreKeepsWhatItReplaces(t *testing.T) {
	r := newRepository(t)
	mine := "mine\n"
	keep := func(content string) cas.Digest {
		d, _, err := r.objects.Put(t.Context(), strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	kept, next := keep(mine), keep("next\n")
	if err := os.WriteFile(r.Workspace.Abs("model"), []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	rs := r.restorer()
	rs.mark = func() error {
		other, err := cas.OpenLocal(r.Local.Store())
		if err != nil {
			return err
		}
		live := func(_ context.Context, each func(cas.Digest) error) error { return each(next) }
		_, err = other.Collect(t.Context(), cas.CollectOptions{Live: live, Wait: 20 * time.Millisecond})
		if !errors.Is(err, cas.ErrInUse) {
			t.Errorf("Collect = %v, want ErrInUse", err)
		}
		return nil
	}
	art := &lockfile.Artifact{Path: "model", Hash: next, Size: 5}
	if err := rs.restoreAll(t.Context(), []item{{path: "model", art: art}}); err != nil {
		t.Fatal(err)
	}
	if b, err := cas.ReadAll(t.Context(), r.objects, kept, 100); string(b) != mine {
		t.Errorf("what was replaced: %q, %v", b, err)
	}
}

// The first error ends all parts, and every piece of work is in one part.
func TestInParts(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 33, 1000} {
		work := make([]int, n)
		for i := range work {
			work[i] = i
		}
		seen := make([]bool, n)
		err := inParts(t.Context(), work, func(i int) int64 { return int64(i * i) }, func(_ context.Context, part []int) error {
			for j, i := range part {
				if seen[i] || i != part[0]+j {
					t.Errorf("of %d: %d twice, or not in order", n, i)
				}
				seen[i] = true
			}
			return nil
		})
		if err != nil || slices.Contains(seen, false) {
			t.Errorf("of %d: not all was done, %v", n, err)
		}
		if n == 0 {
			continue
		}
		failed := fmt.Errorf("failed")
		err = inParts(t.Context(), work, func(int) int64 { return 1 }, func(ctx context.Context, part []int) error {
			if part[0] == 0 {
				return failed
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Minute):
				return fmt.Errorf("nobody said that it is over")
			}
		})
		if err != failed {
			t.Errorf("of %d: %v, want the first error", n, err)
		}
	}
}

// Restoring a new clone's folder, against writing its files and nothing else.
func BenchmarkRestoreFolder(b *testing.B) {
	const files, size = 2000, 4 << 10
	r := newRepository(b)
	contents := map[string]string{}
	for i := range files {
		contents[fmt.Sprintf("d%d/f%d", i/100, i)] = string(bytes.Repeat([]byte(fmt.Sprintf("%08d", i)), size/8))
	}
	it := keepFolder(b, r, "data", contents)
	for b.Loop() {
		if report, err := r.restoreItems(context.Background(), []item{it}); err != nil || len(report.Placed) != 1 {
			b.Fatal(report, err)
		}
		b.StopTimer()
		if err := os.RemoveAll(r.Workspace.Abs("data")); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*files), "us/file")
}
