package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The tracer runs a program and fails one of its system calls that change a disk:
//
//	KEPT_TEST_TRACE="DIR;RULE;OUT" kept-tracer PROGRAM [ARGUMENT...]
//
// Unlike a seam in the program it reaches all of them, in the program as it is
// released. Calls count when they change something in DIR or below; those of
// processes that the program starts do not. RULE is "once N", "forever N" or
// "kill N". What the Nth call was is written to the file OUT, which stays empty
// when there were fewer.
const traceVariable = "KEPT_TEST_TRACE"

func traceMain() int {
	// Only the thread that started a process may trace it.
	runtime.LockOSThread()
	f := strings.Split(os.Getenv(traceVariable), ";")
	kind, number, _ := strings.Cut(f[1], " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	t := &tracer{dir: f[0], kind: kind, n: n, out: f[2], inside: map[int]*tracedCall{}}
	code, err := t.run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "trace: ", err)
		return 99
	}
	return code
}

type tracer struct {
	dir, kind, out string
	n, count       int
	// inside are threads that are in a system call.
	inside map[int]*tracedCall
}

// tracedCall is a system call that was entered; errno is what it is to fail with.
type tracedCall struct{ errno unix.Errno }

func (t *tracer) run(args []string) (int, error) {
	cmd := exec.Command(args[0], args[1:]...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, traceVariable+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || !status.Stopped() {
		return 0, fmt.Errorf("start: %v, %w", status, err)
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := errors.Join(unix.PtraceSetOptions(pid, options), unix.PtraceSyscall(pid, 0)); err != nil {
		return 0, err
	}
	for {
		tid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case tid == pid && status.Exited():
			return status.ExitStatus(), nil
		case tid == pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case !status.Stopped():
			continue // a thread has ended
		}
		signal := 0
		switch stop := status.StopSignal(); {
		case stop == unix.SIGTRAP|0x80:
			if t.call(tid) {
				_ = unix.Kill(pid, unix.SIGKILL)
				continue
			}
		case stop == unix.SIGTRAP, stop == unix.SIGSTOP: // a new thread
		default:
			signal = int(stop)
		}
		_ = unix.PtraceSyscall(tid, signal) // it may be gone
	}
}

// call looks at a thread that enters or leaves a system call, and reports whether
// to kill its process.
func (t *tracer) call(tid int) (kill bool) {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) != nil {
		return false
	}
	if c := t.inside[tid]; c != nil {
		delete(t.inside, tid)
		if c.errno != 0 {
			regs.Rax = uint64(-int64(c.errno))
			_ = unix.PtraceSetRegs(tid, &regs)
		}
		return false
	}
	c := &tracedCall{}
	t.inside[tid] = c
	name, errno := t.changes(tid, &regs)
	if name == "" {
		return false
	}
	t.count++
	if t.count < t.n || t.count > t.n && t.kind != "forever" {
		return false
	}
	if t.count == t.n {
		_ = os.WriteFile(t.out, fmt.Appendf(nil, "%s %d: %s", t.kind, t.n, name), 0o600)
	}
	if t.kind == "kill" {
		return true
	}
	if t.n%2 == 0 && errno == unix.ENOSPC {
		errno = unix.EIO
	}
	c.errno = errno
	regs.Orig_rax = ^uint64(0) // no call at all
	_ = unix.PtraceSetRegs(tid, &regs)
	return false
}

// changes returns the name of a system call that changes something in the folder,
// and what it fails with.
func (t *tracer) changes(tid int, r *unix.PtraceRegs) (name string, errno unix.Errno) {
	at := func(call string, arg uint64, errno unix.Errno) (string, unix.Errno) {
		path := t.text(tid, arg)
		if path == "" || filepath.IsAbs(path) && !strings.HasPrefix(path, t.dir) || strings.HasPrefix(path, "/dev/") {
			return "", 0
		}
		return call + " " + path, errno
	}
	fd := func(call string, arg uint64, errno unix.Errno) (string, unix.Errno) {
		path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, int32(arg)))
		if err != nil || !strings.HasPrefix(path, t.dir) {
			return "", 0
		}
		return call + " " + path, errno
	}
	switch r.Orig_rax {
	case unix.SYS_WRITE:
		return fd("write", r.Rdi, unix.ENOSPC)
	case unix.SYS_PWRITE64:
		return fd("pwrite", r.Rdi, unix.ENOSPC)
	case unix.SYS_COPY_FILE_RANGE:
		return fd("copy_file_range", r.Rdx, unix.ENOSPC)
	case unix.SYS_FTRUNCATE:
		return fd("ftruncate", r.Rdi, unix.ENOSPC)
	case unix.SYS_FSYNC:
		return fd("fsync", r.Rdi, unix.EIO)
	case unix.SYS_FCHMOD:
		return fd("fchmod", r.Rdi, unix.EIO)
	case unix.SYS_OPENAT:
		if r.Rdx&(unix.O_CREAT|unix.O_TMPFILE&^unix.O_DIRECTORY) == 0 {
			return "", 0
		}
		return at("create", r.Rsi, unix.ENOSPC)
	case unix.SYS_MKDIRAT:
		return at("mkdir", r.Rsi, unix.ENOSPC)
	case unix.SYS_UNLINKAT:
		return at("unlink", r.Rsi, unix.EIO)
	case unix.SYS_SYMLINKAT:
		return at("symlink", r.Rdx, unix.ENOSPC)
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return at("rename", r.R10, unix.EIO)
	case unix.SYS_LINKAT:
		return at("link", r.R10, unix.ENOSPC)
	case unix.SYS_UTIMENSAT:
		return at("utimens", r.Rsi, unix.EIO)
	}
	return "", 0
}

// text reads a path in the memory of a thread.
func (t *tracer) text(tid int, at uint64) string {
	b := make([]byte, 4096)
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return ""
	}
	defer f.Close()
	n, _ := f.ReadAt(b, int64(at))
	text, _, _ := strings.Cut(string(b[:n]), "\x00")
	return text
}
