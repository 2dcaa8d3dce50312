//go:build unix

package core

import (
	"os"
	"os/exec"
	"syscall"
)

func shell(command string) *exec.Cmd { return exec.Command("/bin/sh", "-c", command) }

// ownGroup makes the command the leader of a process group.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalGroup sends a signal to the process group that leader leads.
func signalGroup(leader *os.Process, sig os.Signal) error {
	return syscall.Kill(-leader.Pid, sig.(syscall.Signal))
}

// signalOf names the signal that ended the process, if one did.
func signalOf(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal().String()
	}
	return ""
}
