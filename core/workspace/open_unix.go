//go:build unix

package workspace

import (
	"os"
	"syscall"
)

// openRegular opens a file for reading without waiting for the other end of a
// pipe and without following a link that took the file's place since its lstat.
func openRegular(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
}
