package remotetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"
)

// startEmulator starts a program that says on which address it listens, which says matches,
// and stops it in the end. It returns what the first group of says matched.
func startEmulator(tb testing.TB, says *regexp.Regexp, program string, args ...string) string {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	said := &emulatorLog{says: says, found: make(chan string, 1)}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1")
	if err := cmd.Start(); err != nil {
		stop()
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed in the end, which is an error too
		close(ended)
	}()
	tb.Cleanup(func() {
		stop()
		<-ended
		if tb.Failed() {
			tb.Logf("%s:\n%s", program, said.last())
		}
	})
	select {
	case address := <-said.found:
		return address
	case <-ended:
		tb.Fatalf("%s ended at once:\n%s", program, said.last())
	case <-time.After(2 * time.Minute):
		tb.Fatalf("%s does not listen:\n%s", program, said.last())
	}
	return ""
}

// emulatorLog keeps what a program says, and looks in it for an address.
type emulatorLog struct {
	says  *regexp.Regexp
	found chan string

	mu   sync.Mutex
	text bytes.Buffer
	done bool
}

// Write implements io.Writer.
func (l *emulatorLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.text.Write(p)
	if match := l.says.FindSubmatch(l.text.Bytes()); match != nil && !l.done {
		l.done = true
		l.found <- string(match[1])
	}
	return n, err
}

// last returns the end of the log.
func (l *emulatorLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.Bytes()
	return string(text[max(0, len(text)-10_000):])
}

var _ io.Writer = (*emulatorLog)(nil)

// without makes these variables of the environment be not there.
func without(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		tb.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			tb.Fatal(fmt.Errorf("unset %s: %w", name, err))
		}
	}
}
