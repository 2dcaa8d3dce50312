package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// BusyError reports that another kept process works on this worktree.
type BusyError struct {
	// Holder says what it does, such as "run train (process 4711)".
	Holder string
}

func (e *BusyError) Error() string { return "another kept is at work here: " + e.Holder }

// Running reports whether the other process is a run, which may take hours.
func (e *BusyError) Running() bool { return strings.HasPrefix(e.Holder, "run ") }

// busyWait is how long a short operation waits for another short one.
const busyWait = 30 * time.Second

// hold takes the worktree's lock for what the holder does and returns the
// function that gives it back. The lock is the kernel's, so it is gone with the
// process. It waits for short operations and gives up on runs with *BusyError.
func (r *Repository) hold(ctx context.Context, what string) (release func(), err error) {
	file := r.Local.Busy()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(file, flock.SetPermissions(0o600))
	deadline := time.Now().Add(busyWait)
	for {
		ok, err := lock.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock %q: %w", file, err)
		}
		if ok {
			break
		}
		busy := &BusyError{Holder: readHolder(file)}
		if busy.Running() || time.Now().After(deadline) {
			return nil, busy
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	holder := fmt.Sprintf("%s (process %d)", what, os.Getpid())
	if err := os.WriteFile(file, []byte(holder), 0o600); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	// The file stays: removing it would let two processes lock two files of one name.
	return func() { _ = lock.Unlock() }, nil
}

func readHolder(file string) string {
	data, err := os.ReadFile(file)
	if err != nil || len(data) == 0 {
		return "a process that did not say what it does"
	}
	return string(data)
}
