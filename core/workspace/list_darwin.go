package workspace

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// read takes in the names of the folder.
func (d *dir) read(l *listing) error {
	fd, err := unix.Dup(d.fd)
	if err != nil {
		return &fs.PathError{Op: "dup", Path: d.path, Err: err}
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		k := otherKind
		if e.IsDir() {
			k = folderKind
		}
		l.add([]byte(e.Name()), k)
	}
	return nil
}
