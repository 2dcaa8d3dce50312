package main

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// newRepository makes a repository with a kept.toml.
func newRepository(t *testing.T, experiment string) *sandbox {
	t.Helper()
	s := newSandbox(t).in("repo")
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.run("git", "init", "-q")
	s.write("kept.toml", experiment)
	s.run("kept", "init")
	return s
}

const copyStage = `[stage.copy]
command   = "cp params.toml out.bin"
params    = ["params.toml"]
artifacts = { out = "out.bin" }
`

// record runs the copying stage with another value and commits it.
func (s *sandbox) record(size string) {
	s.t.Helper()
	s.write("params.toml", "size = "+size+"\n")
	s.run("kept", "run")
	s.commit("size " + size)
}

// contains fails the test where text lacks one of the words.
func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("it does not say %q:\n%s", w, text)
		}
	}
}

// An artifact may become a folder around the one before, or a file in it.
func TestArtifactMovesIntoFolder(t *testing.T) {
	s := newRepository(t, "[stage.a]\ncommand = \"mkdir -p m; echo hi > m/a\"\nartifacts = { x = \"m/a\" }\n")
	s.run("kept", "run")
	s.write(".gitignore", "/m\n")
	s.commit("a file")
	s.write("kept.toml", "[stage.a]\ncommand = \"mkdir -p m; echo hi > m/a; echo b > m/b\"\nartifacts = { x = \"m\" }\n")
	s.run("kept", "run")
	s.commit("a folder")
	s.run("git", "checkout", "-q", "HEAD~1")
	if got := s.read("m/a"); got != "hi\n" {
		t.Errorf("m/a = %q", got)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "m/b")); err == nil {
		t.Error("m/b is still there")
	}
	s.run("git", "checkout", "-q", "main")
	if s.read("m/a") != "hi\n" || s.read("m/b") != "b\n" {
		t.Error("the folder is not whole")
	}
}

func TestCheckoutMovesExecutableBitAlone(t *testing.T) {
	s := newRepository(t, "[stage.a]\ncommand = \"echo hi > tool; chmod $(cat mode) tool\"\ncode = [\"mode\"]\nartifacts = { tool = \"tool\" }\n")
	modes := []string{"644", "755"}
	for _, mode := range modes {
		s.write("mode", mode)
		s.run("kept", "run")
		s.commit(mode)
	}
	for i, rev := range []string{"main~1", "main"} {
		s.run("git", "checkout", "-q", rev)
		info, err := os.Stat(filepath.Join(s.dir, "tool"))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm()&0o100 != 0; got != (modes[i] == "755") {
			t.Errorf("at %s tool is %v", rev, info.Mode())
		}
	}
}

// What the store has turns out to be damaged: then the content of the commit
// before must not stay in its place.
func TestDamagedObjectLeavesNoWrongFile(t *testing.T) {
	s := newRepository(t, copyStage)
	s.record("1")
	s.record("2")
	damage(t, s, cas.Sum([]byte("size = 1\n")))
	out := s.run("git", "checkout", "-q", "HEAD~1")
	contains(t, out, "can't be restored")
	if data, err := os.ReadFile(filepath.Join(s.dir, "out.bin")); err == nil {
		t.Errorf("out.bin is %q", data)
	}
	s.run("git", "checkout", "-q", "main")
	if got := s.read("out.bin"); got != "size = 2\n" {
		t.Errorf("out.bin is %q", got)
	}
}

// damage changes a byte of an object.
func damage(t *testing.T, s *sandbox, d cas.Digest) {
	t.Helper()
	if err := storetest.Flip(filepath.Join(s.dir, ".git/kept/store"), d); err != nil {
		t.Fatal(err)
	}
}

func TestMissingArtifactIsSaidOnce(t *testing.T) {
	s := newRepository(t, copyStage)
	s.record("1")
	s.run("rm", "-rf", ".git/kept/store", "out.bin")
	s.fails("kept", "restore")
	s.write("other", "x")
	if out := s.run("git", "add", "other"); out != "" {
		t.Errorf("git add says:\n%s", out)
	}
}

// One artifact that can't be placed keeps no other from its place.
func TestRestoreGoesOn(t *testing.T) {
	s := newRepository(t, "[stage.a]\ncommand = \"mkdir -p a b; echo 1 > a/x; echo 2 > b/x\"\nartifacts = { a = \"a/x\", b = \"b/x\" }\n")
	s.run("kept", "run")
	s.run("rm", "-rf", "a", "b")
	s.write("a", "in the way\n")
	contains(t, s.fails("kept", "restore"), "restored b/x", "a/x is left as it is")
	if s.read("b/x") != "2\n" || s.read("a") != "in the way\n" {
		t.Error("wrong files after restore")
	}
	s.run("rm", "a")
	s.run("kept", "restore", ".")
	if s.read("a/x") != "1\n" {
		t.Error("a/x is not restored")
	}
}

// A lock names only bytes that the store or Git has.
func TestInputsAreKept(t *testing.T) {
	for name, prepare := range map[string]func(s *sandbox){
		"folder that Git tracks in part": func(s *sandbox) { s.run("git", "add", "data/a"); s.write(".gitignore", "/data/b\n") },
		"edited since git add":           func(s *sandbox) { s.run("git", "add", "data"); s.write("data/b", "new\n") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newRepository(t, "[stage.a]\ncommand = \"cat data/* > out.bin\"\ninputs = [\"data\"]\nartifacts = { out = \"out.bin\" }\n")
			s.write("data/a", "a\n")
			s.write("data/b", "b\n")
			prepare(s)
			s.run("kept", "run")
			d := cas.Sum([]byte(s.read("data/b")))
			if !storetest.Holds(filepath.Join(s.dir, ".git/kept/store"), d) {
				t.Error("data/b is nowhere")
			}
			s.run("kept", "verify")
		})
	}
}

// What a program logs may clash with what kept.toml and other stages have.
func TestLoggedArtifacts(t *testing.T) {
	s := newRepository(t, "[stage.a]\ncommand = \"echo 1 > one; kept log-artifact one\"\n[stage.b]\ncommand = \"echo 2 > one; kept log-artifact one\"\n")
	s.run("kept", "run", "a")
	before := s.read("kept.lock")
	contains(t, s.fails("kept", "run", "b"), "not written")
	if s.read("kept.lock") != before {
		t.Error("kept.lock was changed")
	}
	s.run("kept", "show")

	s = newRepository(t, "[stage.a]\ncommand = \"kept log-artifact notes.txt\"\n[stage.b]\ncommand = \"kept log-artifact kept.toml\"\n")
	s.write("notes.txt", "mine\n")
	s.run("git", "add", "notes.txt")
	contains(t, s.fails("kept", "run", "a"), "notes.txt is tracked by Git")
	contains(t, s.fails("kept", "run", "b"), "\"kept.toml\" is not for experiments to write")
}

func TestAddGivesEachPathItsName(t *testing.T) {
	s := newRepository(t, "")
	s.write("x/data.csv", "1\n")
	s.write("y/data.csv", "2\n")
	s.run("kept", "add", "x/data.csv", "y/data.csv")
	contains(t, s.read("kept.lock"), `"x/data.csv"`, `"y/data.csv"`)
	s.write("z/deep/f", "3\n")
	contains(t, s.fails("kept", "add", "z", "z/deep"), "belongs to artifact z already")
}

// A command that edits what it reads leaves a kept.toml that can be read.
func TestRunCommandLeavesKeptTomlReadable(t *testing.T) {
	s := newRepository(t, "")
	s.write("data.txt", "a\n")
	s.write("t.sh", "echo more >> data.txt; echo 1 > out.bin\n")
	s.try("kept", "run", "--write", "--", "sh", "t.sh", "data.txt")
	s.run("kept", "status")
}

func TestParamsOutsideGitDoNotStopACommit(t *testing.T) {
	s := newRepository(t, copyStage)
	s.write(".gitignore", "params.toml\n")
	s.record("1")
}

func TestRunRefusesFlagsThatDoNothing(t *testing.T) {
	s := newRepository(t, copyStage)
	s.fails("kept", "run", "--write")
	s.fails("kept", "run", "--dry-run", "-p", "size=3")
}

// A clone may bring anything under the names that kept reads. Nothing of it is
// followed out of the repository or waited for.
func TestHostileFiles(t *testing.T) {
	for _, name := range []string{"kept.toml", "kept.lock"} {
		for _, target := range []string{"/dev/zero", "/etc/passwd", "pipe"} {
			t.Run(name+" to "+filepath.Base(target), func(t *testing.T) {
				s := newRepository(t, copyStage)
				s.record("1")
				s.run("mkfifo", "pipe")
				s.run("ln", "-sf", target, name)
				for _, verb := range []string{"status", "show", "verify", "restore", "run"} {
					if name == "kept.toml" || verb != "run" {
						contains(t, s.fails("timeout", "-s", "KILL", "10", "kept", verb), "symbolic link")
					}
				}
				s.run("git", "add", "-A")
				s.run("git", "commit", "-q", "--no-verify", "-m", "hostile")
				s.run("git", "checkout", "-q", "HEAD~1")
				if got := s.read("out.bin"); got != "size = 1\n" {
					t.Errorf("out.bin is %q", got)
				}
			})
		}
	}
	t.Run("pipes", func(t *testing.T) {
		s := newRepository(t, copyStage)
		for _, name := range []string{"params.toml", "kept.lock", "kept.toml"} {
			s.run("rm", "-f", name)
			s.run("mkfifo", name)
			contains(t, s.fails("timeout", "-s", "KILL", "10", "kept", "status"), "not a regular file")
			s.run("rm", name)
			s.write(name, "")
		}
	})
}

// The lock of a hostile clone names places that are not the artifacts'.
func TestHostileLockPaths(t *testing.T) {
	s := newRepository(t, copyStage)
	s.record("1")
	outside := filepath.Join(s.dir, "../outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{".git/hooks/x", "../outside/x", ".GIT/x", "git~1/x", outside + "/x", "in/x", "out/x", "C:/x"} {
		t.Run(to, func(t *testing.T) {
			s.run("git", "checkout", "-q", "-f", "main")
			s.run("ln", "-sfn", ".git/hooks", "in")
			s.run("ln", "-sfn", outside, "out")
			// An artifact block carries no result, so anybody can write one.
			s.write("kept.lock", fmt.Sprintf("version = 1\n\n[artifact.a]\npath = %q\nhash = \"%s\"\nsize = 9\n", to, cas.Sum([]byte("size = 1\n"))))
			for _, verb := range []string{"status", "show", "diff", "verify", "restore"} {
				s.try("kept", verb)
			}
			s.run("git", "add", "-A")
			s.run("git", "commit", "-q", "--no-verify", "--allow-empty", "-m", "hostile")
			s.run("git", "checkout", "-q", "HEAD~1")
			s.run("git", "checkout", "-q", "-")
			for _, file := range []string{".git/hooks/x", ".GIT/x", "git~1/x", "../outside/x"} {
				if _, err := os.Lstat(filepath.Join(s.dir, file)); err == nil {
					t.Errorf("%s was written", file)
				}
			}
		})
	}
}

// The store of the repository that was cloned from is somebody else's: it is
// read, never written, and nothing in it is waited for or followed.
func TestHostileOrigin(t *testing.T) {
	origin := newRepository(t, copyStage)
	origin.record("1")
	d := cas.Sum([]byte("size = 1\n"))
	store := filepath.Join(origin.dir, ".git/kept/store")
	pack := strings.TrimSpace(origin.run("sh", "-c", "grep -l . .git/kept/store/packs/*"))
	origin.run("cp", "-r", ".git/kept/store", "../whole")
	replace := func(how ...string) func() {
		return func() {
			for file := range strings.Lines(pack) {
				file = strings.TrimSpace(file)
				origin.run("rm", "-f", file)
				origin.run(how[0], append(how[1:], file)...)
			}
		}
	}
	for name, plant := range map[string]func(){
		"damaged": func() { damage(t, origin, d) },
		"pipe":    replace("mkfifo"),
		"link":    replace("ln", "-s", "/dev/zero"),
		"itself":  replace("ln", "-s", filepath.Join(store, "packs")),
	} {
		t.Run(name, func(t *testing.T) {
			origin.run("rm", "-rf", ".git/kept/store")
			origin.run("cp", "-r", "../whole", ".git/kept/store")
			plant()
			before := origin.run("find", ".git/kept/store")
			clone := newSandbox(t)
			clone.run("git", "clone", "-q", origin.dir, "clone")
			clone = clone.in("clone")
			contains(t, clone.run("timeout", "-s", "KILL", "20", "kept", "init"), "can't be restored")
			if _, err := os.Lstat(filepath.Join(clone.dir, "out.bin")); err == nil {
				t.Error("out.bin is there")
			}
			if after := origin.run("find", ".git/kept/store"); after != before {
				t.Errorf("the origin's store was changed:\n%s\n%s", before, after)
			}
		})
	}
}

// TestRandomSteps holds promises 3 and 4 over random sequences: an artifact is
// the one of the lock unless it was edited since the lock last moved, and no
// content that was ever edited by hand is lost.
func TestRandomSteps(t *testing.T) {
	t.Parallel()
	const steps, seed = 150, 1
	m := &model{sandbox: newRepository(t, copyStage), rand: rand.New(rand.NewPCG(seed, seed))}
	m.write("README", "x")
	m.run("git", "add", "README")
	m.run("git", "commit", "-q", "-m", "start")
	m.commits = []string{m.head()}
	m.record("1")
	m.commits = append(m.commits, m.head())
	m.note()
	for range steps {
		action := actions[m.rand.IntN(len(actions))]
		m.trace = append(m.trace, action.name)
		action.do(m)
		m.check(action.name)
		if t.Failed() {
			t.Fatalf("seed %d, steps: %s", seed, strings.Join(m.trace, ", "))
		}
	}
}

// model is a repository with what an oracle knows of it.
type model struct {
	*sandbox
	rand    *rand.Rand
	commits []string
	trace   []string
	n       int
	// edited holds every content that was written by hand and not by hand again.
	edited []string
	// lock and artifact are as they were after the last step; "" is none.
	lock, artifact string
	// lost is set while the state does not say what kept placed.
	lost bool
}

func (m *model) head() string { return strings.TrimSpace(m.run("git", "rev-parse", "HEAD")) }

func (m *model) content(name string) string {
	data, _ := os.ReadFile(filepath.Join(m.dir, name))
	return string(data)
}

func (m *model) note() { m.lock, m.artifact = m.content("kept.lock"), m.content("out.bin") }

// wanted is the content that a lock names: what the params file held.
func wanted(lock string) string {
	_, after, found := strings.Cut(lock, "[stage.copy.params]\nsize = ")
	value, _, _ := strings.Cut(after, "\n")
	if !found {
		return ""
	}
	return "size = " + value + "\n"
}

var actions = []struct {
	name string
	do   func(m *model)
}{
	{"record", func(m *model) {
		m.n++
		m.try("git", "checkout", "-q", "-f", "main")
		m.write("kept.toml", copyStage)
		m.write("params.toml", fmt.Sprintf("size = %d\n", 100+m.n%7))
		m.run("kept", "run")
		m.run("git", "add", "-A")
		m.try("git", "commit", "-q", "-m", "r")
		m.commits = append(m.commits, m.head())
	}},
	{"run", func(m *model) {
		m.n++
		if m.content("kept.toml") == copyStage {
			m.write("params.toml", fmt.Sprintf("size = %d\n", 200+m.n%5))
			m.run("kept", "run")
		}
	}},
	{"edit", func(m *model) {
		m.n++
		text := fmt.Sprintf("by hand %d\n", m.n)
		m.edited = slices.DeleteFunc(m.edited, func(e string) bool { return e == m.artifact })
		m.edited = append(m.edited, text)
		m.write("out.bin", text)
	}},
	{"delete, then add", func(m *model) {
		if m.artifact == wanted(m.lock) {
			os.Remove(filepath.Join(m.dir, "out.bin"))
			m.write("kick", fmt.Sprint(m.n))
			m.run("git", "add", "kick")
			m.run("git", "rm", "-q", "-f", "--cached", "kick")
			os.Remove(filepath.Join(m.dir, "kick"))
		}
	}},
	{"checkout", func(m *model) { m.try("git", "checkout", "-q", "-f", m.commits[m.rand.IntN(len(m.commits))]) }},
	{"checkout main", func(m *model) { m.try("git", "checkout", "-q", "main") }},
	{"reset --hard", func(m *model) { m.run("git", "reset", "-q", "--hard") }},
	{"stash -u", func(m *model) { m.try("git", "stash", "-q", "-u") }},
	{"stash pop", func(m *model) {
		if _, err := m.try("git", "stash", "pop", "-q"); err != nil {
			m.try("git", "reset", "-q", "--hard")
			m.try("git", "stash", "drop", "-q")
		}
	}},
	{"restore", func(m *model) { m.try("kept", "restore"); m.artifact = m.content("out.bin") }},
	{"lose the state", func(m *model) { os.RemoveAll(filepath.Join(m.dir, ".git/kept/state/main.json")) }},
	{"break the state", func(m *model) { m.write(".git/kept/state/main.json", "{\"version\":9,") }},
	{"lose the stat cache", func(m *model) { os.RemoveAll(filepath.Join(m.dir, ".git/kept/index")) }},
}

func (m *model) check(action string) {
	m.t.Helper()
	lock, got := m.content("kept.lock"), m.content("out.bin")
	want, moved := wanted(lock), wanted(lock) != wanted(m.lock)
	users := strings.HasPrefix(got, "by hand") && got == m.artifact
	m.lost = action == "lose the state" || action == "break the state" || m.lost && (want == "" || !moved)
	switch {
	case action == "edit", got == want:
	case users && (!moved || want == ""):
		// The lock's entry did not move, or is gone: a changed file is the user's.
	case want == "" && m.lost:
		// Nothing says any more that kept put the file there.
	default:
		m.t.Errorf("out.bin is %q, the lock names %q", got, want)
	}
	for _, text := range m.edited {
		if text != got && !m.stored(text) {
			m.t.Errorf("%q is lost", text)
		}
	}
	m.note()
}

// stored reports whether kept has a content, or Git: "stash -u" takes an artifact
// along where no .gitignore names it.
func (m *model) stored(text string) bool {
	d := cas.Sum([]byte(text))
	if storetest.Holds(filepath.Join(m.dir, ".git/kept/store"), d) {
		return true
	}
	blob := sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(text), text)))
	_, err := m.try("git", "cat-file", "-e", hex.EncodeToString(blob[:]))
	return err == nil
}
