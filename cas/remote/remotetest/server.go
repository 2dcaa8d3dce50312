package remotetest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// serve runs a server of others for the time of a test. command makes it listen at a free
// address of loopback, which serve returns when it answers. What it says is in log, and the end of that
// in the output of a test that failed.
func serve(tb testing.TB, log *logBuffer, command func(address string) *exec.Cmd) (address string) {
	tb.Helper()
	for range 5 { // somebody else may take the address first
		address = freeAddress(tb)
		c := command(address)
		c.Stdout, c.Stderr = log, log
		if err := c.Start(); err != nil {
			tb.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = c.Wait(); close(ended) }()
		if answers(address, ended) {
			tb.Cleanup(func() {
				stop(tb, c, ended)
				if tb.Failed() {
					tb.Logf("%s:\n%s", filepath.Base(c.Path), log)
				}
			})
			return address
		}
		_ = c.Process.Kill()
		<-ended
	}
	tb.Fatalf("the server did not start: %s", log)
	return ""
}

// answers waits until something listens, for as long as a program takes to start that has to be
// compiled first.
func answers(address string, ended <-chan struct{}) bool {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			select {
			case <-ended: // it was another one that answered
				return false
			case <-time.After(50 * time.Millisecond):
				return true
			}
		}
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// stop lets a server stop its own processes first.
func stop(tb testing.TB, c *exec.Cmd, ended <-chan struct{}) {
	if err := c.Process.Signal(os.Interrupt); err != nil {
		_ = c.Process.Kill()
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		tb.Logf("%s did not stop", c.Path)
		_ = c.Process.Kill()
		<-ended
	}
}

// freeAddress returns a host and port on this machine that nobody listens to.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// logBuffer keeps what a server says until somebody wants to see the end of it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.buf.Bytes()
	return string(text[max(0, len(text)-4000):])
}

func writeFile(tb testing.TB, path string, text []byte) {
	tb.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// without makes these variables of the environment be not there.
func without(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		tb.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			tb.Fatal(err)
		}
	}
}
