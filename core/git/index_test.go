package git

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestStaged(t *testing.T) {
	w := newTree(t)
	repo := w.find()
	w.write("kept.lock", "staged")
	w.git("add", "kept.lock")
	w.write("kept.lock", "worktree")
	if data, err := repo.Staged(t.Context(), "kept.lock"); string(data) != "staged" || err != nil {
		t.Errorf("before the first commit: got %q, %v", data, err)
	}
	if _, err := repo.Staged(t.Context(), "other"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if names, err := repo.StagedNames(t.Context()); !slices.Equal(names, []string{"kept.lock"}) || err != nil {
		t.Errorf("before the first commit: StagedNames = %q, %v", names, err)
	}
	w.commit()
	w.git("mv", "kept.lock", "moved\nlock")
	if names, err := repo.StagedNames(t.Context()); !slices.Equal(names, []string{"kept.lock", "moved\nlock"}) || err != nil {
		t.Errorf("StagedNames = %q, %v", names, err)
	}
}

// A commit of named paths works on an index of its own, which is what its hook has to judge.
func TestStagedInPartialCommit(t *testing.T) {
	w := newTree(t)
	w.commit("a", "1", "b", "1")
	w.write("a", "2")
	w.write("b", "2")
	w.git("add", "b")
	index := filepath.Join(w.dir, ".git", "next-index-1.lock")
	data, err := os.ReadFile(filepath.Join(w.dir, ".git", "index"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(index, data, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(w.dir)
	t.Setenv("GIT_INDEX_FILE", ".git/next-index-1.lock")
	w.git("reset", "-q", "--", "b")
	w.git("add", "a")
	repo := w.find()
	if names, err := repo.StagedNames(t.Context()); !slices.Equal(names, []string{"a"}) || err != nil {
		t.Errorf("StagedNames = %q, %v, want a alone", names, err)
	}
	if data, err := repo.Staged(t.Context(), "b"); string(data) != "1" || err != nil {
		t.Errorf("Staged(b) = %q, %v, want what this commit has", data, err)
	}
	if tracked, err := repo.Tracked(t.Context(), []string{"a", "b"}); len(tracked) != 2 || err != nil {
		t.Errorf("Tracked = %v, %v", tracked, err)
	}
}

func TestTracked(t *testing.T) {
	w := newTree(t)
	w.commit("src/deep/a.py", "1", "data*", "1", "b", "1")
	w.write("models/m.bin", "1")
	w.write("datax", "1")
	got, err := w.find().Tracked(t.Context(), []string{"src", "src/deep", "src/", "src/deep/a.py", "src/de", "data*", "datax", "models", "b", "b/c", ".", ":(bogus)x", "-z"})
	want := map[string]bool{"src": true, "src/deep": true, "src/": true, "src/deep/a.py": true, "data*": true, "b": true, ".": true}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	var many []string
	for range 5000 {
		many = append(many, "some/long/path/that/is/not/tracked", "b")
	}
	if got, err := w.find().Tracked(t.Context(), many); len(got) != 1 || err != nil {
		t.Errorf("more than one command line: got %v, %v", got, err)
	}
}

func TestIgnored(t *testing.T) {
	w := newTree(t)
	w.commit(".gitignore", "/models/\n*.bin\n", "a.txt", "1")
	repo := w.find()
	got, err := repo.Ignored(t.Context(), []string{"models/", "models/x", "a.txt", "b.bin", "line\nfeed.bin", "models"})
	want := map[string]bool{"models/": true, "models/x": true, "b.bin": true, "line\nfeed.bin": true}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := repo.Ignored(t.Context(), []string{"a.txt"}); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v, want none", got, err)
	}
}

func TestFiles(t *testing.T) {
	w := newTree(t)
	if got, err := w.find().Files(t.Context(), "kept.lock"); got != nil || err != nil {
		t.Errorf("in an empty repository: got %q, %v", got, err)
	}
	w.commit("kept.lock", "1", "exp/a b/kept.lock", "1", "exp/x/kept.lock", "1", "not-kept.lock", "1", "kept.lock.md", "1")
	w.write("untracked/kept.lock", "1")
	want := []string{"exp/a b/kept.lock", "exp/x/kept.lock", "kept.lock"}
	if got, err := w.find().Files(t.Context(), "kept.lock"); !slices.Equal(got, want) || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	w.git("sparse-checkout", "set", "exp/x") // also turns extensions.worktreeConfig on
	if got, err := w.find().Files(t.Context(), "kept.lock"); !slices.Equal(got, want) || err != nil {
		t.Errorf("in a sparse checkout: got %q, %v, want %q", got, err, want)
	}
}
