//go:build unix

package git

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the command the leader of a process group, all of which is
// interrupted when the command's context ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}
