package git

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFindStartsNoGit(t *testing.T) {
	w := newTree(t)
	w.commit("a/b/c.txt", "x")
	w.git("worktree", "add", "-q", "../linked")
	w.git("worktree", "add", "-q", "../main", "-b", "other")
	lib := newTree(t)
	lib.commit("lib.txt", "x")
	w.git("submodule", "--quiet", "add", lib.dir, "vendor/lib")

	common := filepath.Join(w.dir, ".git")
	module := filepath.Join(common, "modules", "vendor", "lib")
	tests := []struct {
		name, dir string
		want      Repo
	}{
		{"top", ".", Repo{Root: w.dir, GitDir: common, CommonDir: common, Worktree: "main"}},
		{"subfolder", "a/b", Repo{Root: w.dir, GitDir: common, CommonDir: common, Worktree: "main"}},
		{"linked", "../linked/a", Repo{Root: w.at("../linked").dir, GitDir: filepath.Join(common, "worktrees", "linked"), CommonDir: common, Worktree: "linked-linked"}},
		{"linked called main", "../main", Repo{Root: w.at("../main").dir, GitDir: filepath.Join(common, "worktrees", "main"), CommonDir: common, Worktree: "linked-main"}},
		{"submodule", "vendor/lib", Repo{Root: w.at("vendor/lib").dir, GitDir: module, CommonDir: module, Worktree: "main"}},
	}
	withoutGit(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Find(w.at(test.dir).dir)
			if err != nil {
				t.Fatal(err)
			}
			if *got != test.want {
				t.Errorf("got  %+v\nwant %+v", *got, test.want)
			}
		})
	}
}

func TestFindInHook(t *testing.T) {
	w := newTree(t)
	w.commit("a.txt", "x")
	withoutGit(t)
	t.Setenv("GIT_DIR", ".git") // what Git's hooks see
	got, err := Find(w.dir)
	if err != nil || got.Root != w.dir {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFindUnusualLayouts(t *testing.T) {
	t.Run("GIT_DIR elsewhere", func(t *testing.T) {
		w := newTree(t, "--separate-git-dir=../home.git")
		id := w.commit("a.txt", "x")
		gitDir := filepath.Join(filepath.Dir(w.dir), "home.git")
		if err := os.Remove(filepath.Join(w.dir, ".git")); err != nil {
			t.Fatal(err)
		}
		t.Setenv("GIT_DIR", gitDir)
		t.Setenv("GIT_WORK_TREE", w.dir)
		got, err := Find(w.dir)
		if err != nil || got.Root != w.dir || got.GitDir != gitDir {
			t.Fatalf("got %+v, %v", got, err)
		}
		if head, err := got.Head(t.Context()); head != id || err != nil {
			t.Errorf("Head: got %q, %v, want %q", head, err, id)
		}
	})
	t.Run("separate git dir", func(t *testing.T) {
		w := newTree(t, "--separate-git-dir=../home.git")
		withoutGit(t)
		if got := w.find(); got.Root != w.dir || got.Worktree != Main {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("core.worktree", func(t *testing.T) {
		w := newTree(t)
		id := w.commit("a.txt", "x")
		other := t.TempDir()
		w.git("config", "core.worktree", other)
		got := w.find()
		if got.Root != Physical(other) {
			t.Errorf("got root %s, want %s", got.Root, other)
		}
		if head, err := got.Head(t.Context()); head != id || err != nil {
			t.Errorf("Head: got %q, %v, want %q", head, err, id)
		}
	})
	t.Run("worktree of a bare repository", func(t *testing.T) {
		w := newTree(t)
		w.commit("a.txt", "x")
		w.git("clone", "-q", "--bare", ".", "../bare.git")
		w.at("../bare.git").git("worktree", "add", "-q", "../tree")
		withoutGit(t)
		if got := w.at("../tree").find(); got.Worktree != "linked-tree" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("through a link", func(t *testing.T) {
		skipOnWindows(t, "links need a privilege there")
		w := newTree(t)
		w.write("sub/kept.toml", "")
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(w.dir, link); err != nil {
			t.Fatal(err)
		}
		repo, err := Find(filepath.Join(link, "sub"))
		if err != nil || repo.Root != w.dir {
			t.Fatalf("got %+v, %v", repo, err)
		}
		if rel, err := repo.Rel(filepath.Join(link, "sub", "kept.toml")); rel != "sub/kept.toml" || err != nil {
			t.Errorf("Rel: got %q, %v", rel, err)
		}
	})
}

func TestFindErrors(t *testing.T) {
	t.Run("no repository", func(t *testing.T) {
		dir := Physical(t.TempDir())
		_, err := Find(dir)
		var none *NoRepositoryError
		if !errors.As(err, &none) || none.Dir != dir {
			t.Errorf("got %v, want a *NoRepositoryError for %s", err, dir)
		}
	})
	t.Run("bare", func(t *testing.T) {
		w := newTree(t)
		w.git("clone", "-q", "--bare", ".", "../bare.git")
		_, err := Find(w.at("../bare.git/objects").dir)
		var bare *BareError
		if !errors.As(err, &bare) || bare.Dir != w.at("../bare.git").dir {
			t.Errorf("got %v, want a *BareError", err)
		}
	})
	t.Run("core.bare", func(t *testing.T) {
		w := newTree(t)
		w.git("config", "core.bare", "true")
		_, err := Find(w.dir)
		var bare *BareError
		if !errors.As(err, &bare) {
			t.Errorf("got %v, want a *BareError", err)
		}
	})
	t.Run("gitfile to nowhere", func(t *testing.T) {
		w := newTree(t)
		w.write("sub/.git", "gitdir: ../gone\n")
		_, err := Find(w.at("sub").dir)
		if err == nil {
			t.Error("a broken gitfile was stepped over")
		}
	})
	t.Run("folder called .git", func(t *testing.T) {
		w := newTree(t)
		w.write("sub/.git/notes", "x")
		if got := w.at("sub").find(); got.Root != w.dir {
			t.Errorf("got root %s, want %s as Git does", got.Root, w.dir)
		}
	})
	t.Run("git missing", func(t *testing.T) {
		w := newTree(t)
		repo := w.find()
		withoutGit(t)
		if _, err := repo.Head(t.Context()); !errors.Is(err, ErrMissing) {
			t.Errorf("got %v, want ErrMissing", err)
		}
	})
}

func TestRel(t *testing.T) {
	w := newTree(t)
	repo := w.find()
	t.Chdir(w.dir)
	tests := []struct{ path, want string }{
		{"a/b", "a/b"},
		{".", "."},
		{"new/deep/../x", "new/x"},
		{w.dir, "."},
		{filepath.Join(w.dir, "..dots"), "..dots"},
	}
	for _, test := range tests {
		if got, err := repo.Rel(test.path); got != test.want || err != nil {
			t.Errorf("Rel(%q) = %q, %v, want %q", test.path, got, err, test.want)
		}
	}
	var outside *OutsideError
	if _, err := repo.Rel("../elsewhere"); !errors.As(err, &outside) {
		t.Errorf("got %v, want an *OutsideError", err)
	}
}

func BenchmarkFind(b *testing.B) {
	dir, err := os.Getwd()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := Find(dir); err != nil {
		b.Skip("the source is not in a repository")
	}
	for b.Loop() {
		if _, err := Find(dir); err != nil {
			b.Fatal(err)
		}
	}
}
