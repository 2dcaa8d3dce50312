//go:build !unix

package core

import (
	"os"
	"os/exec"
)

func shell(command string) *exec.Cmd { return exec.Command("cmd", "/C", command) }

func signalOf(*os.ProcessState) string { return "" }
