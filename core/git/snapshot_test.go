package git

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// files lists a commit as "path=content".
func (w tree) files(commit string) string {
	w.t.Helper()
	var list []string
	for _, name := range splitNUL([]byte(w.git("ls-tree", "-r", "-z", "--name-only", commit))) {
		list = append(list, fmt.Sprintf("%s=%s", name, w.git("cat-file", "-p", commit+":"+name)))
	}
	return strings.Join(list, " ")
}

func TestSnapshot(t *testing.T) {
	w := newTree(t)
	head := w.commit(".gitignore", "*.bin\n", "a", "1", "b", "1", "c", "1", "dir", "1", "emptied", "1")
	w.write("a", "2")
	w.write("staged", "1")
	w.git("add", "staged")
	for _, gone := range []string{"b", "dir", "emptied"} {
		if err := os.Remove(w.at(gone).dir); err != nil {
			t.Fatal(err)
		}
	}
	w.write("dir/now a folder", "1")
	w.write("emptied/ignored.bin", "1")
	w.write("new/with space", "1")
	w.write("ignored.bin", "1")
	w.write("big", strings.Repeat("x", 100))
	w.write("c", strings.Repeat("y", 101))
	w.write("embedded/sub/.git/HEAD", "ref: refs/heads/x\n")
	w.write("embedded/sub/.git/objects/x", "")
	w.write("embedded/sub/.git/refs/x", "")
	w.write("embedded/sub/file", "1")

	repo := w.find()
	status, index := w.git("status", "--porcelain"), w.git("ls-files", "-s")
	before, _ := os.ReadFile(filepath.Join(repo.GitDir, "index"))
	got, err := repo.Snapshot(t.Context(), "20261123T120000-ab", 99)
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(filepath.Join(repo.GitDir, "index")); !bytes.Equal(before, after) {
		t.Error("the index was written")
	}
	if w.git("status", "--porcelain") != status || w.git("ls-files", "-s") != index {
		t.Error("the status changed")
	}
	if files, want := w.files(got.Commit), ".gitignore=*.bin a=2 c=1 dir/now a folder=1 new/with space=1 staged=1"; files != want {
		t.Errorf("got  %s\nwant %s", files, want)
	}
	skipped := map[string]string{}
	for _, s := range got.Skipped {
		skipped[s.Path] = fmt.Sprintf("%d %s", s.Size, s.Reason)
	}
	if want := map[string]string{"big": "100 too large", "c": "101 too large", "embedded/sub": "0 a repository of its own"}; !reflect.DeepEqual(skipped, want) {
		t.Errorf("skipped: got %v, want %v", skipped, want)
	}
	if parent := w.git("rev-parse", got.Commit+"^"); parent != head {
		t.Errorf("parent is %s, want %s", parent, head)
	}
	if at := w.git("rev-parse", got.Ref); at != got.Commit || got.Ref != "refs/kept/snap/20261123T120000-ab" {
		t.Errorf("%s is %s, want %s", got.Ref, at, got.Commit)
	}

	t.Setenv("GIT_AUTHOR_NAME", "somebody else")
	t.Setenv("GIT_COMMITTER_DATE", "@99 +0100")
	w.git("config", "user.name", "another")
	again, err := repo.Snapshot(t.Context(), "other", 99)
	if err != nil || again.Commit != got.Commit {
		t.Errorf("the same worktree again: got %s, %v, want %s", again.Commit, err, got.Commit)
	}
}

func TestSnapshotOfCleanTree(t *testing.T) {
	w := newTree(t)
	head := w.commit("a", "1")
	w.write("a", "1")
	got, err := w.find().Snapshot(t.Context(), "x", 99)
	if want := (Snapshot{Commit: head}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if refs := w.git("for-each-ref", "refs/kept"); refs != "" {
		t.Errorf("it left %s", refs)
	}
}

func TestSnapshotBeforeFirstCommit(t *testing.T) {
	w := newTree(t)
	got, err := w.find().Snapshot(t.Context(), "empty", 99)
	if err != nil || !reflect.DeepEqual(got, Snapshot{}) {
		t.Errorf("nothing there: got %+v, %v", got, err)
	}
	w.write("a", "1")
	got, err = w.find().Snapshot(t.Context(), "x", 99)
	if err != nil || w.files(got.Commit) != "a=1" || w.git("rev-list", "--count", got.Commit) != "1" {
		t.Errorf("got %+v, %v", got, err)
	}
	if out := w.git("ls-files"); out != "" {
		t.Errorf("the index was written: %s", out)
	}
}

// Git takes a file for unchanged when size and time are those in the index. One
// that was edited in the same tick as "git add" is told apart by the time of the index.
func TestSnapshotSeesChangeInSameTick(t *testing.T) {
	w := newTree(t)
	w.commit("a", "1")
	index := filepath.Join(w.dir, ".git", "index")
	info, err := os.Stat(w.at("a").dir)
	if err != nil {
		t.Fatal(err)
	}
	w.write("a", "2")
	for _, path := range []string{w.at("a").dir, index} {
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	w.git("config", "core.trustctime", "false")
	got, err := w.find().Snapshot(t.Context(), "x", 99)
	if err != nil || w.files(got.Commit) != "a=2" {
		t.Errorf("got %s, %v, want a=2", w.files(got.Commit), err)
	}
}

func TestSnapshotDuringConflictAndInSparseCheckout(t *testing.T) {
	w := newTree(t)
	w.commit("a", "1\n", "out/x", "1")
	w.git("checkout", "-q", "-b", "topic")
	w.commit("a", "2\n")
	w.git("checkout", "-q", "main")
	w.commit("a", "3\n")
	w.git("sparse-checkout", "set", "in")
	w.git("config", "merge.conflictStyle", "merge")
	w.write("in/new", "1")
	w.write("out/new", "1")
	if err := func() error { _, err := w.find().git(t.Context(), "merge", "-q", "topic"); return err }(); err == nil {
		t.Fatal("the merge was meant to conflict")
	}
	got, err := w.find().Snapshot(t.Context(), "x", 99)
	want := "a=<<<<<<< HEAD\n3\n=======\n2\n>>>>>>> topic in/new=1 out/new=1 out/x=1"
	if err != nil || w.files(got.Commit) != want {
		t.Errorf("got %q, %v, want %q", w.files(got.Commit), err, want)
	}
	if w.git("ls-files", "-u") == "" {
		t.Error("the conflict was resolved in the real index")
	}
}

func TestSnapshotInLinkedWorktree(t *testing.T) {
	w := newTree(t)
	w.commit("a", "1")
	w.git("worktree", "add", "-q", "../linked")
	linked := w.at("../linked")
	linked.write("a", "2")
	got, err := linked.find().Snapshot(t.Context(), "x", 99)
	if err != nil || w.files(got.Commit) != "a=2" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSnapshotRefusesNames(t *testing.T) {
	repo := newTree(t).find()
	for _, id := range []string{"", "..", "a..b", "-x", ".x", "a/b", "a b", "x.lock", "x.", "a\n"} {
		if _, err := repo.Snapshot(t.Context(), id, 99); err == nil {
			t.Errorf("%q was accepted", id)
		}
	}
}

func TestPruneSnapshots(t *testing.T) {
	w := newTree(t)
	id := w.commit("a", "1")
	for i := range 7 {
		w.git("update-ref", fmt.Sprintf("refs/kept/snap/2026-%d", i), id)
	}
	w.git("pack-refs", "--all")
	repo := w.find()
	if n, err := repo.PruneSnapshots(t.Context(), 3); n != 4 || err != nil {
		t.Errorf("got %d, %v, want 4", n, err)
	}
	if got, want := w.git("for-each-ref", "--format=%(refname:lstrip=3)", "refs/kept"), "2026-4\n2026-5\n2026-6"; got != want {
		t.Errorf("left %q, want %q", got, want)
	}
	if n, err := repo.PruneSnapshots(t.Context(), Snapshots); n != 0 || err != nil {
		t.Errorf("got %d, %v, want 0", n, err)
	}
}
