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

	"github.com/kept-dev/kept/cas"
)

// BusyError reports that another kept process works on this worktree.
type BusyError struct {
	// Holder says what it does, such as "run train (process 4711)".
	Holder string
	// Command is the process of a command that goes on though the kept that
	// started it was killed, -1 where that kept could not even note its number;
	// 0 where kept itself is at work.
	Command int
	// Inside is set where the process that asks is part of a run itself.
	Inside bool
}

func (e *BusyError) Error() string {
	switch {
	case e.Command > 0:
		return fmt.Sprintf("the command of %s goes on as process %d, though its kept was killed", e.Holder, e.Command)
	case e.Command < 0:
		return fmt.Sprintf("the command of %s goes on, though its kept was killed", e.Holder)
	}
	text := "another kept is at work here: " + e.Holder
	if e.Inside {
		text += "; what a command wants kept to run is a stage of its own"
	}
	return text
}

// Running reports whether the other process is a run, which may take hours.
func (e *BusyError) Running() bool { return strings.HasPrefix(e.Holder, "run ") }

const (
	// busyWait is how long a short operation waits for another short one.
	busyWait = 30 * time.Second
	// busySure is how long the holder has to be a run before it is believed: the
	// file may still name the run before, until who has the lock has written.
	busySure = 50 * time.Millisecond
)

// hold takes the worktree's lock for what the holder does and returns the
// function that gives it back. The lock is the kernel's, so it is gone with the
// process. It waits for short operations and gives up on runs with *BusyError.
func (r *Repository) hold(ctx context.Context, what string) (release func(), err error) {
	if r.unshared != nil && what != "restore" {
		return nil, r.unshared
	}
	file := r.Local.Busy()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(file, flock.SetPermissions(0o600))
	if err := waitFor(ctx, lock); err != nil {
		return nil, err
	}
	if busy := r.strayCommand(); busy != nil {
		return nil, errors.Join(busy, lock.Unlock())
	}
	holder := fmt.Sprintf("%s (process %d)", what, os.Getpid())
	if err := os.WriteFile(file, []byte(holder), 0o600); err != nil && !cas.IsReadOnly(err) {
		return nil, errors.Join(err, lock.Unlock())
	}
	// The file stays: removing it would let two processes lock two files of one name.
	return func() {
		_ = os.Truncate(file, 0) // Else the next waiter would take us for the holder.
		_ = lock.Unlock()
	}, nil
}

// waitFor takes the lock as soon as it is free.
func waitFor(ctx context.Context, lock *flock.Flock) error {
	deadline := time.Now().Add(busyWait)
	var last string
	var since time.Time
	for {
		ok, err := lock.TryLock()
		if err != nil {
			return fmt.Errorf("lock %q: %w", lock.Path(), err)
		}
		if ok {
			return nil
		}
		now := time.Now()
		busy := &BusyError{Holder: readHolder(lock.Path()), Inside: os.Getenv("KEPT_RUN") != ""}
		if busy.Holder != last {
			last, since = busy.Holder, now
		}
		if busy.Running() && now.Sub(since) >= busySure || now.After(deadline) {
			return busy
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func readHolder(file string) string {
	data, err := os.ReadFile(file)
	if err != nil || len(data) == 0 {
		return "a process that did not say what it does"
	}
	return string(data)
}
