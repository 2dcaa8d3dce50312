package cas

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// linksBeside: Windows has links to files and links to folders, and os decides
// by what the target is from where the link is made.
const linksBeside = true

func createIn(dir *folder, name string, perm fs.FileMode) (*os.File, error) {
	return dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

func renameInto(from *folder, temp string, to *folder, name string) error {
	return os.Rename(filepath.Join(from.Name(), temp), filepath.Join(to.Name(), name))
}

// rmdirAt removes an empty folder.
func rmdirAt(dir *folder, name string) error {
	info, err := dir.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &os.PathError{Op: "rmdir", Path: name, Err: windows.ERROR_DIRECTORY}
	}
	return dir.Remove(name)
}

func isCrossDevice(err error) bool { return errors.Is(err, windows.ERROR_NOT_SAME_DEVICE) }
