//go:build !unix

package environment

import (
	"os/exec"
	"time"
)

// endWithChildren bounds the wait for programs that a cancelled command started.
func endWithChildren(cmd *exec.Cmd) { cmd.WaitDelay = time.Second }
