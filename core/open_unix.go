//go:build unix

package core

import (
	"os"
	"syscall"
)

// openNow opens a file for reading without waiting for the other end of a pipe.
func openNow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}
