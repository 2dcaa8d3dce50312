package cas

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Parents makes the folders above path that are missing. What is at path itself
// does not matter.
func (p *Placer) Parents(path string) error {
	err := p.inParent(path, true, func(*os.Root, string) error { return nil })
	if err != nil {
		return fmt.Errorf("make the folders of %q: %w", path, err)
	}
	return nil
}

// Folder makes sure that path is a folder, and makes those above it. A file or
// link at path is an *UnsafeError.
func (p *Placer) Folder(path string) error {
	err := p.inParent(path, true, func(dir *os.Root, name string) error {
		sub, err := p.enter(dir, name, true, path, path)
		if err != nil {
			return err
		}
		return sub.Close()
	})
	if err != nil {
		return fmt.Errorf("make folder %q: %w", path, err)
	}
	return nil
}

// RemoveEmpty removes the folder at path and the folders in it as far as they
// hold nothing but folders, and then those above it that have become empty.
// Nothing at path is fine; a folder that still holds a file stays.
func (p *Placer) RemoveEmpty(path string) error {
	err := p.inParent(path, false, func(dir *os.Root, name string) error {
		info, err := dir.Lstat(name)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return &UnsafeError{Path: path, At: path, Reason: describe(info)}
		}
		sub, err := p.enter(dir, name, false, path, path)
		if err != nil {
			return err
		}
		err = errors.Join(p.removeEmptyIn(sub, path), sub.Close())
		if err == nil {
			err = p.ops.rmdir(dir, name)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove folder %q: %w", path, err)
	}
	for strings.Contains(path, "/") {
		path = path[:strings.LastIndexByte(path, '/')]
		if p.inParent(path, false, p.ops.rmdir) != nil {
			break // a folder that is not empty
		}
	}
	return nil
}

func (p *Placer) removeEmptyIn(dir *os.Root, path string) error {
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		at := path + "/" + e.Name()
		sub, err := p.enter(dir, e.Name(), false, path, at)
		if err != nil {
			return err
		}
		if err := errors.Join(p.removeEmptyIn(sub, at), sub.Close()); err != nil {
			return err
		}
		_ = p.ops.rmdir(dir, e.Name()) // Not empty: a file in it stays, and so does it.
	}
	return nil
}
