//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kept-dev/kept/lockfile"
)

// slowRepo has a stage that waits for the file "go" before it writes.
func slowRepo(t *testing.T) *sandbox {
	s := newSandbox(t).in("work")
	s.write("kept.toml", `[stage.train]
command   = "sh train.sh"
code      = ["train.sh"]
params    = ["params.toml"]
artifacts = { model = "models/model.bin" }
`)
	s.write("train.sh", `. ./params.toml
touch started
i=0
while [ ! -e go ] && [ $i -lt 1000 ]; do sleep 0.02; i=$((i+1)); done
echo "model $version" > model.part
mkdir -p models
mv model.part models/model.bin
`)
	s.write("params.toml", "version=1\n")
	s.write(".gitignore", "started\ngo\n*.part\n")
	s.write("go", "")
	s.run("git", "init", "-q")
	s.run("kept", "init")
	s.run("kept", "run")
	s.run("git", "add", ".")
	s.run("git", "commit", "-q", "-m", "one", "--no-verify")
	return s
}

// makeSlow makes the stage stale, and slow until letGo.
func (s *sandbox) makeSlow(version int) {
	s.t.Helper()
	for _, name := range []string{"go", "started"} {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			s.t.Fatal(err)
		}
	}
	s.write("params.toml", fmt.Sprintf("version=%d\n", version))
}

func (s *sandbox) letGo() { s.write("go", "") }

// start starts kept; wait returns what it printed, and whether it ended well.
func (s *sandbox) start(args ...string) (cmd *exec.Cmd, wait func() (string, error)) {
	s.t.Helper()
	out, err := os.Create(filepath.Join(s.t.TempDir(), "out"))
	if err != nil {
		s.t.Fatal(err)
	}
	cmd = exec.CommandContext(s.t.Context(), filepath.Join(filepath.Dir(s.dir), "bin", "kept"), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd, func() (string, error) {
		err := cmd.Wait()
		out.Close()
		text, _ := os.ReadFile(out.Name())
		return string(text), err
	}
}

func (s *sandbox) await(name string) {
	s.t.Helper()
	for range 1000 {
		if _, err := os.Lstat(filepath.Join(s.dir, name)); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("%s did not come", name)
}

// together runs a function n times at once.
func together(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() { defer all.Done(); do(i) }()
	}
	all.Wait()
}

func TestRunsOfOneStage(t *testing.T) {
	s := slowRepo(t)
	s.makeSlow(2)
	var outs [8]string
	var fine [8]bool
	time.AfterFunc(time.Second, s.letGo)
	together(8, func(i int) {
		out, err := s.try("kept", "run")
		outs[i], fine[i] = out, err == nil
	})
	ran := 0
	for i, out := range outs {
		switch {
		case fine[i] && strings.Contains(out, "recorded in kept.lock"):
			ran++
		case fine[i] && strings.Contains(out, "up to date"):
		case !fine[i] && strings.Contains(out, "another kept is at work here: run train (process "):
		default:
			t.Errorf("a run beside others says:\n%s", out)
		}
	}
	if ran != 1 {
		t.Errorf("%d runs ran the stage; want 1", ran)
	}
	s.run("kept", "verify")
}

func TestAddsAtOnce(t *testing.T) {
	s := slowRepo(t)
	for i := range 8 {
		s.write(fmt.Sprintf("data/%d.txt", i), strings.Repeat(fmt.Sprintf("row %d\n", i), 1000))
	}
	together(8, func(i int) {
		if out, err := s.try("kept", "add", fmt.Sprintf("data/%d.txt", i)); err != nil {
			t.Errorf("add beside others: %v\n%s", err, out)
		}
	})
	lock, err := lockfile.Parse([]byte(s.read("kept.lock")))
	if err != nil {
		t.Fatal(err)
	}
	if len(lock.Artifacts) != 8 {
		t.Errorf("the lock has %d of 8 additions", len(lock.Artifacts))
	}
	if ignored := s.read(".gitignore"); strings.Count(ignored, "/data/") != 8 {
		t.Errorf(".gitignore misses some of 8 additions:\n%s", ignored)
	}
	s.run("kept", "verify")
}

// A restore that had to wait must not go by the lock from before.
func TestRestoresBesideAdds(t *testing.T) {
	s := slowRepo(t)
	together(12, func(i int) {
		name := fmt.Sprintf("data/%d.txt", i)
		if i%2 == 0 {
			if out, err := s.try("kept", "restore"); err != nil {
				t.Errorf("restore beside others: %v\n%s", err, out)
			}
			return
		}
		s.write(name, name)
		if out, err := s.try("kept", "add", name); err != nil {
			t.Errorf("add beside others: %v\n%s", err, out)
		}
	})
	for i := 1; i < 12; i += 2 {
		if name := fmt.Sprintf("data/%d.txt", i); s.read(name) != name {
			t.Errorf("%s is %q", name, s.read(name))
		}
	}
	s.run("kept", "verify")
}

func TestCheckoutDuringRun(t *testing.T) {
	s := slowRepo(t)
	s.write("params.toml", "version=2\n")
	s.run("kept", "run")
	s.run("git", "commit", "-q", "-a", "-m", "two", "--no-verify")
	s.makeSlow(3)
	_, wait := s.start("run")
	s.await("started")
	if out := s.run("git", "status"); strings.Contains(out, "kept:") {
		t.Errorf("a status during a run, with no lock moved, says\n%s", out)
	}
	out := s.run("git", "checkout", "-q", "-f", "HEAD~1")
	if !strings.Contains(out, "artifacts are left as they are: run train (process ") {
		t.Errorf("a checkout during a run says\n%s", out)
	}
	s.letGo()
	if out, err := wait(); err == nil || !strings.Contains(out, "params.toml changed while stage train ran") {
		t.Errorf("the run over which params.toml was checked out: %v\n%s", err, out)
	}
	s.run("git", "checkout", "-q", "main")
	if got := s.read("models/model.bin"); got != "model 2\n" {
		t.Errorf("after the next checkout the model is %q", got)
	}
	s.run("git", "checkout", "-q", "HEAD~1")
	if got := s.read("models/model.bin"); got != "model 1\n" {
		t.Errorf("after the one after that it is %q", got)
	}
}

// A command whose kept was killed keeps the worktree until it ends: what it is
// yet to write must not be taken for the work of a run after it.
func TestCommandOutlivesKept(t *testing.T) {
	s := slowRepo(t)
	s.makeSlow(2)
	cmd, wait := s.start("run")
	s.await("started")
	for range 1000 { // Its kept notes the command's number right after the start.
		if _, number, _ := strings.Cut(s.read(".git/kept/state/main.command"), "\n"); number != "" {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	wait()
	s.write("params.toml", "version=3\n")
	for _, verb := range []string{"run", "restore"} {
		out, err := s.try("kept", verb)
		if err == nil || !strings.Contains(out, "the command of run train goes on as process ") || !strings.Contains(out, "hint: kill ") {
			t.Errorf("%s beside a command whose kept is gone: %v\n%s", verb, err, out)
		}
	}
	s.letGo()
	s.await("models/model.bin")
	var out string
	var err error
	for range 100 {
		if out, err = s.try("kept", "run"); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil || s.read("models/model.bin") != "model 3\n" {
		t.Errorf("after its end: %v, the model is %q\n%s", err, s.read("models/model.bin"), out)
	}
	s.run("kept", "verify")
}

// What a command leaves running on purpose holds up nobody.
func TestCommandLeavesADaemon(t *testing.T) {
	s := slowRepo(t)
	s.write("train.sh", "sleep 5 >/dev/null 2>&1 &\nmkdir -p models\necho 1 > models/model.bin\n")
	s.run("kept", "run")
	s.run("kept", "run", "--force")
}

func TestRunInsideRun(t *testing.T) {
	s := slowRepo(t)
	s.write("train.sh", "mkdir -p models\necho 1 > models/model.bin\nkept run\n")
	start := time.Now()
	out, err := s.try("kept", "run")
	if err == nil || !strings.Contains(out, "another kept is at work here: run train") || !strings.Contains(out, "a stage of its own") {
		t.Errorf("kept run inside of kept run: %v\n%s", err, out)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s to say so", took)
	}
}

func TestWorktreesAtOnce(t *testing.T) {
	s := slowRepo(t)
	s.run("git", "worktree", "add", "-q", "../linked")
	both := []*sandbox{s, s.in("../linked")}
	for round := range 4 {
		together(2, func(i int) {
			w := both[i]
			w.write("go", "")
			w.write("params.toml", fmt.Sprintf("version=%d\n", 10+round*(i+1)))
			if out, err := w.try("kept", "run"); err != nil {
				t.Errorf("run in a worktree beside another: %v\n%s", err, out)
			}
		})
		for i, w := range both {
			if got, want := w.read("models/model.bin"), fmt.Sprintf("model %d\n", 10+round*(i+1)); got != want {
				t.Errorf("worktree %d has %q; want %q", i, got, want)
			}
			w.run("kept", "verify")
		}
	}
}
