package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/core/git"
)

// needGit skips a test of what an older git does not know.
func needGit(t *testing.T, major, minor int, what string) {
	t.Helper()
	v, err := git.ProgramVersion()
	if err != nil {
		t.Fatal(err)
	}
	if !v.AtLeast(major, minor) {
		t.Skipf("%s needs git %d.%d, this is %s", what, major, minor, v)
	}
}

// tell makes a repository of two commits in the sandbox's folder, or in a folder
// of a repository that is there already.
func (s *sandbox) tell(initArgs ...string) *sandbox {
	s.t.Helper()
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.run("git", append([]string{"init", "-q"}, initArgs...)...)
	return s.work()
}

func (s *sandbox) work() *sandbox {
	s.t.Helper()
	s.write("kept.toml", `[stage.train]
command = "cp params.json model.bin && cp params.json metrics.json"
params = ["params.json"]
metrics = ["metrics.json"]
artifacts = { model = "model.bin" }

[gate."train.score"]
max_drop = 0
`)
	s.run("kept", "init")
	for _, score := range []string{"1", "2"} {
		s.write("params.json", `{"score": `+score+`}`+"\n")
		s.run("kept", "run")
		s.run("git", "add", "-A")
		s.run("git", "commit", "-q", "-m", "score "+score)
	}
	return s
}

// setUp makes a fresh clone one in which kept is at work.
func (s *sandbox) setUp() *sandbox {
	s.t.Helper()
	s.run("kept", "init")
	s.run("kept", "restore")
	return s
}

// formats are the kinds of repositories that Git knows. Each setup returns one
// whose working tree is at the second of the two commits that work makes.
var formats = []struct {
	name  string
	setup func(s *sandbox) *sandbox
}{
	{"sha256", func(s *sandbox) *sandbox {
		w := s.in("work").tell("--object-format=sha256")
		if id := strings.TrimSpace(w.run("git", "rev-parse", "HEAD")); len(id) != 64 {
			s.t.Fatalf("HEAD is %s", id)
		}
		return w
	}},
	{"reftable", func(s *sandbox) *sandbox {
		needGit(s.t, 2, 45, "reftable")
		w := s.in("work").tell("--ref-format=reftable")
		if _, err := os.Stat(filepath.Join(w.dir, ".git", "reftable")); err != nil {
			s.t.Fatal(err)
		}
		return w
	}},
	{"sha256 and reftable", func(s *sandbox) *sandbox {
		needGit(s.t, 2, 45, "reftable")
		return s.in("work").tell("--object-format=sha256", "--ref-format=reftable")
	}},
	{"separate git dir", func(s *sandbox) *sandbox {
		return s.in("work").tell("--separate-git-dir=" + filepath.Join(s.dir, "elsewhere.git"))
	}},
	{"index version 4", func(s *sandbox) *sandbox {
		w := s.in("work").tell()
		w.run("git", "update-index", "--index-version", "4")
		return w
	}},
	{"split index", func(s *sandbox) *sandbox {
		w := s.in("work").tell()
		w.run("git", "update-index", "--split-index")
		return w
	}},
	{"shallow clone of two commits", func(s *sandbox) *sandbox {
		origin := s.in("origin").tell()
		origin.write("later", "")
		origin.run("git", "add", "later")
		s.run("git", "clone", "-q", "--depth=2", "file://"+filepath.ToSlash(origin.dir), "work")
		return s.in("work").setUp()
	}},
	{"partial clone without files", func(s *sandbox) *sandbox {
		origin := s.in("origin").tell()
		origin.run("git", "config", "uploadpack.allowFilter", "true")
		s.run("git", "clone", "-q", "-c", "maintenance.auto=false", "--filter=blob:none", "file://"+filepath.ToSlash(origin.dir), "work")
		w := s.in("work").setUp()
		if missing := w.run("git", "rev-list", "--objects", "--all", "--missing=print"); !strings.Contains(missing, "\n?") {
			s.t.Fatalf("the clone has all of the files:\n%s", missing)
		}
		return w
	}},
	{"partial clone without trees", func(s *sandbox) *sandbox {
		origin := s.in("origin").tell()
		origin.run("git", "config", "uploadpack.allowFilter", "true")
		s.run("git", "clone", "-q", "-c", "maintenance.auto=false", "--filter=tree:0", "file://"+filepath.ToSlash(origin.dir), "work")
		return s.in("work").setUp()
	}},
	{"linked worktree", func(s *sandbox) *sandbox {
		s.in("main").tell().run("git", "worktree", "add", "-q", "../work", "-b", "linked")
		return s.in("work")
	}},
	{"linked worktree by a relative path", func(s *sandbox) *sandbox {
		needGit(s.t, 2, 48, "worktree.useRelativePaths")
		m := s.in("main").tell()
		m.run("git", "-c", "worktree.useRelativePaths=true", "worktree", "add", "-q", "../work", "-b", "linked")
		if set := m.run("git", "config", "extensions.relativeWorktrees"); set != "true\n" {
			s.t.Fatalf("extensions.relativeWorktrees is %q", set)
		}
		return s.in("work")
	}},
	{"submodule", func(s *sandbox) *sandbox {
		origin := s.in("origin").tell()
		s.run("git", "init", "-q", "super")
		s.in("super").run("git", "submodule", "-q", "add", "file://"+filepath.ToSlash(origin.dir), "work")
		return s.in("super/work").setUp()
	}},
	{"clone that borrows objects", func(s *sandbox) *sandbox {
		s.in("origin").tell()
		s.run("git", "clone", "-q", "--shared", "origin", "work")
		return s.in("work").setUp()
	}},
	{"sparse checkout in cone mode", func(s *sandbox) *sandbox { return s.sparse("--cone", "--no-sparse-index", "other") }},
	{"sparse index", func(s *sandbox) *sandbox { return s.sparse("--cone", "--sparse-index", "other") }},
	{"sparse checkout by patterns", func(s *sandbox) *sandbox {
		return s.sparse("--no-cone", "/kept.*", "/params.json", "/metrics.json", "/.git*")
	}},
	{"experiment in a sparse checkout", func(s *sandbox) *sandbox {
		s.run("git", "init", "-q", "work")
		top := s.in("work")
		top.write("large/b", "")
		top.write("exp/a", "")
		w := s.in("work/exp").work()
		top.run("git", "sparse-checkout", "set", "--cone", "docs")
		for _, command := range [][]string{{"diff", "--all", "HEAD~1"}, {"status", "--all"}} {
			top.refuses("exp/kept.toml is not in the working tree: a sparse checkout leaves it out\nhint: git sparse-checkout add exp\n", command...)
		}
		top.run("git", "sparse-checkout", "add", "exp")
		return w
	}},
}

// sparse is a repository with folders of other things, most of which are left out.
func (s *sandbox) sparse(set ...string) *sandbox {
	w := s.in("work").tell()
	w.write("other/a", "")
	w.write("large/b", "")
	w.run("git", "add", "other", "large")
	w.run("git", "commit", "-q", "--amend", "--no-edit")
	w.run("git", append([]string{"sparse-checkout", "set"}, set...)...)
	if _, err := os.Stat(filepath.Join(w.dir, "large")); err == nil {
		s.t.Fatal("nothing is left out")
	}
	return w
}

// TestRepositoryFormats holds that reading commits and restoring what they name
// works in whatever kind of repository Git has made, go-git's blind spots included.
func TestRepositoryFormats(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		t.Run(format.name, func(t *testing.T) {
			w := format.setup(newSandbox(t))
			w.says("score 1 → 2", "kept", "diff", "HEAD~1")
			w.says("score 1 → 2", "kept", "diff", "HEAD~1", "HEAD")
			w.says("score 1", "kept", "show", "HEAD~1")
			w.says("train up to date", "kept", "status")
			w.says("verified", "kept", "verify")
			w.says("gate passed: 1 passed", "kept", "gate", "--base", "HEAD~1")
			w.says("train.score ↑ 1 2 +1 (+100 %) max_drop 0", "kept", "gate")
			w.says("min 1 max 2 last 2", "kept", "log", "train.score")
			w.says("score 2", "kept", "blame")
			w.says("train.score 1 → 2 +1 (+100 %)", "kept", "bisect", "train.score", "--when", ">= 2")
			if err := os.Remove(filepath.Join(w.dir, "model.bin")); err != nil {
				t.Fatal(err)
			}
			w.says("missing: model.bin", "kept", "status")
			w.says("restored model.bin", "kept", "restore")
			w.model("2")
			w.run("git", "checkout", "-q", "HEAD~1")
			w.model("1")
			w.run("git", "checkout", "-q", "-")
			w.model("2")
			if status := w.run("git", "status", "--porcelain"); status != "" {
				t.Errorf("Git is not clean:\n%s", status)
			}
		})
	}
}

// says runs a command that has to end well and print words, however it aligns them.
func (s *sandbox) says(words, name string, args ...string) {
	s.t.Helper()
	out := s.run(name, args...)
	if !strings.Contains(strings.Join(strings.Fields(out), " "), words) {
		s.t.Errorf("%s %s does not say %q:\n%s", name, strings.Join(args, " "), words, out)
	}
}

func (s *sandbox) model(score string) {
	s.t.Helper()
	if got, want := s.read("model.bin"), `{"score": `+score+`}`+"\n"; got != want {
		s.t.Errorf("model.bin is %q, want %q", got, want)
	}
}

// refuses runs kept, which has to end with the exit code of wrong usage and those words.
func (s *sandbox) refuses(words string, args ...string) {
	s.t.Helper()
	out, err := s.try("kept", args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.HasSuffix(out, words) {
		s.t.Errorf("kept %s: %v, want exit code %d and %q:\n%s", strings.Join(args, " "), err, exitUsage, words, out)
	}
}

// A lock that is left out is not a lock without artifacts: nothing passes for
// verified, and no run replaces it.
func TestSparseCheckoutWithoutTheLock(t *testing.T) {
	s := newSandbox(t)
	w := s.in("work").tell()
	w.run("git", "sparse-checkout", "set", "--no-cone", "/kept.toml", "/params.json")
	if _, err := os.Stat(filepath.Join(w.dir, "model.bin")); err == nil {
		t.Error("the artifact stayed without its lock")
	}
	const left = "kept.lock is not in the working tree: a sparse checkout leaves it out\nhint: git sparse-checkout add /kept.lock\n"
	for _, command := range [][]string{{"diff"}, {"diff", "HEAD~1"}, {"show"}, {"status"}, {"verify"}, {"restore"}, {"run"}, {"gate"}} {
		w.refuses(left, command...)
	}
	w.says("score 2", "kept", "blame")
	w.says("score 1 → 2", "kept", "diff", "HEAD~1", "HEAD")
	w.says("score 1", "kept", "show", "HEAD~1")
	w.run("git", "sparse-checkout", "add", "/kept.lock")
	w.says("train up to date", "kept", "status")
	w.model("2")

	w.run("git", "sparse-checkout", "set", "--no-cone", "/params.json")
	w.refuses("kept.toml is not in the working tree: a sparse checkout leaves it out\nhint: git sparse-checkout add /kept.toml\n", "init")
	w.refuses("kept.toml is not in the working tree: a sparse checkout leaves it out\nhint: git sparse-checkout add /kept.toml\n", "run", "true")
}

// The history of a shallow clone ends, which is not the same as a wrong name.
func TestShallowCloneOfOneCommit(t *testing.T) {
	s := newSandbox(t)
	origin := s.in("origin").tell()
	s.run("git", "clone", "-q", "--depth=1", "file://"+filepath.ToSlash(origin.dir), "work")
	w := s.in("work").setUp()
	w.says("train up to date", "kept", "status")
	w.model("2")
	for _, command := range [][]string{{"diff", "HEAD~1"}, {"diff", "HEAD~1", "HEAD"}, {"show", "HEAD~1"}, {"restore", "--source", "HEAD~1"}} {
		w.refuses("error: unknown revision \"HEAD~1\" in this shallow clone\nhint: git fetch --unshallow\n", command...)
	}
	w.run("git", "fetch", "-q", "--unshallow")
	w.says("score 1 → 2", "kept", "diff", "HEAD~1")
}
