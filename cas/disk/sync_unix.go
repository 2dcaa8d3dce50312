//go:build unix

package disk

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// syncDir makes the names in a folder durable. A file's own fsync does not:
// after a power cut the file may be safe and its name gone.
func syncDir(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err // those two: a file system that has nothing to sync for a folder
	}
	return nil
}

func publishNamed(t *namedTemp, name string) error {
	if err := t.Chmod(objectPerm); err != nil {
		return err
	}
	switch err := os.Link(t.Name(), name); {
	case err == nil:
		os.Remove(t.Name())
	case errors.Is(err, fs.ErrExist):
		return err
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EMLINK):
		// FAT and some network file systems have no hard links.
		if err := renameNew(t.Name(), name); err != nil {
			return err
		}
	default:
		return err
	}
	share(name, objectPerm)
	t.File.Close() // it was synced: nothing is left that could fail
	return nil
}

// IsFull reports whether err says that there was no room for a write:
// the disk is full, a quota is used up, or a limit on file sizes was reached.
// Trying again does not help before somebody made room.
func IsFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// IsReadOnly reports whether err says that a folder cannot be written: the
// file system is read-only or the permissions do not allow it.
func IsReadOnly(err error) bool {
	return errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission)
}
