//go:build !linux && !darwin

package workspace

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// dir is an open folder.
type dir struct {
	path    string
	entries []fs.DirEntry
}

func openDir(path string) (*dir, error) {
	entries, err := os.ReadDir(path)
	return &dir{path: path, entries: entries}, err
}

func (d *dir) close() {}

// read takes in the names of the folder.
func (d *dir) read(l *listing) error {
	for _, e := range d.entries {
		k := otherKind
		if e.IsDir() {
			k = folderKind
		}
		l.add([]byte(e.Name()), k)
	}
	return nil
}

// stat describes number i of the listing, which was read from d.
func (d *dir) stat(_ *listing, i int) (stat, error) {
	// Not Info: what a folder of NTFS says of a file may be older than the file.
	info, err := os.Lstat(filepath.Join(d.path, d.entries[i].Name()))
	if err != nil {
		return stat{}, err
	}
	return statOf(info), nil
}

func statOf(info fs.FileInfo) stat {
	return stat{size: info.Size(), mtime: info.ModTime().UnixNano(), mode: info.Mode()}
}

// linksKeep: a link with the stat data of before may have another target.
const linksKeep = false

// readFile reads a file of which before is known into buffer, and returns what
// describes it now.
func readFile(path string, before stat, buffer []byte) ([]byte, stat, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, stat{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, stat{}, err
	}
	if statOf(info) != before {
		return nil, stat{}, ErrChanging
	}
	content := buffer[:before.size]
	switch _, err := io.ReadFull(f, content); err {
	case nil:
	case io.EOF, io.ErrUnexpectedEOF:
		return nil, stat{}, ErrChanging
	default:
		return nil, stat{}, err
	}
	info, err = f.Stat()
	if err != nil {
		return nil, stat{}, err
	}
	return content, statOf(info), nil
}
