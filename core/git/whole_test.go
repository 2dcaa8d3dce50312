package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func (w tree) whole() *Whole { return w.find().Whole() }

// versions returns the contents of all versions of files called lock, sorted.
func (w tree) versions() string {
	w.t.Helper()
	return versionsIn(w.t, w.whole())
}

func versionsIn(t *testing.T, w *Whole) string {
	t.Helper()
	found, err := w.Versions(context.Background(), "lock")
	if err != nil {
		t.Fatal(err)
	}
	var ids, got []string
	for _, v := range found {
		if filepath.Base(v.Path) != "lock" {
			t.Errorf("it found %q", v.Path)
		}
		ids = append(ids, v.Blob)
	}
	err = w.ReadBlobs(context.Background(), ids, func(_ int, data []byte) error {
		got = append(got, strings.TrimSpace(string(data)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return strings.Join(got, " ")
}

func TestVersions(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(w tree)
		want string
	}{
		{"nothing", func(tree) {}, ""},
		{"all of history, in every folder", func(w tree) {
			w.commit("lock", "a", "not-lock", "x", "lockfile", "x")
			w.commit("lock", "b", "sub/deep/lock", "c")
			w.commit("lock", "d")
		}, "a b c d"},
		{"a file that was removed", func(w tree) {
			w.commit("lock", "a")
			w.git("rm", "-q", "lock")
			w.git("commit", "-qm", "remove")
		}, "a"},
		{"a branch and a tag", func(w tree) {
			w.commit("lock", "a")
			w.git("checkout", "-qb", "other")
			w.commit("lock", "b")
			w.git("checkout", "-q", "main")
			w.git("checkout", "-q", "--detach")
			w.commit("lock", "c")
			w.git("tag", "-am", "kept", "v1")
			w.git("checkout", "-q", "main")
			w.git("reflog", "expire", "--expire=now", "--all")
		}, "a b c"},
		{"a merge that took neither side, and one that threw a side away", func(w tree) {
			w.commit("lock", "a")
			w.git("checkout", "-qb", "side")
			w.commit("lock", "b")
			w.git("checkout", "-q", "main")
			w.commit("lock", "c")
			w.git("merge", "-q", "-s", "ours", "--no-commit", "side")
			w.commit("lock", "d")
			w.git("checkout", "-q", "side")
			w.commit("lock", "e")
			w.git("checkout", "-q", "main")
			w.git("merge", "-q", "-s", "ours", "-m", "throw away", "side")
			w.git("branch", "-D", "side")
			w.git("reflog", "expire", "--expire=now", "--all")
		}, "a b c d e"},
		{"another ref", func(w tree) {
			w.commit("lock", "a")
			w.git("update-ref", "refs/kept/snap/1", w.commit("lock", "b"))
			w.git("reset", "-q", "--hard", "HEAD~1")
			w.git("update-ref", "-d", "ORIG_HEAD")
			w.git("reflog", "expire", "--expire=now", "--all")
		}, "a b"},
		{"a reflog alone", func(w tree) {
			w.commit("lock", "a")
			w.commit("lock", "b")
			w.git("reset", "-q", "--hard", "HEAD~1")
			w.git("update-ref", "-d", "ORIG_HEAD")
		}, "a b"},
		{"neither a ref nor a reflog", func(w tree) {
			w.commit("lock", "a")
			w.commit("lock", "b")
			w.git("reset", "-q", "--hard", "HEAD~1")
			w.git("update-ref", "-d", "ORIG_HEAD")
			w.git("reflog", "expire", "--expire=now", "--all")
		}, "a"},
		{"ORIG_HEAD", func(w tree) {
			w.commit("lock", "a")
			w.commit("lock", "b")
			w.git("reset", "-q", "--hard", "HEAD~1")
			w.git("reflog", "expire", "--expire=now", "--all")
		}, "a b"},
		{"the stash, with a file that was not tracked, and what was stashed before", func(w tree) {
			w.commit("lock", "a")
			w.write("lock", "b")
			w.git("stash", "-q")
			w.write("new/lock", "c")
			w.git("stash", "-q", "-u")
		}, "a b c"},
		{"the index", func(w tree) {
			w.commit("lock", "a")
			w.write("lock", "b")
			w.git("add", "lock")
			w.write("lock", "on disk")
		}, "a b"},
		{"the index before the first commit", func(w tree) {
			w.write("lock", "a")
			w.git("add", "lock")
		}, "a"},
		{"a conflict", func(w tree) {
			w.commit("lock", "a")
			w.git("checkout", "-qb", "side")
			w.commit("lock", "b")
			w.git("checkout", "-q", "main")
			w.commit("lock", "c")
			// As a fetch without a ref leaves it.
			w.write(".git/MERGE_HEAD", w.git("rev-parse", "side")+"\n")
			w.git("branch", "-qD", "side")
			w.git("reflog", "expire", "--expire=now", "--all")
		}, "a b c"},
		{"a rebase with what it stashed", func(w tree) {
			w.commit("lock", "a", "other", "1")
			w.git("checkout", "-qb", "side")
			w.commit("lock", "b")
			w.git("checkout", "-q", "main")
			w.commit("lock", "c")
			w.write("other", "2")
			w.write("sub/lock", "d")
			w.git("add", "sub/lock")
			w.fails("rebase", "-q", "--autostash", "side")
			w.git("reflog", "expire", "--expire=now", "--all")
			w.git("update-ref", "-d", "ORIG_HEAD")
			_ = os.Remove(filepath.Join(w.dir, ".git", "AUTO_MERGE")) // It has the text with conflict markers.
		}, "a b c d"},
		{"a linked worktree: its HEAD, its index, its bisection, its ORIG_HEAD", func(w tree) {
			w.commit("lock", "a")
			w.git("worktree", "add", "-q", "--detach", "../linked")
			l := w.at("../linked")
			l.commit("lock", "b")
			l.git("update-ref", "refs/bisect/bad", l.commit("lock", "c"))
			l.commit("lock", "d")
			l.git("reset", "-q", "--hard", "HEAD~2")
			l.git("reflog", "expire", "--expire=now", "--all")
			l.write("lock", "e")
			l.git("add", "lock")
		}, "a b c d e"},
		{"a linked worktree whose folder is gone", func(w tree) {
			w.commit("lock", "a")
			w.git("worktree", "add", "-q", "--detach", "../linked")
			l := w.at("../linked")
			l.commit("lock", "b")
			l.write("lock", "c")
			l.git("add", "lock")
			l.git("reflog", "expire", "--expire=now", "--all")
			if err := os.RemoveAll(l.dir); err != nil {
				l.t.Fatal(err)
			}
		}, "a b c"},
		{"what a replacement hides", func(w tree) {
			first := w.commit("lock", "a")
			second := w.commit("lock", "b")
			w.git("replace", second, first)
		}, "a b"},
		{"refs to trees", func(w tree) {
			w.commit("lock", "a")
			w.write("sub/lock", "b")
			w.git("add", "sub/lock")
			w.git("update-ref", "refs/kept/tree", w.git("write-tree"))
			w.write("sub/lock", "c")
			w.git("add", "sub/lock")
			w.git("tag", "-am", "a tree", "tree", w.git("write-tree"))
			w.git("rm", "-q", "--cached", "sub/lock")
		}, "a b c"},
		{"a content that another file had first", func(w tree) {
			w.commit("a-file", "a")
			w.commit("lock", "a")
			w.commit("lock", "b")
			w.git("rm", "-q", "--cached", "lock")
			w.git("commit", "-qm", "remove")
		}, "a b"},
		{"names that patterns could misread", func(w tree) {
			w.commit("[x]/*/lock", "a", "ü/lock", "b", "with space/lock", "c", "line\nfeed/lock", "d")
		}, "a b c d"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if strings.Contains(test.name, "patterns") {
				skipOnWindows(t, "it has no such names")
			}
			w := newTree(t)
			test.make(w)
			if got := w.versions(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			// A packed repository answers the same.
			w.git("gc", "-q", "--no-prune")
			if got := w.versions(); got != test.want {
				t.Errorf("after git gc: got %q, want %q", got, test.want)
			}
		})
	}
}

// fails runs Git, which must fail.
func (w tree) fails(args ...string) {
	w.t.Helper()
	c := command{dir: w.dir}
	if _, err := c.run(context.Background(), args...); exitCode(err) == 0 {
		w.t.Fatalf("git %s: %v, want a failure", strings.Join(args, " "), err)
	}
}

// TestVersionsOfOtherFormats: sha256, and what clones leave away.
func TestVersionsOfOtherFormats(t *testing.T) {
	t.Run("sha256", func(t *testing.T) {
		w := newTree(t, "--object-format=sha256")
		w.commit("lock", "a")
		w.commit("lock", "b")
		w.write("lock", "c")
		w.git("add", "lock")
		if got := w.versions(); got != "a b c" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("reftable", func(t *testing.T) {
		if v, err := ProgramVersion(); err != nil || !v.AtLeast(2, 45) {
			t.Skip("this Git has none")
		}
		w := newTree(t, "--ref-format=reftable")
		w.commit("lock", "a")
		w.commit("lock", "b")
		w.git("reset", "-q", "--hard", "HEAD~1")
		if got := w.versions(); got != "a b" {
			t.Errorf("got %q", got)
		}
	})
	origin := newTree(t)
	origin.commit("lock", "a")
	origin.commit("lock", "b", "sub/lock", "c")
	origin.commit("lock", "d")
	origin.git("config", "uploadpack.allowFilter", "true")
	for _, test := range []struct {
		name, option, want string
	}{
		{"shallow", "--depth=2", "b c d"},
		{"without blobs", "--filter=blob:none", "c d"}, // those of the checkout
		{"without trees", "--filter=tree:0", "c d"},
		{"sparse", "--sparse", "a b c d"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "clone")
			origin.git("clone", "-q", test.option, "file://"+filepath.ToSlash(origin.dir), dir)
			clone := tree{t, dir}
			before := clone.git("count-objects", "-v")
			if got := clone.versions(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if after := clone.git("count-objects", "-v"); after != before {
				t.Errorf("it fetched:\n%s\nwas\n%s", after, before)
			}
		})
	}
}

// TestVersionsRefuses: half of the answer would be a wrong one.
func TestVersionsRefuses(t *testing.T) {
	w := newTree(t)
	w.commit("lock", "a")
	id := w.commit("lock", "b")
	w.commit("lock", "c")
	if err := os.Remove(filepath.Join(w.dir, ".git", "objects", id[:2], id[2:])); err != nil {
		t.Fatal(err)
	}
	if found, err := w.whole().Versions(context.Background(), "lock"); err == nil {
		t.Errorf("a commit is missing, and it found %v", found)
	}

	w = newTree(t)
	w.commit("lock", "a")
	w.commit("lock", "b")
	blob := w.git("rev-parse", "HEAD~1:lock")
	if err := os.Remove(filepath.Join(w.dir, ".git", "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	found, err := w.whole().Versions(context.Background(), "lock")
	if err == nil {
		ids := make([]string, len(found))
		for i := range found {
			ids[i] = found[i].Blob
		}
		err = w.whole().ReadBlobs(context.Background(), ids, func(int, []byte) error { return nil })
	}
	if err == nil {
		t.Error("a version is missing, and nobody said so")
	}
	if _, err := WholeAt(t.TempDir()); err == nil {
		t.Error("a folder passed for a repository")
	}
	stop := errors.New("stop")
	w = newTree(t)
	w.commit("lock", "a")
	if err := w.whole().ReadBlobs(context.Background(), []string{w.git("rev-parse", "HEAD:lock")}, func(int, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of the function", err)
	}
}

func TestWorktrees(t *testing.T) {
	w := newTree(t)
	w.commit("lock", "a", ".gitignore", "ignored/\n")
	w.git("worktree", "add", "-q", "../linked")
	w.git("worktree", "add", "-q", "../gone")
	w.git("worktree", "add", "-q", "../away")
	linked := w.at("../linked")
	linked.write("lock", "changed")
	linked.write("new/lock", "b")
	linked.write("ignored/lock", "c")
	if err := os.RemoveAll(w.at("../gone").dir); err != nil {
		t.Fatal(err)
	}

	roots := func(w *Whole) string {
		t.Helper()
		found, err := w.Worktrees(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, r := range found {
			files, err := r.OnDisk(context.Background(), "lock")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r.Worktree+" "+filepath.Base(r.Root)+" "+strings.Join(files, ","))
		}
		return strings.Join(all, "\n")
	}
	want := "main work tree lock\nlinked-away away lock\nlinked-linked linked ignored/lock,lock,new/lock"
	if got := roots(w.whole()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := roots(linked.whole()); got != want {
		t.Errorf("from a linked one: got\n%s\nwant\n%s", got, want)
	}

	w.git("worktree", "lock", "../away")
	if got := roots(w.whole()); got != want {
		t.Errorf("one that is locked and there: got\n%s\nwant\n%s", got, want)
	}
	if err := os.RemoveAll(w.at("../away").dir); err != nil {
		t.Fatal(err)
	}
	var away *WorktreeError
	if _, err := w.whole().Worktrees(context.Background()); !errors.As(err, &away) || away.Name != "away" {
		t.Errorf("got %v, want the worktree that is locked and not there", err)
	}
}

// TestWorktreesOfUnusualLayouts: bare repositories and submodules.
func TestWorktreesOfUnusualLayouts(t *testing.T) {
	w := newTree(t)
	w.commit("lock", "a")
	bare := tree{t, filepath.Join(filepath.Dir(w.dir), "bare.git")}
	w.git("clone", "-q", "--bare", w.dir, bare.dir)
	bare.git("worktree", "add", "-q", "../of-bare")
	found, err := w.at("../of-bare").whole().Worktrees(context.Background())
	if err != nil || len(found) != 1 || filepath.Base(found[0].Root) != "of-bare" {
		t.Errorf("bare: got %v, %v", found, err)
	}
	if got := versionsIn(t, w.at("../of-bare").whole()); got != "a" {
		t.Errorf("bare: got %q", got)
	}

	w.git("submodule", "--quiet", "add", bare.dir, "module")
	module := w.at("module")
	module.commit("lock", "b")
	module.write("sub/lock", "c")
	found, err = module.whole().Worktrees(context.Background())
	if err != nil || len(found) != 1 || found[0].Root != module.find().Root {
		t.Fatalf("submodule: got %v, %v", found, err)
	}
	files, err := found[0].OnDisk(context.Background(), "lock")
	if err != nil || strings.Join(files, " ") != "lock sub/lock" {
		t.Errorf("submodule: got %v, %v", files, err)
	}
	if got := versionsIn(t, module.whole()); got != "a b" {
		t.Errorf("submodule: got %q", got)
	}
}

func TestNewestCommitOfVersion(t *testing.T) {
	w := newTree(t)
	w.commit("lock", "a")
	w.git("checkout", "-qb", "side")
	side := w.commit("sub/lock", "b")
	w.git("checkout", "-q", "main")
	w.commit("lock", "c")
	w.git("merge", "-q", "--no-ff", "-m", "join", "side")
	again := w.commit("lock", "a")
	w.commit("other", "x")
	w.write("lock", "d")
	w.git("add", "lock")
	found, err := w.whole().Versions(context.Background(), "lock")
	if err != nil {
		t.Fatal(err)
	}
	byBlob := map[string]FileVersion{}
	for _, v := range found {
		byBlob[v.Blob] = v
	}
	if v := byBlob[w.git("rev-parse", "HEAD:lock")]; v.Newest.ID != again || v.Commits != 2 || v.Path != "lock" {
		t.Errorf("a: got %+v, want two commits up to %s", v, again)
	}
	if v := byBlob[w.git("rev-parse", side+":sub/lock")]; v.Path != "sub/lock" || v.Newest.Subject == "" || v.Commits == 0 {
		t.Errorf("b: got %+v", v)
	}
	if v := byBlob[w.git("rev-parse", ":lock")]; v.Newest.ID != "" || v.Commits != 0 {
		t.Errorf("d is staged only: got %+v", v)
	}
}
