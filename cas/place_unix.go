//go:build unix

package cas

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const linksBeside = false

// renameInto uses the open folder, not its path: whoever exchanges a folder
// above for a link meanwhile does not change where the file goes.
func renameInto(temp string, dir *os.Root, name string) error {
	return withDir(dir, func(fd int) error {
		if err := unix.Renameat(unix.AT_FDCWD, temp, fd, name); err != nil {
			return &os.LinkError{Op: "rename", Old: temp, New: name, Err: err}
		}
		return nil
	})
}

// rmdirAt removes an empty folder. Root.Remove would take a file as well.
func rmdirAt(dir *os.Root, name string) error {
	return withDir(dir, func(fd int) error {
		if err := unix.Unlinkat(fd, name, unix.AT_REMOVEDIR); err != nil {
			return &os.PathError{Op: "rmdir", Path: name, Err: err}
		}
		return nil
	})
}

func withDir(dir *os.Root, fn func(fd int) error) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return fn(int(f.Fd()))
}

func isCrossDevice(err error) bool { return errors.Is(err, unix.EXDEV) }
