//go:build unix

package cas

import (
	"errors"
	"io/fs"
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

// createIn makes a file. Root.OpenFile would do, but for five system calls to
// find out that nobody can wait for a file.
func createIn(dir *folder, name string, perm fs.FileMode) (*os.File, error) {
	at, err := dir.descriptor()
	if err != nil {
		return nil, err
	}
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	for {
		fd, err := unix.Openat(at, name, flags, uint32(perm.Perm()))
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), name), nil
		case unix.EINTR: // a network file system and a signal
		default:
			return nil, &os.PathError{Op: "create", Path: name, Err: err}
		}
	}
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
