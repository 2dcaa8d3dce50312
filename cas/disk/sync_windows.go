package disk

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// syncDir does nothing: Windows has no way to sync a folder, NTFS journals names.
func syncDir(string) error { return nil }

// publishNamed renames, because Windows keeps the read-only attribute in the
// file: with two links to it, removing the temporary one would clear the other's.
func publishNamed(t *namedTemp, name string) error {
	if _, err := os.Lstat(name); err == nil {
		return &os.LinkError{Op: "rename", Old: t.Name(), New: name, Err: fs.ErrExist}
	}
	t.File.Close() // an open file cannot be renamed; it was synced, so nothing can fail
	if err := renameNew(t.Name(), name); err != nil {
		return err
	}
	os.Chmod(name, objectPerm) // a courtesy: reads are verified
	return nil
}

// IsFull reports whether err says that there was no room for a write.
// Trying again does not help before somebody made room.
func IsFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED) || errors.Is(err, windows.ERROR_FILE_TOO_LARGE) ||
		errors.Is(err, syscall.ENOSPC) // what Go's own packages use where there is no system call

}

// IsReadOnly reports whether err says that a folder cannot be written: the
// volume is write-protected or the permissions do not allow it.
func IsReadOnly(err error) bool {
	return errors.Is(err, windows.ERROR_WRITE_PROTECT) || errors.Is(err, fs.ErrPermission)
}
