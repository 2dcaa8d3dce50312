package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// operations are the Git operations that move a lock, or might be thought to.
// Each starts in a clone of the story that newStory tells, on branch main.
var operations = []struct {
	name string
	do   func(s *sandbox)
}{
	{"checkout branch", func(s *sandbox) { s.run("git", "checkout", "-q", "other") }},
	{"checkout commit", func(s *sandbox) { s.run("git", "checkout", "-q", "HEAD~1") }},
	{"checkout before kept", func(s *sandbox) { s.run("git", "checkout", "-q", "start") }},
	{"checkout and back", func(s *sandbox) { s.run("git", "checkout", "-q", "start"); s.run("git", "checkout", "-q", "main") }},
	{"checkout -B", func(s *sandbox) { s.run("git", "checkout", "-q", "-B", "moved", "HEAD~1") }},
	{"checkout --orphan", func(s *sandbox) { s.run("git", "checkout", "-q", "--orphan", "fresh", "HEAD~1") }},
	{"switch", func(s *sandbox) { s.run("git", "switch", "-q", "other") }},
	{"switch -c", func(s *sandbox) { s.run("git", "switch", "-q", "-c", "new") }},
	{"switch --detach", func(s *sandbox) { s.run("git", "switch", "-q", "--detach", "HEAD~1") }},
	{"checkout -- file", func(s *sandbox) { s.run("git", "checkout", "-q", "HEAD~1", "--", "kept.lock") }},
	{"restore -s -S -W", func(s *sandbox) { s.run("git", "restore", "-s", "HEAD~1", "-SW", "kept.lock") }},
	{"restore worktree only", func(s *sandbox) { s.run("git", "restore", "-s", "HEAD~1", "kept.lock") }},
	{"restore a dirty lock", func(s *sandbox) {
		s.run("git", "restore", "-s", "HEAD~1", "kept.lock")
		s.run("git", "restore", "kept.lock")
	}},
	{"reset --hard", func(s *sandbox) { s.run("git", "reset", "-q", "--hard", "HEAD~1") }},
	{"reset --keep", func(s *sandbox) { s.run("git", "reset", "-q", "--keep", "HEAD~1") }},
	{"reset --merge", func(s *sandbox) { s.run("git", "reset", "-q", "--merge", "HEAD~1") }},
	{"reset --soft", func(s *sandbox) { s.run("git", "reset", "-q", "--soft", "HEAD~1") }},
	{"reset --mixed", func(s *sandbox) { s.run("git", "reset", "-q", "HEAD~1") }},
	{"stash push", func(s *sandbox) { s.retrain("7"); s.run("git", "stash", "-q") }},
	{"stash pop", func(s *sandbox) { s.retrain("7"); s.run("git", "stash", "-q"); s.run("git", "stash", "pop", "-q") }},
	{"stash apply", func(s *sandbox) { s.retrain("7"); s.run("git", "stash", "-q"); s.run("git", "stash", "apply", "-q") }},
	{"stash -u", func(s *sandbox) {
		s.retrain("7")
		s.run("git", "stash", "-q", "-u")
		s.run("git", "stash", "pop", "-q")
	}},
	{"merge", func(s *sandbox) { s.run("git", "merge", "-q", "--no-edit", "other") }},
	{"merge --ff-only", func(s *sandbox) {
		s.run("git", "checkout", "-q", "-B", "behind", "HEAD~1")
		s.run("git", "merge", "-q", "--ff-only", "main")
	}},
	{"merge --squash", func(s *sandbox) { s.run("git", "merge", "-q", "--squash", "other") }},
	{"merge --abort", func(s *sandbox) { s.fails("git", "merge", "-q", "rival"); s.run("git", "merge", "--abort") }},
	{"merge resolved with theirs", func(s *sandbox) {
		s.fails("git", "merge", "-q", "rival")
		s.run("git", "checkout", "--theirs", "--", "kept.lock", "params.toml")
		s.run("git", "commit", "-q", "-a", "--no-edit", "--no-verify")
	}},
	{"pull --ff-only", func(s *sandbox) {
		s.run("git", "checkout", "-q", "-B", "behind", "HEAD~1")
		s.run("git", "pull", "-q", "--ff-only", ".", "main")
	}},
	{"pull --rebase", func(s *sandbox) {
		s.run("git", "checkout", "-q", "other")
		s.run("git", "pull", "-q", "--rebase", ".", "main")
	}},
	{"cherry-pick", func(s *sandbox) { s.run("git", "cherry-pick", "other") }},
	{"cherry-pick --abort", func(s *sandbox) { s.fails("git", "cherry-pick", "rival"); s.run("git", "cherry-pick", "--abort") }},
	{"revert", func(s *sandbox) { s.run("git", "revert", "--no-edit", "HEAD") }},
	{"rebase", func(s *sandbox) { s.run("git", "checkout", "-q", "other"); s.run("git", "rebase", "-q", "main") }},
	{"rebase --abort", func(s *sandbox) {
		s.run("git", "checkout", "-q", "rival")
		s.fails("git", "rebase", "-q", "main")
		s.run("git", "rebase", "--abort")
	}},
	{"rebase --skip", func(s *sandbox) {
		s.run("git", "checkout", "-q", "rival")
		s.fails("git", "rebase", "-q", "main")
		s.run("git", "rebase", "--skip")
	}},
	{"commit --amend", func(s *sandbox) { s.retrain("8"); s.run("git", "commit", "-q", "-a", "--amend", "--no-edit") }},
	{"bisect", func(s *sandbox) { s.run("git", "bisect", "start", "main", "start") }},
	{"bisect steps", func(s *sandbox) { s.run("git", "bisect", "start", "main", "start"); s.run("git", "bisect", "good") }},
	{"bisect reset", func(s *sandbox) { s.run("git", "bisect", "start", "main", "start"); s.run("git", "bisect", "reset") }},
	{"read-tree -m -u", func(s *sandbox) { s.run("git", "read-tree", "-m", "-u", "HEAD", "HEAD~1") }},
	{"apply --index", func(s *sandbox) {
		patch := s.run("git", "diff", "HEAD", "HEAD~1")
		s.write("../patch", patch)
		s.run("git", "apply", "--index", "../patch")
	}},
	{"rm the lock", func(s *sandbox) { s.run("git", "rm", "-q", "kept.lock") }},
	{"am", func(s *sandbox) {
		s.run("git", "format-patch", "-q", "-1", "-o", "..", "other")
		s.run("git", "checkout", "-q", "-B", "fresh", "HEAD~1")
		s.run("sh", "-c", "git am -q ../0001-*.patch")
	}},
	{"sparse-checkout", func(s *sandbox) {
		s.run("git", "sparse-checkout", "set", "--no-cone", "/*")
		s.run("git", "checkout", "-q", "HEAD~1")
	}},
}

// TestGitOperations holds promise 3: after any operation that moves the lock,
// every artifact is the one that the lock on disk names, without a command.
func TestGitOperations(t *testing.T) {
	t.Parallel()
	story := newStory(t)
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			s := story.fork(t)
			op.do(s)
			s.checkArtifacts(".")
		})
	}
	t.Run("clean -fdx leaves them missing, and status says so", func(t *testing.T) {
		s := story.fork(t)
		s.run("git", "clean", "-q", "-fdx")
		out := s.run("kept", "status")
		for _, want := range []string{"missing:", "models/model.bin", "kept restore"} {
			if !strings.Contains(out, want) {
				t.Errorf("status does not say %q:\n%s", want, out)
			}
		}
		s.run("kept", "restore")
		s.checkArtifacts(".")
	})
	t.Run("conflict leaves the lock alone", func(t *testing.T) {
		s := story.fork(t)
		before := s.read("models/model.bin")
		s.fails("git", "merge", "-q", "rival")
		if !strings.Contains(s.read("kept.lock"), "<<<<<<<") {
			t.Fatal("the lock has no conflict markers")
		}
		if got := s.read("models/model.bin"); got != before {
			t.Errorf("the artifact moved under a conflicted lock: %q", got)
		}
	})
}

// TestGitWorktreesAndClones is the part of the table that makes new working trees.
func TestGitWorktreesAndClones(t *testing.T) {
	t.Parallel()
	story := newStory(t)
	t.Run("worktree add", func(t *testing.T) {
		s := story.fork(t)
		s.run("git", "worktree", "add", "-q", "../linked", "HEAD~1")
		s.checkArtifacts("../linked")
		linked := s.in("../linked")
		linked.run("git", "checkout", "-q", "other")
		linked.checkArtifacts(".")
		s.checkArtifacts(".")
	})
	t.Run("worktree add --no-checkout", func(t *testing.T) {
		s := story.fork(t)
		s.run("git", "worktree", "add", "-q", "--no-checkout", "../linked", "HEAD~1")
		linked := s.in("../linked")
		linked.run("git", "reset", "-q", "--hard")
		linked.checkArtifacts(".")
	})
	t.Run("clone, then init", func(t *testing.T) {
		s := story.fork(t)
		s.run("git", "clone", "-q", s.dir, "../clone")
		clone := s.in("../clone")
		if out := clone.run("kept", "status"); !strings.Contains(out, "kept init") {
			t.Errorf("status in a fresh clone does not name kept init:\n%s", out)
		}
		clone.run("kept", "init")
		clone.checkArtifacts(".")
		clone.run("git", "checkout", "-q", "HEAD~1")
		clone.checkArtifacts(".")
	})
	t.Run("clone with hooks in init.templateDir", func(t *testing.T) {
		s := story.fork(t)
		s.shareHooks("../template/hooks")
		s.run("git", "-c", "init.templateDir="+filepath.Join(s.dir, "../template"), "clone", "-q", s.dir, "../clone")
		s.checkArtifacts("../clone")
	})
	t.Run("clone --template", func(t *testing.T) {
		s := story.fork(t)
		s.shareHooks("../template/hooks")
		s.run("git", "clone", "-q", "--template="+filepath.Join(s.dir, "../template"), s.dir, "../clone")
		s.checkArtifacts("../clone")
	})
	t.Run("clone with core.hooksPath", func(t *testing.T) {
		s := story.fork(t)
		s.shareHooks("../shared-hooks")
		s.run("git", "clone", "-q", "-c", "core.hooksPath="+filepath.Join(s.dir, "../shared-hooks"), s.dir, "../clone")
		s.checkArtifacts("../clone")
	})
	t.Run("clone with tracked hooks", func(t *testing.T) {
		s := story.fork(t)
		s.shareHooks(".hooks")
		s.run("git", "add", ".hooks")
		s.run("git", "commit", "-q", "-m", "hooks")
		s.run("git", "clone", "-q", "-c", "core.hooksPath=.hooks", s.dir, "../clone")
		s.checkArtifacts("../clone")
	})
	t.Run("clone -n, then checkout", func(t *testing.T) {
		s := story.fork(t)
		s.shareHooks("../shared-hooks")
		s.run("git", "clone", "-q", "-n", "-c", "core.hooksPath="+filepath.Join(s.dir, "../shared-hooks"), s.dir, "../clone")
		clone := s.in("../clone")
		clone.run("git", "checkout", "-q")
		clone.checkArtifacts(".")
	})
	t.Run("submodule update", func(t *testing.T) {
		s := story.fork(t)
		super := s.in("../super")
		if err := os.Mkdir(super.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		super.run("git", "init", "-q")
		super.run("git", "submodule", "--quiet", "add", s.dir, "model")
		sub := super.in("model")
		sub.run("kept", "init")
		sub.checkArtifacts(".")
		super.run("git", "commit", "-q", "-m", "model")
		sub.run("git", "checkout", "-q", "HEAD~1")
		sub.checkArtifacts(".")
		super.run("git", "submodule", "--quiet", "update")
		sub.checkArtifacts(".")
	})
	t.Run("from a subdirectory", func(t *testing.T) {
		s := story.fork(t)
		s.write("deep/er/file", "x")
		s.in("deep/er").run("git", "checkout", "-q", "HEAD~1")
		s.checkArtifacts(".")
	})
}

// newStory makes a repository with two recorded commits on main, a branch that
// changed something else, and a branch that reran the same stage.
//
//	start ── one ── two (main)
//	           ├─── other: a second stage was run
//	           └─── rival: the first stage was run with other params
func newStory(t *testing.T) *sandbox {
	s := newSandbox(t).in("story")
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.run("git", "init", "-q")
	s.write("README", "a story\n")
	s.run("git", "add", ".")
	s.run("git", "commit", "-q", "-m", "start")
	s.run("git", "tag", "start")
	s.write("kept.toml", `[stage.train]
command   = "sh train.sh"
code      = ["train.sh"]
params    = ["params.toml"]
metrics   = ["metrics.json"]
artifacts = { model = "models/model.bin", parts = "models/parts" }

[stage.note]
command   = "cp note.txt note.out"
inputs    = ["note.txt"]
artifacts = { note = "note.out" }
`)
	s.write("train.sh", `. ./params.toml
mkdir -p models/parts/deep
echo "model $size" > models/model.bin
i=0
while [ $i -lt $size ]; do echo "part $i" > models/parts/deep/$i; i=$((i+1)); done
echo "size $size" > models/parts/index
echo "{\"score\": 0.$size}" > metrics.json
`)
	s.write("params.toml", "size=3\n")
	s.write("note.txt", "first\n")
	s.write(".gitignore", "metrics.json\n")
	s.run("kept", "init")
	s.run("kept", "run")
	s.commit("one")
	s.run("git", "branch", "other")
	s.run("git", "branch", "rival")
	s.retrain("5")
	s.commit("two")

	s.run("git", "checkout", "-q", "other")
	s.write("note.txt", "second\n")
	s.run("kept", "run")
	s.commit("other")
	s.run("git", "checkout", "-q", "rival")
	s.retrain("4")
	s.commit("rival")
	s.run("git", "checkout", "-q", "main")
	s.checkArtifacts(".")
	return s
}

func (s *sandbox) commit(message string) {
	s.t.Helper()
	s.run("git", "add", "-A")
	s.run("git", "commit", "-q", "-m", message)
}

// retrain runs the first stage with another size.
func (s *sandbox) retrain(size string) {
	s.t.Helper()
	s.write("params.toml", "size="+size+"\n")
	s.run("kept", "run")
}

// fork copies the story for one test.
func (s *sandbox) fork(t *testing.T) *sandbox {
	t.Helper()
	f := newSandbox(t).in("repo")
	if err := os.CopyFS(f.dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	// A copy has other inodes and times: let Git and kept see that first.
	f.run("git", "status")
	return f
}

// fails runs a program that must not end well.
func (s *sandbox) fails(name string, args ...string) string {
	s.t.Helper()
	out, err := s.try(name, args...)
	if err == nil {
		s.t.Fatalf("%s %s ended well:\n%s", name, strings.Join(args, " "), out)
	}
	return out
}

// shareHooks writes hooks for clones to find, as a team would share them.
func (s *sandbox) shareHooks(to string) {
	s.t.Helper()
	dir := filepath.Join(s.dir, to)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{"post-index-change", "post-checkout"} {
		text := "#!/bin/sh\nexec kept hook " + name + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
}

// checkArtifacts compares the working tree in dir with the lock that lies
// there: all that it names is there with its digest, and nothing else of what
// the story's stages write.
func (s *sandbox) checkArtifacts(dir string) {
	s.t.Helper()
	root := s.in(dir).dir
	lock := lockfile.New()
	data, err := os.ReadFile(filepath.Join(root, "kept.lock"))
	if err == nil {
		lock, err = lockfile.Parse(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	named := map[string]cas.Digest{}
	for _, stage := range lock.Stages {
		for _, a := range stage.Artifacts {
			named[a.Path] = a.Hash
		}
	}
	ws := workspace.Open(root, filepath.Join(s.t.TempDir(), "cache"))
	for _, path := range []string{"models/model.bin", "models/parts", "note.out"} {
		o, err := ws.Scan(s.t.Context(), path)
		want, isNamed := named[path]
		switch {
		case errors.Is(err, fs.ErrNotExist) && !isNamed:
		case err != nil:
			s.t.Errorf("%s: %v", path, err)
		case !isNamed:
			s.t.Errorf("%s is there, and the lock does not name it", path)
		case o.Digest != want:
			s.t.Errorf("%s is %s, the lock says %s", path, o.Digest.Short(), want.Short())
		}
	}
}
