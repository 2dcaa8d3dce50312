package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// interrupted is a repository and a clone of it, with an S3 server behind a proxy between them.
type interrupted struct {
	*sandbox
	clone *sandbox
	proxy *remotetest.Proxy
	files []string
}

func newInterrupted(t *testing.T) *interrupted {
	address, bucket := remotetest.StartS3At(t)
	i := &interrupted{proxy: remotetest.NewProxy(t, "http://"+address, 1)}
	s := newSandbox(t)
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "AWS_") {
			s.env = append(s.env, kv)
		}
	}
	i.sandbox, i.clone = s.in("ada"), s.in("ben")
	i.write(".keep", "")
	i.run("git", "init", "-q")
	i.run("kept", "init")
	rng := rand.NewChaCha8([32]byte{7})
	for n := range 3 {
		content := make([]byte, 17<<20) // each a pack of its own
		_, _ = rng.Read(content)
		name := fmt.Sprintf("data%d.bin", n)
		i.files = append(i.files, name)
		i.write(name, string(content))
		i.run("kept", "add", name)
	}
	i.run("git", "add", "-A")
	i.run("git", "commit", "-q", "-m", "one", "--no-verify")
	s.run("git", "clone", "-q", "--bare", "ada", "hub.git")
	s.run("git", "clone", "-q", "hub.git", "ben")
	i.clone.run("kept", "init")
	for _, one := range []*sandbox{i.sandbox, i.clone} {
		one.run("kept", "remote", "add", "--local", "default", bucket+"/x", "-o", "endpoint=http://"+i.proxy.Addr())
	}
	return i
}

// stall has the nth request that match is about stand still, and interrupts kept there.
func (i *interrupted) stall(s *sandbox, kind remotetest.Kind, nth int, match func(*http.Request) bool, args ...string) string {
	i.t.Helper()
	reached := make(chan struct{})
	var once sync.Once
	seen := 0
	i.proxy.Set(remotetest.Trouble{Kind: kind, Nth: nth, Times: -1, At: 1000, Match: func(r *http.Request) bool {
		if !match(r) {
			return false
		}
		if seen++; seen >= nth { // the proxy asks one at a time
			once.Do(func() { close(reached) })
		}
		return true
	}})
	defer i.proxy.Set()
	cmd, wait := s.start(args...)
	select {
	case <-reached:
	case <-time.After(time.Minute):
		i.t.Error("it never came so far")
	}
	time.Sleep(100 * time.Millisecond) // some bytes more
	start := time.Now()
	_ = cmd.Process.Signal(os.Interrupt)
	out, err := wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		i.t.Errorf("kept %v: exit code %d (%v), want %d\n%s", args, code, err, exitInterrupted, out)
	}
	if took := time.Since(start); took > 20*time.Second {
		i.t.Errorf("kept %v ended %s after the interrupt", args, took)
	}
	if out != "error: interrupted\n" {
		i.t.Errorf("kept %v says:\n%s", args, out)
	}
	return out
}

func isPack(method string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.Path, "/packs/") }
}

// TestInterruptedTransfers sends SIGINT in the middle of a push and of a pull, and repeats them.
func TestInterruptedTransfers(t *testing.T) {
	i := newInterrupted(t)
	i.stall(i.sandbox, remotetest.StallRequest, 2, isPack(http.MethodPut), "push", "--jobs", "1")
	if files, _ := filepath.Glob(filepath.Join(i.dir, ".git/kept/remotes/*/pushed")); len(files) != 0 {
		t.Errorf("something is remembered as pushed: %s", i.remembered())
	}
	out := i.run("kept", "push", "--json")
	if !strings.Contains(out, `"objects": 3`) {
		t.Errorf("the push again: %s", out)
	}
	if out := i.run("kept", "push"); out != "default has it all: 3 objects\n" {
		t.Errorf("a third push: %s", out)
	}

	before := i.clone.leaves()
	i.stall(i.clone, remotetest.StallResponse, 4, isPack(http.MethodGet), "pull", "--jobs", "2")
	i.stall(i.clone, remotetest.Stall, 5, isPack(http.MethodGet), "fetch")
	if now := i.clone.leaves(); now != before {
		t.Errorf("the clone has\n%s\nand had\n%s", now, before)
	}
	i.clone.run("kept", "pull")
	i.same()
	i.clone.run("kept", "fsck", "--full")
}

// TestInterruptedPull sends SIGINT at random instants: a file is there as a whole, or not at all.
func TestInterruptedPull(t *testing.T) {
	i := newInterrupted(t)
	i.run("kept", "push")
	start := time.Now()
	i.clone.run("kept", "pull")
	took := time.Since(start)
	for round := range 8 {
		if err := os.RemoveAll(filepath.Join(i.clone.dir, ".git/kept/store")); err != nil {
			t.Fatal(err)
		}
		for _, name := range i.files {
			_ = os.Remove(filepath.Join(i.clone.dir, name))
		}
		before := i.clone.leaves()
		cmd, wait := i.clone.start("pull")
		time.Sleep(took * time.Duration(round+1) / 8)
		_ = cmd.Process.Signal(syscall.SIGINT)
		out, err := wait()
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted && code != exitOK && code != -1 {
			t.Errorf("round %d: %v\n%s", round, err, out)
		}
		for _, name := range i.files {
			got, err := os.ReadFile(filepath.Join(i.clone.dir, name))
			if err == nil && !bytes.Equal(got, []byte(i.read(name))) {
				t.Errorf("round %d: %s has %d bytes, and others", round, name, len(got))
			}
			_ = os.Remove(filepath.Join(i.clone.dir, name))
		}
		if now := i.clone.leaves(); now != before {
			t.Errorf("round %d: the clone has\n%s\nand had\n%s", round, now, before)
		}
		i.clone.run("kept", "pull")
		i.same()
	}
}

// leaves lists the working tree.
func (s *sandbox) leaves() string {
	s.t.Helper()
	cmd := exec.Command("find", ".", "-path", "./.git", "-prune", "-o", "-print")
	cmd.Dir = s.dir
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

// same compares the files of the clone.
func (i *interrupted) same() {
	i.t.Helper()
	for _, name := range i.files {
		if i.clone.read(name) != i.read(name) {
			i.t.Errorf("%s of the clone has other bytes", name)
		}
	}
}
