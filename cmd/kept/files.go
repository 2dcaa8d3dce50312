package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// newFile is a file that the user named, beside its place, to be renamed into it.
type newFile struct {
	target, temporary string
	// data is for a target that is no file, such as a pipe: nothing can take its place.
	data []byte
}

func prepareFile(path string, data []byte) (*newFile, error) {
	// A pipe or a device is written to. A link to a file is replaced and not
	// followed: it may have come with the repository.
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, errors.New("it is a folder")
	case err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		return &newFile{target: path, data: data}, nil
	case err == nil && !info.Mode().IsRegular():
		return nil, errors.New("it is no file")
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".kept-*.tmp")
	if err != nil {
		return nil, err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(file.Name()))
	}
	return &newFile{target: path, temporary: file.Name()}, nil
}

func (f *newFile) publish() error {
	if f.temporary != "" {
		if err := os.Rename(f.temporary, f.target); err != nil {
			return errors.Join(err, os.Remove(f.temporary))
		}
		return nil
	}
	file, err := os.OpenFile(f.target, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(f.data)
	return errors.Join(err, file.Close())
}

// writeFile puts data at path, all or nothing.
func writeFile(path string, data []byte) error {
	f, err := prepareFile(path, data)
	if err != nil {
		return err
	}
	return f.publish()
}

// discard removes what was prepared.
func discard(files []*newFile) []error {
	var failed []error
	for _, f := range files {
		if f.temporary != "" {
			failed = append(failed, os.Remove(f.temporary))
		}
	}
	return failed
}
