package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestInterruptedBisect sends an interrupt while a stage runs in the worktree
// for bisecting: neither the worktree nor the stage is left.
func TestInterruptedBisect(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("interrupts a process by a signal")
	}
	s := newSandbox(t)
	temp := filepath.Join(s.dir, "tmp")
	if err := os.Mkdir(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env, "TMPDIR="+temp)
	w := s.in("work")
	w.write("kept.toml", "[stage.train]\ncommand = \"sh train.sh\"\ncode = [\"train.sh\"]\nmetrics = [\"metrics.json\"]\n")
	w.write("train.sh", "echo '{\"accuracy\": 0.9}' > metrics.json\n")
	w.run("git", "init", "-q")
	w.run("kept", "init")
	w.run("kept", "run")
	commit := func(args ...string) {
		w.run("git", "add", "-A")
		w.run("git", append([]string{"commit", "-q", "--no-verify", "-m", "change"}, args...)...)
	}
	commit()
	started := filepath.Join(s.dir, "started")
	w.write("train.sh", "echo $$ > '"+started+"'\nsleep 60\n")
	commit()
	commit("--allow-empty")
	w.write("train.sh", "echo '{\"accuracy\": 0.1}' > metrics.json\n")
	w.run("kept", "run")
	commit()
	before := w.run("git", "worktree", "list")

	cmd := exec.Command(filepath.Join(s.dir, "bin", "kept"), "bisect", "accuracy", "--when", "< 0.5", "--run")
	cmd.Dir, cmd.Env = w.dir, s.env
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if _, err := os.Stat(started); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("got %v, want exit code %d\n%s", err, exitInterrupted, out.String())
	}
	if after := w.run("git", "worktree", "list"); after != before {
		t.Errorf("got worktrees\n%s, want\n%s", after, before)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in the folder for temporary files: %v, %v", left, err)
	}
	if status := w.run("git", "status", "--porcelain"); status != "" {
		t.Errorf("the user's worktree has changed:\n%s", status)
	}
	pid := strings.TrimSpace(s.read("started"))
	for i := 0; exec.Command("kill", "-0", pid).Run() == nil; i++ {
		if i == 100 {
			t.Fatalf("the stage is still running as process %s", pid)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
