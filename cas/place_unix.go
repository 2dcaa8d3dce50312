//go:build unix

package cas

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const linksBeside = false

// descriptor returns the open folder as the system calls want it.
func (f *folder) descriptor() (int, error) {
	if f.self == nil {
		self, err := f.Open(".")
		if err != nil {
			return -1, err
		}
		f.self = self
	}
	return int(f.self.Fd()), nil
}

// renameInto uses the open folders, not their paths: whoever exchanges a folder
// above for a link meanwhile does not change where the file goes.
func renameInto(from *folder, temp string, to *folder, name string) error {
	source, err := from.descriptor()
	if err != nil {
		return err
	}
	target, err := to.descriptor()
	if err != nil {
		return err
	}
	if err := unix.Renameat(source, temp, target, name); err != nil {
		return &os.LinkError{Op: "rename", Old: temp, New: name, Err: err}
	}
	return nil
}

// rmdirAt removes an empty folder. Root.Remove would take a file as well.
func rmdirAt(dir *folder, name string) error {
	fd, err := dir.descriptor()
	if err != nil {
		return err
	}
	if err := unix.Unlinkat(fd, name, unix.AT_REMOVEDIR); err != nil {
		return &os.PathError{Op: "rmdir", Path: name, Err: err}
	}
	return nil
}

func isCrossDevice(err error) bool { return errors.Is(err, unix.EXDEV) }
