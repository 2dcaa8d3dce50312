//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package core

import "os/exec"

// guard does nothing: a lock can't be handed to a child process here.
type guard struct{}

func (r *Repository) guardCommand(string) (*guard, error) { return nil, nil }

func (*guard) start(cmd *exec.Cmd) error { return cmd.Start() }

func (*guard) release() {}

func (*Repository) strayCommand() *BusyError { return nil }
