//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// oddRepo has a stage whose script the test writes, with a folder as input and
// one as artifact.
func oddRepo(t *testing.T) *sandbox {
	s := newSandbox(t).in("work")
	s.write("kept.toml", `[stage.make]
command   = "sh make.sh"
code      = ["make.sh"]
inputs    = ["data"]
artifacts = { out = "out" }
`)
	s.write("make.sh", "mkdir out && cp data/a out/a\n")
	s.write("data/a", "a\n")
	s.write(".gitignore", "/data\n")
	s.run("git", "init", "-q")
	s.run("kept", "init")
	return s
}

// refused runs kept, which has to name what it refuses, soon, and to leave the
// lock as it was.
func (s *sandbox) refused(want string, args ...string) {
	s.t.Helper()
	before, _ := os.ReadFile(filepath.Join(s.dir, "kept.lock"))
	if out, err := s.soon(args...); err == nil || !strings.Contains(out, want) {
		s.t.Errorf("kept %v: %v; want %q in\n%s", args, err, want, out)
	}
	if after, _ := os.ReadFile(filepath.Join(s.dir, "kept.lock")); string(after) != string(before) {
		s.t.Errorf("kept %v failed and changed the lock", args)
	}
}

// soon runs kept, which must not hang.
func (s *sandbox) soon(args ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(s.dir), "bin", "kept"), args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		s.t.Fatalf("kept %v hangs", args)
	}
	return string(out), err
}

func (s *sandbox) special(name string, make func(path string) error) {
	s.t.Helper()
	file := filepath.Join(s.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), make(file)); err != nil {
		s.t.Fatal(err)
	}
}

func fifo(file string) error { return syscall.Mkfifo(file, 0o644) }

// What has no content to keep is refused by name, and nobody waits for its
// other end.
func TestSpecialFiles(t *testing.T) {
	s := oddRepo(t)
	s.run("kept", "run")
	s.special("data/pipe", fifo)
	s.refused(`"data/pipe": neither a file, a folder nor a link`, "run")
	s.refused(`"data/pipe": neither`, "add", "data")
	if err := os.Remove(filepath.Join(s.dir, "data/pipe")); err != nil {
		t.Fatal(err)
	}
	s.write("make.sh", "mkdir out && mkfifo out/pipe\n")
	s.refused(`"out/pipe": neither`, "run")
	s.refused(`out is left as it is: "out/pipe"`, "restore")
	s.run("rm", "-r", filepath.Join(s.dir, "out"))
	s.run("kept", "restore", "out")

	s.special("pipe", fifo)
	s.refused(`"pipe": neither`, "add", "pipe")
	s.t.Chdir(s.dir) // The name of a socket can't be as long as the path here.
	listener, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s.refused(`"socket": neither`, "add", "socket")
	for _, name := range []string{"kept.lock", "params.toml"} {
		other := oddRepo(t)
		other.special(name, fifo)
		other.write("kept.toml", other.read("kept.toml")+"params = [\"params.toml\"]\n")
		if out, err := other.soon("run"); err == nil || !strings.Contains(out, "not a regular file") {
			t.Errorf("kept run with a pipe for %s: %v\n%s", name, err, out)
		}
	}
}

// Contents and folders that are easily forgotten come back as they were.
func TestOddArtifacts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 255)
	deep := strings.Repeat("folder-of-some-length/", 45) + "file"
	for _, c := range []struct{ name, script, check string }{
		{"empty file", ": > out", "test -f out && test ! -s out"},
		{"empty folder", "mkdir out", "test -d out"},
		{"200 files", "mkdir out; for i in $(seq 200); do echo $i > out/$i; done", "test $(cat out/* | sort -n | tail -1) = 200 && test $(ls out | wc -l) = 200"},
		{"link in the folder", "mkdir -p out/deep; echo a > out/a; ln -s ../a out/deep/link", `test "$(readlink out/deep/link)" = ../a && test "$(cat out/deep/link)" = a`},
		{"spaces", "mkdir out; echo a > 'out/a name with  spaces'", "test -f 'out/a name with  spaces'"},
		{"quotes", `mkdir out; echo a > "out/it's"; echo b > 'out/$HOME;x&y'`, `test -f "out/it's" && test -f 'out/$HOME;x&y'`},
		{"unicode", "mkdir out; echo a > out/größe-数-🙂", "test -f out/größe-数-🙂"},
		{"leading dash", "mkdir out; echo a > out/-rf", "test -f out/-rf"},
		{"a name of 255 bytes", "mkdir out; echo a > out/" + long, "test -f out/" + long},
		{"a path of 1000 bytes", "mkdir -p $(dirname out/" + deep + "); echo a > out/" + deep, "test -f out/" + deep},
		{"executable", "mkdir out; echo a > out/a; chmod +x out/a", "test -x out/a"},
		{"hidden", "mkdir out; echo a > out/.hidden", "test -f out/.hidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := oddRepo(t)
			s.write("make.sh", c.script+"\n")
			s.run("kept", "run")
			s.run("sh", "-c", c.check)
			s.run("rm", "-rf", filepath.Join(s.dir, "out"))
			s.run("kept", "restore")
			if out, err := s.try("sh", "-c", c.check); err != nil {
				t.Errorf("after restore: %v\n%s", err, out)
			}
			s.run("kept", "verify")
			if out := s.run("kept", "run"); !strings.Contains(out, "up to date") {
				t.Errorf("a second run says\n%s", out)
			}
			if out := s.run("git", "status", "--porcelain", "-uall"); strings.Contains(out, "out") {
				t.Errorf("Git does not ignore the artifact:\n%s", out)
			}
		})
	}
}

// What some system could not have, or what leads out of the folder, is refused
// by name, and the former artifact is kept.
func TestRefusedArtifacts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, want string }{
		{"absolute link", "mkdir out; ln -s /etc/passwd out/link", `"out/link"`},
		{"link out of the folder", "mkdir out; ln -s ../../secret out/link", `"out/link"`},
		{"link to the folder around", "mkdir -p out/deep; ln -s ../../data/a out/deep/link", `"out/deep/link"`},
		{"the artifact is a link", "ln -s data out", "out"},
		{"line break", "mkdir out; echo a > \"out/a\nb\"", `a\nb`},
		{"names that differ in case", "mkdir out; echo a > out/Name; echo b > out/name", "ame"},
		{"backslash", `mkdir out; echo a > 'out/a\b'`, `a\\b`},
		{"device name", "mkdir out; echo a > out/aux.txt", "aux.txt"},
		{"Git's folder", "mkdir -p out/.git; echo a > out/.git/config", ".git"},
		{"nothing", ":", "did not write its artifact out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := oddRepo(t)
			s.run("kept", "run")
			s.write("make.sh", c.script+"\n")
			s.refused(c.want, "run")
			s.run("rm", "-rf", filepath.Join(s.dir, "out"))
			s.run("kept", "restore")
			if got := s.read("out/a"); got != "a\n" {
				t.Errorf("the former artifact is %q", got)
			}
		})
	}
}

// Arguments are paths, whatever they look like.
func TestOddArguments(t *testing.T) {
	s := oddRepo(t)
	for _, name := range []string{"-rf", "a b", "it's", "größe", "#x", "!x", "$(x)", "a'b;c", ".hidden", strings.Repeat("long", 60)} {
		s.write(name, name)
		s.run("kept", "add", "--", name)
		s.run("rm", "--", name)
		s.run("kept", "restore", "--", name)
		if got := s.read(name); got != name {
			t.Errorf("%q is restored as %q", name, got)
		}
		if out := s.run("git", "-c", "core.quotePath=false", "status", "--porcelain", "-uall"); strings.Contains(out, name) {
			t.Errorf("Git does not ignore %q:\n%s", name, out)
		}
	}
	s.write("a\nb", "x")
	s.refused(`a\nb`, "add", "a\nb")
}

// An input that is written to all the time is never recorded as something that
// it was not.
func TestChangingInput(t *testing.T) {
	s := oddRepo(t)
	s.write("data/a", strings.Repeat("some text\n", 400_000))
	s.write("make.sh", "mkdir out; head -c 10 data/a > out/a\n")
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; ; i++ {
			f, err := os.OpenFile(filepath.Join(s.dir, "data/a"), os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte(fmt.Sprint(i)), int64(i%400)*10_000)
				err = errors.Join(err, f.Close())
			}
			select {
			case <-stop:
				stopped <- err
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	for range 3 {
		s.refused("changed", "run")
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	s.run("kept", "run")
	s.run("kept", "verify")

	s.write("make.sh", "mkdir out; cp data/a out/a; echo more >> data/a\n")
	s.refused("data changed while stage make ran", "run")
}
