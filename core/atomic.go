package core

import (
	"errors"
	"os"
	"path/filepath"
)

// writeAtomic puts data at path, all or nothing, and makes it durable. The
// temporary file is made in tmp, which should be on the same file system; where
// it is not, beside the target.
func writeAtomic(path, tmp string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	err := writeVia(path, tmp, data, mode)
	if isCrossDevice(err) {
		err = writeVia(path, filepath.Dir(path), data, mode)
	}
	return err
}

func writeVia(path, dir string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(dir, ".kept-*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}
