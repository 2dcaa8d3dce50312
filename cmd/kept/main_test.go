package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be kept: run under the name "kept" it is the
// command, in scripts and for the hooks of real Git repositories alike.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kept":        func() { os.Exit(run(os.Args[1:])) },
		"kept-tracer": func() { os.Exit(traceMain()) },
	})
}

// putBinary puts kept into the folder dir. A symbolic link would not do: hooks
// name the program by its resolved path, and under the test binary's own name it
// is no kept but runs the tests.
func putBinary(t *testing.T, dir string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "kept")
	if os.MkdirAll(dir, 0o755) != nil || os.Link(exe, to) == nil {
		return
	}
	data, err := os.ReadFile(exe)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sandbox is a folder with an environment of its own for Git and kept.
type sandbox struct {
	t   *testing.T
	dir string
	env []string
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	putBinary(t, bin)
	config := filepath.Join(dir, "gitconfig")
	text := "[user]\n name = Ada\n email = ada@example.org\n[init]\n defaultBranch = main\n[core]\n fsync = none\n[protocol \"file\"]\n allow = always\n[advice]\n detachedHead = false\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + dir, "GIT_CONFIG_GLOBAL=" + config, "GIT_CONFIG_NOSYSTEM=1", "GIT_EDITOR=true", "LC_ALL=C.UTF-8",
	}
	return &sandbox{t: t, dir: dir, env: env}
}

// in returns the sandbox with its commands run in a folder of it.
func (s *sandbox) in(dir string) *sandbox {
	moved := *s
	if filepath.IsAbs(dir) {
		moved.dir = dir
	} else {
		moved.dir = filepath.Join(s.dir, dir)
	}
	return &moved
}

// try runs a program and returns what it printed and whether it ended well.
func (s *sandbox) try(name string, args ...string) (string, error) {
	if name == "kept" {
		for _, v := range s.env {
			if path, ok := strings.CutPrefix(v, "PATH="); ok {
				name = filepath.Join(filepath.SplitList(path)[0], "kept")
			}
		}
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = s.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// run runs a program that has to end well.
func (s *sandbox) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.try(name, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (s *sandbox) write(name, text string) {
	s.t.Helper()
	file := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sandbox) read(name string) string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// envInt returns a number that the environment sets for a test.
func envInt(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
