package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// newBranches makes a repository whose branches diverge in every way that a
// lock can, all of them from main:
//
//	left, left2   the stages left and sum, which reads what left writes, ran with other params, in two commits
//	right         the stage right did, in two commits
//	adds          a new stage reads what left writes
//	moved         the folder of the experiment has another name
//	gone          the lock is deleted
func newBranches(t *testing.T) *sandbox {
	s := newSandbox(t).in("branches")
	if err := os.MkdirAll(filepath.Join(s.dir, "exp"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.run("git", "init", "-q")
	e := s.in("exp")
	e.write("kept.toml", branchesToml)
	e.write("left.toml", "left = 1\n")
	e.write("right.toml", "right = 1\n")
	e.write(".gitignore", "*.json\n")
	s.write(".gitignore", "# nothing yet\n")
	s.run("git", "add", ".")
	s.run("git", "commit", "-q", "-m", "before kept")
	s.run("git", "tag", "root")
	e.run("kept", "init")
	e.run("kept", "run")
	s.commit("start")
	for branch, params := range map[string][]string{"left": {"left=2", "left=3"}, "left2": {"left=4", "left=5"}, "right": {"right=2", "right=3"}} {
		s.run("git", "checkout", "-q", "-b", branch, "main")
		for _, p := range params {
			e.run("kept", "run", "-p", p)
			s.commit(p)
		}
	}
	s.run("git", "checkout", "-q", "-b", "adds", "main")
	e.write("kept.toml", branchesToml+"\n[stage.count]\ncommand = \"wc -l < out/left > out/count\"\ninputs = [\"out/left\"]\nartifacts = [\"out/count\"]\n")
	e.run("kept", "run")
	s.commit("count")
	s.run("git", "checkout", "-q", "-b", "moved", "main")
	s.run("git", "mv", "exp", "renamed")
	s.commit("renamed")
	s.run("git", "checkout", "-q", "-b", "gone", "main")
	s.run("git", "rm", "-q", "exp/kept.lock")
	s.commit("no lock")
	s.run("git", "checkout", "-q", "main")
	return s
}

const branchesToml = `[stage.left]
command   = "mkdir -p out && cat left.toml > out/left && sed 's/.*= */{\"score\": 0./; s/$/}/' left.toml > left.json"
params    = ["left.toml"]
metrics   = ["left.json"]
artifacts = ["out/left"]

[stage.right]
command   = "mkdir -p out && cat right.toml > out/right"
params    = ["right.toml"]
artifacts = ["out/right"]

[stage.sum]
command   = "cat out/left > out/sum && echo sum >> out/sum"
inputs    = ["out/left"]
artifacts = ["out/sum"]
`

// drivers are the ways in which a lock is merged.
var drivers = []struct {
	name string
	set  func(s *sandbox)
}{
	{"with the driver", func(*sandbox) {}},
	{"as text", func(s *sandbox) { s.run("git", "config", "--unset", "merge.kept.driver") }},
}

// checkLock holds what must be true of every lock at rest: it is canonical and
// whole, and the working tree has its artifacts.
func (s *sandbox) checkLock(folder string) *lockfile.Lock {
	s.t.Helper()
	root := s.in(folder)
	data := []byte(root.read("kept.lock"))
	lock, err := lockfile.Parse(data)
	if err != nil {
		s.t.Fatalf("%s: %v", folder, err)
	}
	if !bytes.Equal(lock.Marshal(), bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))) {
		s.t.Errorf("%s: the lock is not canonical:\n%s", folder, data)
	}
	ws := workspace.Open(root.dir, filepath.Join(s.t.TempDir(), "cache"))
	for name, stage := range lock.Stages {
		for _, a := range stage.Artifacts {
			o, err := ws.Scan(s.t.Context(), a.Path)
			if err != nil {
				s.t.Errorf("stage %s: %v", name, err)
			} else if o.Digest != a.Hash {
				s.t.Errorf("stage %s: %s is %s, the lock says %s", name, a.Path, o.Digest.Short(), a.Hash.Short())
			}
		}
	}
	return lock
}

// checkBlocks compares blocks with those of revisions, given as "stage=revision".
func (s *sandbox) checkBlocks(folder string, want ...string) {
	s.t.Helper()
	lock := s.checkLock(folder)
	for _, w := range want {
		name, rev, _ := strings.Cut(w, "=")
		other, err := lockfile.Parse([]byte(s.run("git", "show", rev+":exp/kept.lock")))
		if err != nil {
			s.t.Fatal(err)
		}
		if lock.Stages[name] == nil || other.Stages[name] == nil || lock.Stages[name].Result != other.Stages[name].Result {
			s.t.Errorf("stage %s is not that of %s:\n%s", name, rev, s.in(folder).read("kept.lock"))
		}
	}
}

// wants checks that text holds all parts.
func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

// settle ends a merge that Git could not finish: files in conflict but the lock
// are taken as they are on the same side.
func (s *sandbox) settle(side string) string {
	s.t.Helper()
	for _, f := range strings.Fields(s.run("git", "diff", "--name-only", "--diff-filter=U")) {
		if !strings.HasSuffix(f, "kept.lock") {
			s.run("git", "checkout", side, "--", f)
			s.run("git", "add", f)
		}
	}
	return s.in("exp").run("kept", "resolve", side)
}

// mergeOperations start on branch left; do ends with the merge done.
var mergeOperations = []struct {
	name string
	do   func(s *sandbox)
	want []string
}{
	{"merge", func(s *sandbox) { s.run("git", "merge", "-q", "--no-edit", "right") },
		[]string{"left=left", "sum=left", "right=right"}},
	{"rebase of several commits", func(s *sandbox) { s.run("git", "rebase", "-q", "right") },
		[]string{"left=left", "sum=left", "right=right"}},
	{"rebase -i in another order", func(s *sandbox) {
		s.run("git", "merge", "-q", "--no-edit", "right") // Only the commits of both count.
		s.run("git", "-c", "sequence.editor=sed -i -e '1,2{H;d}' -e '4{G}'", "rebase", "-q", "-i", "main")
	}, []string{"left=left", "sum=left", "right=right"}},
	{"cherry-pick of a range", func(s *sandbox) { s.run("git", "cherry-pick", "main..right") },
		[]string{"left=left", "right=right"}},
	{"stash pop onto a moved branch", func(s *sandbox) {
		s.in("exp").run("kept", "run", "-p", "right=7")
		s.run("git", "stash", "-q")
		s.run("git", "checkout", "-q", "-b", "other", "left2")
		s.run("git", "stash", "pop", "-q")
		wants(s.t, s.in("exp").read("out/right"), "right = 7")
	}, []string{"left=left2", "sum=left2"}},
	{"revert of a merge", func(s *sandbox) {
		s.run("git", "merge", "-q", "--no-edit", "right")
		s.run("git", "revert", "--no-edit", "-m", "1", "HEAD")
	}, []string{"left=left", "right=main"}},
	{"revert behind another change", func(s *sandbox) {
		s.run("git", "merge", "-q", "--no-edit", "right")
		s.run("git", "revert", "--no-edit", "right")
	}, []string{"left=left", "right=right~1"}},
	{"octopus", func(s *sandbox) { s.run("git", "merge", "-q", "--no-edit", "right", "adds") },
		[]string{"left=left", "right=right", "count=adds"}},
	{"merge -X ours", func(s *sandbox) { s.run("git", "merge", "-q", "--no-edit", "-X", "ours", "right") },
		[]string{"left=left", "right=right"}},
	{"merge -s ort -X theirs", func(s *sandbox) { s.run("git", "merge", "-q", "--no-edit", "-s", "ort", "-X", "theirs", "right") },
		[]string{"left=left", "right=right"}},
}

// TestMerges has Git merge what does not conflict, in each way that it knows:
// every block is that of the branch that ran it, the lock is canonical, and the
// artifacts are those of the merged lock.
func TestMerges(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	for _, driver := range drivers {
		for _, op := range mergeOperations {
			t.Run(op.name+" "+driver.name, func(t *testing.T) {
				s := story.fork(t)
				s.run("git", "checkout", "-q", "-b", "work", "left")
				driver.set(s)
				op.do(s)
				s.checkBlocks("exp", op.want...)
				if out := s.run("git", "status", "--short"); out != "" && !strings.Contains(op.name, "stash") {
					t.Errorf("the worktree is not clean:\n%s", out)
				}
			})
		}
	}
}

// TestMergeLeavesStale holds that a clean merge does not pass for a measured
// one: what reads the output of a stage that the other branch ran is stale.
func TestMergeLeavesStale(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	ways := map[string]func(s *sandbox){
		"merge": func(s *sandbox) {
			s.run("git", "checkout", "-q", "-b", "work", "left")
			s.run("git", "merge", "-q", "--no-edit", "adds")
		},
		"rebase": func(s *sandbox) {
			s.run("git", "checkout", "-q", "-b", "work", "left")
			s.run("git", "rebase", "-q", "adds")
		},
		"cherry-pick": func(s *sandbox) {
			s.run("git", "checkout", "-q", "-b", "work", "left")
			s.run("git", "cherry-pick", "adds")
		},
		"stash pop": func(s *sandbox) {
			s.run("git", "checkout", "-q", "--detach", "adds")
			s.run("git", "reset", "-q", "--soft", "HEAD~1")
			s.run("git", "stash", "-q")
			s.run("git", "checkout", "-q", "-b", "work", "left")
			s.run("git", "stash", "pop", "-q")
		},
		"revert": func(s *sandbox) {
			s.run("git", "checkout", "-q", "-b", "work", "adds")
			s.run("git", "merge", "-q", "--no-edit", "left")
			s.in("exp").run("kept", "run")
			s.commit("count again")
			s.run("git", "revert", "--no-edit", "-m", "1", "HEAD~1")
		},
	}
	for _, driver := range drivers {
		for name, do := range ways {
			t.Run(name+" "+driver.name, func(t *testing.T) {
				s := story.fork(t)
				driver.set(s)
				do(s)
				s.checkLock("exp")
				out := s.in("exp").run("kept", "status")
				wants(t, out, "left   up to date", "count  stale: out/left changed")
				s.in("exp").run("kept", "run")
				if out := s.in("exp").run("kept", "status"); strings.Contains(out, "stale") {
					t.Errorf("stale after a run:\n%s", out)
				}
			})
		}
	}
}

// TestResolveOperations settles the same conflict in the middle of every
// operation of Git, and goes on with the command that kept names.
func TestResolveOperations(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	ops := []struct {
		name, sides, next string
		start             func(s *sandbox)
		ours, theirs      string
	}{
		{"merge", "left=5", "git commit", func(s *sandbox) { s.fails("git", "merge", "-q", "left2") }, "left", "left2"},
		{"rebase", "your commit", "git rebase --continue", func(s *sandbox) {
			s.run("git", "checkout", "-q", "-B", "one", "left~1")
			s.fails("git", "rebase", "-q", "left2")
		}, "left2", "left~1"},
		{"rebase --apply", "your commit", "git rebase --continue", func(s *sandbox) {
			s.run("git", "checkout", "-q", "-B", "one", "left~1")
			s.fails("git", "rebase", "-q", "--apply", "left2")
		}, "left2", "left~1"},
		{"cherry-pick", "left=5", "git cherry-pick --continue", func(s *sandbox) { s.fails("git", "cherry-pick", "left2") }, "left", "left2"},
		{"revert", "what was before", "git revert --continue", func(s *sandbox) { s.fails("git", "revert", "--no-edit", "left~1") }, "left", "main"},
		{"am", "the patch", "git am --continue", func(s *sandbox) {
			s.run("sh", "-c", "git format-patch -q -1 -o .. left2~1")
			s.fails("sh", "-c", "git am -q -3 ../0001-*.patch")
		}, "left", "left2~1"},
		{"stash pop", "the stash", "git stash drop", func(s *sandbox) {
			s.run("git", "checkout", "-q", "--detach", "left2")
			s.run("git", "reset", "-q", "--soft", "main")
			s.run("git", "stash", "-q")
			s.run("git", "checkout", "-q", "work")
			s.fails("git", "stash", "pop", "-q")
		}, "left", "left2"},
	}
	for _, driver := range drivers {
		for _, op := range ops {
			for _, side := range []string{"--ours", "--theirs"} {
				if driver.name == "as text" && side == "--ours" {
					continue
				}
				t.Run(op.name+" "+side+" "+driver.name, func(t *testing.T) {
					s := story.fork(t)
					s.run("git", "checkout", "-q", "-b", "work", "left")
					driver.set(s)
					op.start(s)
					e := s.in("exp")
					wants(t, e.run("kept", "status"), "left  in conflict", "sum   in conflict", "hint: kept resolve")
					wants(t, e.fails("kept", "run"), "in left, sum", "hint: kept resolve")
					wants(t, e.run("kept", "resolve"), op.sides, "left", "sum", "kept resolve --rerun")
					wants(t, s.settle(side), "left: "+side[2:], "settled and staged", "next: "+op.next)
					want := map[string]string{"--ours": op.ours, "--theirs": op.theirs}[side]
					s.checkBlocks("exp", "left="+want, "sum="+want, "right=main")
					if out := e.run("kept", "status"); strings.Contains(out, "conflict") || strings.Contains(out, "stale") {
						t.Errorf("after the conflict is settled:\n%s", out)
					}
					args := strings.Fields(op.next)
					if op.next == "git commit" {
						args = append(args, "-q", "--no-edit")
					}
					// A rebase onto ours is an empty commit, which Git asks about.
					if out, err := s.try(args[0], args[1:]...); err != nil && side == "--theirs" {
						t.Errorf("%s: %v\n%s", op.next, err, out)
					}
					s.checkLock("exp")
				})
			}
		}
	}
}

// TestResolveKeepsWhatMerged holds that a side is taken for what is in conflict
// and for nothing else, whatever the file looks like.
func TestResolveKeepsWhatMerged(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	both := func(t *testing.T, set func(s *sandbox)) *sandbox {
		s := story.fork(t)
		s.run("git", "checkout", "-q", "left2")
		s.run("git", "merge", "-q", "--no-edit", "right")
		s.run("git", "checkout", "-q", "-b", "work", "left")
		set(s)
		return s
	}
	// The params are settled at once: what is left in conflict is the lock.
	merge := func(s *sandbox) {
		s.fails("git", "merge", "-q", "left2")
		s.run("git", "checkout", "--theirs", "exp/left.toml")
		s.run("git", "add", "exp/left.toml")
	}
	whole := map[string]func(s *sandbox){
		"markers of the driver": merge,
		"markers of Git":        func(s *sandbox) { drivers[1].set(s); merge(s) },
		"diff3 markers of Git": func(s *sandbox) {
			drivers[1].set(s)
			s.run("git", "config", "merge.conflictStyle", "diff3")
			merge(s)
		},
		"long markers": func(s *sandbox) {
			s.write(".git/info/attributes", "kept.lock conflict-marker-size=15\n")
			merge(s)
			wants(s.t, s.read("exp/kept.lock"), strings.Repeat("<", 15))
		},
		"a driver that is gone": func(s *sandbox) {
			s.run("git", "config", "merge.kept.driver", "/nonexistent/kept %O %A %B")
			merge(s)
			if strings.Contains(s.read("exp/kept.lock"), "<<<<<<<") {
				s.t.Fatal("there are markers")
			}
		},
		"kept is gone": func(s *sandbox) {
			s.run("git", "config", "merge.kept.driver", strings.ReplaceAll(strings.TrimSpace(s.run("git", "config", "merge.kept.driver")), "kept=", "kept=/nonexistent"))
			merge(s)
		},
		"no merge at all": func(s *sandbox) { s.write(".git/info/attributes", "kept.lock -merge\n"); merge(s) },
		"checkout --ours": func(s *sandbox) { merge(s); s.run("git", "checkout", "--ours", "exp/kept.lock") },
		"checkout --conflict=merge": func(s *sandbox) {
			merge(s)
			s.run("git", "checkout", "--ours", "exp/kept.lock")
			s.run("git", "checkout", "--conflict=merge", "exp/kept.lock")
		},
		"settled, then checkout -m": func(s *sandbox) {
			merge(s)
			s.in("exp").run("kept", "resolve", "--ours")
			s.run("git", "checkout", "-m", "--", "exp/kept.lock")
		},
		"CRLF": func(s *sandbox) {
			s.write(".git/info/attributes", "kept.lock text eol=crlf\n")
			s.run("rm", "exp/kept.lock")
			s.run("git", "checkout", "--", "exp/kept.lock")
			wants(s.t, s.read("exp/kept.lock"), "\r\n")
			merge(s)
		},
		"the file is gone": func(s *sandbox) { merge(s); s.run("rm", "exp/kept.lock") },
	}
	for name, do := range whole {
		t.Run(name, func(t *testing.T) {
			s := both(t, do)
			e := s.in("exp")
			wants(t, e.run("kept", "status"), "left  in conflict", "sum   in conflict")
			// One now, one later.
			wants(t, e.run("kept", "resolve", "left", "--theirs"), "left: theirs", "still in conflict: sum")
			wants(t, e.read("out/left"), "5")
			wants(t, e.run("kept", "status"), "sum  in conflict")
			wants(t, e.run("kept", "resolve", "sum", "--ours"), "sum: ours")
			s.checkBlocks("exp", "left=left2", "sum=left", "right=right")
			wants(t, e.run("kept", "status"), "sum    stale: out/left changed")
			if blob := s.run("git", "show", ":exp/kept.lock"); strings.Contains(blob, "\r") {
				t.Error("the staged lock has the line ends of Windows")
			}
		})
	}
	t.Run("abort after one of two", func(t *testing.T) {
		s := both(t, merge)
		s.in("exp").run("kept", "resolve", "left", "--theirs")
		s.run("git", "merge", "--abort")
		s.checkBlocks("exp", "left=left", "sum=left", "right=main")
	})
	t.Run("markers alone", func(t *testing.T) {
		s := both(t, merge)
		s.run("git", "add", "-A")
		e := s.in("exp")
		wants(t, e.run("kept", "status"), "left  in conflict")
		wants(t, e.run("kept", "resolve", "--theirs"), "kept.lock is settled", "next: git add kept.lock")
		s.checkBlocks("exp", "left=left2", "right=right")
	})
}

// TestResolveRerun measures again in the middle of a merge.
func TestResolveRerun(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	start := func(t *testing.T) (s, e *sandbox) {
		s = story.fork(t)
		s.run("git", "checkout", "-q", "-b", "work", "left")
		s.fails("git", "merge", "-q", "left2")
		return s, s.in("exp")
	}
	t.Run("params in conflict", func(t *testing.T) {
		s, e := start(t)
		before := e.read("kept.lock")
		wants(t, e.fails("kept", "resolve", "--rerun"), "exp/left.toml, which stage left reads, is in conflict, too", "hint: git diff -- left.toml")
		e.write("left.toml", "left = 9\n")
		s.run("git", "add", "exp/left.toml")
		if e.read("kept.lock") != before {
			t.Error("the refused run changed the lock")
		}
		wants(t, e.run("kept", "resolve", "--rerun"), "left: in conflict", "sum: in conflict", "next: git commit")
		s.run("git", "commit", "-q", "--no-edit")
		wants(t, e.read("out/sum"), "left = 9")
		s.checkBlocks("exp", "right=main")
		if out := e.run("kept", "status"); strings.Contains(out, "stale") {
			t.Error(out)
		}
	})
	t.Run("one of two, with what is upstream", func(t *testing.T) {
		s, e := start(t)
		e.run("git", "checkout", "--theirs", "left.toml")
		e.run("git", "add", "left.toml")
		out := e.run("kept", "resolve", "left", "--rerun")
		wants(t, out, "still in conflict: sum")
		if strings.Contains(out, "sum: in conflict") {
			t.Errorf("sum ran, too:\n%s", out)
		}
		e.run("kept", "resolve", "--theirs")
		s.checkBlocks("exp", "left=left2", "sum=left2")
	})
	t.Run("a command that fails", func(t *testing.T) {
		s, e := start(t)
		e.write("left.toml", "left = 9\n")
		e.write("kept.toml", strings.Replace(branchesToml, "mkdir -p out && cat left.toml", "false && cat left.toml", 1))
		s.run("git", "add", "exp/left.toml")
		lock, artifact := e.read("kept.lock"), e.read("out/left")
		wants(t, e.fails("kept", "resolve", "--rerun"), "the command failed")
		if e.read("kept.lock") != lock || e.read("out/left") != artifact {
			t.Error("the failed run left something else behind")
		}
		wants(t, s.run("git", "status", "--short"), "UU exp/kept.lock")
		wants(t, e.run("kept", "status"), "left  in conflict")
		s.run("git", "merge", "--abort")
		s.checkBlocks("exp", "left=left", "sum=left")
	})
	t.Run("kept.toml in conflict", func(t *testing.T) {
		s := story.fork(t)
		e := s.in("exp")
		for branch, comment := range map[string]string{"left": "# one\n", "left2": "# two\n"} {
			s.run("git", "checkout", "-q", branch)
			e.write("kept.toml", comment+branchesToml)
			s.commit("comment")
		}
		s.run("git", "checkout", "-q", "-b", "work", "left")
		s.fails("git", "merge", "-q", "left2")
		wants(t, e.fails("kept", "resolve", "--rerun"), "exp/kept.toml, which says what to run, is in conflict, too")
		wants(t, e.run("kept", "resolve"), "left", "sum")
		wants(t, e.run("kept", "resolve", "--theirs"), "still in conflict: kept.toml, left.toml", "hint: git status")
	})
	t.Run("names", func(t *testing.T) {
		_, e := start(t)
		wants(t, e.fails("kept", "resolve", "right", "--ours"), `"right" is not in conflict; what is: left, sum`)
		wants(t, e.fails("kept", "resolve", "left"), "say which side")
		wants(t, e.fails("kept", "resolve", "--ours", "--theirs"), "exclude each other")
	})
	t.Run("another kept at work", func(t *testing.T) {
		s, e := start(t)
		s.write("exp/left.toml", "left = 9\n")
		s.run("git", "add", "exp/left.toml")
		e.write("kept.toml", strings.Replace(branchesToml, "cat left.toml", "kept resolve --ours 2> ../inner; cat left.toml", 1))
		e.run("kept", "resolve", "--rerun")
		wants(t, s.read("inner"), "another kept is at work here: run what is in conflict")
	})
}

// TestResolveData settles data that no stage writes, and blocks that one side removed.
func TestResolveData(t *testing.T) {
	story := newBranches(t)
	s := story.fork(t)
	e := s.in("exp")
	for _, branch := range []string{"left", "left2"} {
		s.run("git", "checkout", "-q", branch)
		e.write("labels.txt", branch+"\n")
		e.run("kept", "add", "labels.txt")
		s.commit("labels")
	}
	s.run("git", "checkout", "-q", "-b", "work", "left")
	s.fails("git", "merge", "-q", "left2")
	wants(t, e.run("kept", "status"), "data:labels")
	wants(t, e.run("kept", "resolve"), "data:labels", "→")
	wants(t, e.fails("kept", "resolve", "data:labels", "--rerun"), "no stage", "hint: kept resolve")
	wants(t, e.run("kept", "resolve", "data:labels", "--theirs"), "still in conflict: left, sum")
	if got := e.read("labels.txt"); got != "left2\n" {
		t.Errorf("labels.txt is %q", got)
	}
	s.settle("--ours")
	s.checkBlocks("exp", "left=left", "sum=left")
}

// TestMergeDeletedLock is a lock that one side deleted and the other changed.
func TestMergeDeletedLock(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	for _, from := range []string{"left", "gone"} {
		for _, side := range []string{"--ours", "--theirs"} {
			t.Run(from+" "+side, func(t *testing.T) {
				s := story.fork(t)
				s.run("git", "checkout", "-q", "-b", "work", from)
				other := map[string]string{"left": "gone", "gone": "left"}[from]
				s.fails("git", "merge", "-q", other)
				e := s.in("exp")
				wants(t, e.run("kept", "status"), "left", "right", "sum", "in conflict")
				has := map[string]string{"left": "ours", "gone": "theirs"}[from]
				wants(t, e.run("kept", "resolve"), "left  only "+has+" has it")
				e.run("kept", "resolve", side)
				s.run("git", "commit", "-q", "--no-edit")
				if side == "--"+has {
					s.checkBlocks("exp", "left=left", "right=left", "sum=left")
					return
				}
				if _, err := os.Lstat(filepath.Join(e.dir, "kept.lock")); err == nil {
					t.Error("the lock is there")
				}
				if out := s.run("git", "ls-files", "exp/kept.lock"); out != "" {
					t.Errorf("Git tracks %s", out)
				}
			})
		}
	}
}

// TestMergeAddedLocks merges locks without a common ancestor.
func TestMergeAddedLocks(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	for _, driver := range drivers {
		t.Run(driver.name, func(t *testing.T) {
			s := story.fork(t)
			e := s.in("exp")
			for branch, stage := range map[string]string{"one": "left", "two": "right"} {
				s.run("git", "checkout", "-q", "-b", branch, "root")
				s.write(".gitattributes", s.run("git", "show", "main:.gitattributes"))
				s.write("exp/.gitignore", s.run("git", "show", "main:exp/.gitignore"))
				e.run("kept", "run", stage)
				s.commit(stage)
			}
			s.run("git", "checkout", "-q", "one")
			driver.set(s)
			if out, err := s.try("git", "merge", "-q", "--no-edit", "two"); err != nil {
				if driver.name == "with the driver" {
					t.Fatalf("%v\n%s", err, out)
				}
				wants(t, e.run("kept", "resolve"), "nothing in kept.lock is in conflict", "hint: git add kept.lock")
				e.run("kept", "resolve", "--ours")
				s.run("git", "commit", "-q", "--no-edit")
			}
			if lock := s.checkLock("exp"); len(lock.Stages) != 2 {
				t.Errorf("%d stages", len(lock.Stages))
			}
		})
	}
}

// TestMergeCrosswise merges branches that merged each other before: the common
// ancestor that Git makes of the two holds conflicts.
func TestMergeCrosswise(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	for _, driver := range drivers {
		t.Run(driver.name, func(t *testing.T) {
			s := story.fork(t)
			driver.set(s)
			s.run("git", "branch", "first", "left")
			s.run("git", "branch", "second", "left2")
			for branch, other := range map[string]string{"first": "left2", "second": "left"} {
				s.run("git", "checkout", "-q", branch)
				s.fails("git", "merge", "-q", other)
				s.settle("--ours")
				s.run("git", "commit", "-q", "--no-edit")
			}
			s.run("git", "checkout", "-q", "second")
			s.in("exp").run("kept", "run", "-p", "right=8")
			s.commit("right")
			s.run("git", "checkout", "-q", "first")
			s.fails("git", "merge", "-q", "second")
			wants(t, s.in("exp").run("kept", "resolve"), "left", "sum")
			s.settle("--theirs")
			s.checkBlocks("exp", "left=second", "sum=second", "right=second")
			s.run("git", "commit", "-q", "--no-edit")
		})
	}
}

// TestMergeMovedExperiment merges the rename of the experiment's folder with a run in it.
func TestMergeMovedExperiment(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	for _, driver := range drivers {
		t.Run(driver.name, func(t *testing.T) {
			s := story.fork(t)
			driver.set(s)
			s.run("git", "checkout", "-q", "-b", "work", "left")
			s.run("git", "merge", "-q", "--no-edit", "moved")
			s.checkBlocks("renamed", "left=left", "sum=left", "right=main")
			s.fails("git", "merge", "-q", "left2")
			e := s.in("renamed")
			wants(t, e.run("kept", "status"), "left  in conflict")
			e.run("kept", "resolve", "--theirs")
			s.checkBlocks("renamed", "left=left2", "sum=left2")
		})
	}
}

// TestMergeStrategyOptions holds that -X never makes a lock that passes: the
// driver leaves the conflict to people, and what Git splices as text is refused.
func TestMergeStrategyOptions(t *testing.T) {
	t.Parallel()
	story := newBranches(t)
	for _, option := range []string{"ours", "theirs"} {
		s := story.fork(t)
		s.run("git", "checkout", "-q", "-b", "work", "left")
		s.fails("git", "merge", "-q", "--no-edit", "-X", option, "left2")
		wants(t, s.in("exp").run("kept", "resolve", "--"+option), "left: "+option)
		s.checkLock("exp")

		s = story.fork(t)
		s.run("git", "checkout", "-q", "-b", "work", "left")
		drivers[1].set(s)
		s.run("git", "merge", "-q", "--no-edit", "-X", option, "left2")
		want := map[string]string{"ours": "left", "theirs": "left2"}[option]
		if _, err := lockfile.Parse([]byte(s.read("exp/kept.lock"))); err != nil {
			wants(t, err.Error(), "spliced together")
			s.in("exp").run("kept", "run")
		}
		s.checkBlocks("exp", "left="+want, "sum="+want)
	}
}

// TestMergeTree merges without a worktree.
func TestMergeTree(t *testing.T) {
	s := newBranches(t)
	tree := strings.TrimSpace(s.run("git", "merge-tree", "--write-tree", "left", "right"))
	lock, err := lockfile.Parse([]byte(s.run("git", "show", tree+":exp/kept.lock")))
	if err != nil || len(lock.Stages) != 3 {
		t.Errorf("%v, %v", lock, err)
	}
	wants(t, s.fails("git", "merge-tree", "--write-tree", "left", "left2"), "CONFLICT (content): Merge conflict in exp/kept.lock")
}

// TestMergeRerere has Git repeat what was settled before.
func TestMergeRerere(t *testing.T) {
	s := newBranches(t)
	s.run("git", "config", "rerere.enabled", "true")
	s.run("git", "checkout", "-q", "-b", "work", "left")
	s.fails("git", "merge", "-q", "left2")
	s.in("exp").run("kept", "resolve", "sum", "--ours")
	s.settle("--theirs")
	s.run("git", "commit", "-q", "--no-edit", "--no-verify")
	s.run("git", "reset", "-q", "--hard", "HEAD~1")
	s.checkBlocks("exp", "left=left", "sum=left")
	s.fails("git", "merge", "-q", "left2")
	e := s.in("exp")
	wants(t, e.run("kept", "resolve"), "nothing in kept.lock is in conflict", "hint: git add kept.lock")
	s.settle("--ours")
	s.checkBlocks("exp", "left=left2", "sum=left", "right=main")
}
