//go:build unix

package core

import (
	"errors"
	"os"
	"syscall"
)

func isCrossDevice(err error) bool { return errors.Is(err, syscall.EXDEV) }

// syncDir makes a rename in dir survive a power cut: the file's own fsync does
// not cover its name.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
