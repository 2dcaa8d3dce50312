package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWritePipe writes into named pipes: with a reader that comes a little later,
// with none, and with one that reads nothing.
func TestWritePipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	long := make([]byte, 1<<20)
	got := make(chan int)
	go func() {
		time.Sleep(30 * time.Millisecond)
		data, _ := os.ReadFile(pipe)
		got <- len(data)
	}()
	if err := writeFile(t.Context(), pipe, long); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != len(long) {
		t.Errorf("read %d bytes of %d", n, len(long))
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := writeFile(ctx, pipe, long); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a reader: got %v", err)
	}

	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := writeFile(ctx, pipe, long); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with a reader that reads nothing: got %v", err)
	}
}

// TestWriteDescriptor writes to a file that a name of the system leads to. The
// name stays what it is, also for root.
func TestWriteDescriptor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("before "); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	made, err := prepareFile(name, []byte("after"))
	if err != nil {
		t.Fatal(err)
	}
	if made.temporary != "" {
		t.Fatalf("%s is to be replaced by %s", name, made.temporary)
	}
	if err := made.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); string(got) != "before after" {
		t.Errorf("got %q", got)
	}
	for path, want := range map[string]bool{"/dev/stdout": true, "/dev/fd/3": true, "/dev/shm/a.md": false, "/develop/a.md": false, "a.md": false} {
		if got := ofSystem(path); got != want {
			t.Errorf("ofSystem(%q) = %v", path, got)
		}
	}
}

// TestPlaceHint looks at the disk that is full, which may not be the store's.
func TestPlaceHint(t *testing.T) {
	for want, cause := range map[string]error{"df -h a/b": syscall.ENOSPC, "ls -ld a/b": syscall.EROFS} {
		err := inPlace(&os.PathError{Op: "write", Path: "a/b/.kept-1.tmp", Err: cause}, "a/b/gate.md")
		if got := hint(fmt.Errorf("write the report: %w", err)); got != want {
			t.Errorf("%v: got the hint %q, want %q", err, got, want)
		}
		if got := err.Error(); strings.Contains(got, ".tmp") || !strings.Contains(got, "gate.md") {
			t.Errorf("got %q", got)
		}
	}
}
