//go:build !unix

package git

import "os/exec"

// ownGroup does nothing: a console interrupts all that runs in it.
func ownGroup(*exec.Cmd) {}
