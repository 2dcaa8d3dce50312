//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package core

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// guard is a lock that a command shares with the kept that started it. A kept
// that is killed leaves its command running, which will write artifacts at some
// time: a second run beside it would take them for its own. An flock belongs to
// the open file, which children inherit, so it lasts until the last of them
// ends, unless kept, alive at the command's end, takes it back: a process that
// the command left behind on purpose holds up nobody.
type guard struct{ file *os.File }

// inheritedFrom is the least number that the lock's file has in the command,
// out of the way of those that shells and make use.
const inheritedFrom = 100

// guardCommand takes the lock for a command that is about to start. The caller
// holds the worktree, so nobody else has it.
func (r *Repository) guardCommand(what string) (*guard, error) {
	f, err := os.OpenFile(r.Local.Command(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = errors.Join(f.Truncate(0), writeOnly(f, what+"\n"))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %q: %w", f.Name(), err), f.Close())
	}
	return &guard{file: f}, nil
}

func writeOnly(f *os.File, text string) error {
	_, err := f.WriteString(text)
	return err
}

// start starts the command with the lock in its hands.
func (g *guard) start(cmd *exec.Cmd) error {
	// Unlike all files that Go opens, a duplicate made so outlives exec. Where
	// there is no number left for it, the command runs without.
	if fd, err := unix.FcntlInt(g.file.Fd(), unix.F_DUPFD, inheritedFrom); err == nil {
		defer unix.Close(fd)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = writeOnly(g.file, strconv.Itoa(cmd.Process.Pid)) // For the message of strayCommand.
	return nil
}

// release takes the lock back, also from processes that still have the file.
func (g *guard) release() {
	_ = unix.Flock(int(g.file.Fd()), unix.LOCK_UN)
	g.file.Close()
}

// strayCommand returns what there is to say of a command that has outlived its
// kept, or nil. The caller holds the worktree.
func (r *Repository) strayCommand() *BusyError {
	f, err := os.Open(r.Local.Command())
	if err != nil {
		return nil
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	what, process, _ := strings.Cut(readHolder(f.Name()), "\n")
	pid, err := strconv.Atoi(process)
	if err != nil {
		pid = -1
	}
	return &BusyError{Holder: what, Command: pid}
}
