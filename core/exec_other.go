//go:build !unix

package core

import (
	"os"
	"os/exec"
)

func shell(command string) *exec.Cmd { return exec.Command("cmd", "/C", command) }

func signalOf(*os.ProcessState) string { return "" }

func ownGroup(*exec.Cmd) {}

func signalGroup(leader *os.Process, sig os.Signal) error { return leader.Signal(sig) }
