//go:build unix

package environment

import (
	"os/exec"
	"syscall"
	"time"
)

// endWithChildren makes a cancelled command end together with the programs it
// started: a runner would leave its interpreter behind.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
}
