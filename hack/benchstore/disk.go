package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile writes a file and makes the folders above it.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o666)
}

// removeAll removes name, also the folders that git-annex makes read-only.
func removeAll(name string) error {
	if err := os.RemoveAll(name); err == nil {
		return nil
	}
	err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(name)
}

// eachFile calls do for every regular file at or below name, in order.
func eachFile(name string, do func(path string, d fs.DirEntry) error) error {
	return filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		return do(path, d)
	})
}

// stored returns the bytes of the files at or below name.
func stored(name string) (size int64, err error) {
	err = eachFile(name, func(_ string, d fs.DirEntry) error {
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// warm reads everything at or below name, so that it is in memory.
func warm(name string) error {
	buffer := make([]byte, 1<<20)
	return eachFile(name, func(path string, _ fs.DirEntry) error {
		return readInto(io.Discard, path, buffer)
	})
}

// fingerprint is the same for two files, or two folders, with the same regular
// files of the same content. A symbolic link at name is not followed: its bytes
// are somewhere else.
func fingerprint(name string) (string, error) {
	h := sha256.New()
	buffer := make([]byte, 1<<20)
	err := eachFile(name, func(path string, d fs.DirEntry) error {
		below, err := filepath.Rel(name, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %d\n", below, info.Size())
		return readInto(h, path, buffer)
	})
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

func readInto(w io.Writer, path string, buffer []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	// Only Read, so that the buffer is used and memory stays small.
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, buffer)
	return err
}
