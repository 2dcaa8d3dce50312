package cas

import (
	"errors"
	"fmt"
	"io/fs"
)

// Parents makes the folders above path that are missing. What is at path itself
// does not matter.
func (p *Placer) Parents(path string) error {
	err := p.once(func(s *Session) error {
		return s.inParent(path, true, func(*folder, string) error { return nil })
	})
	if err != nil {
		return fmt.Errorf("make the folders of %q: %w", path, err)
	}
	return nil
}

// Folder makes sure that path is a folder, and makes those above it. A file or
// link at path is an *UnsafeError.
func (p *Placer) Folder(path string) error {
	err := CheckPath(path)
	if err == nil {
		err = p.once(func(s *Session) error {
			_, err := s.folders.get(path, true, path)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("make folder %q: %w", path, err)
	}
	return nil
}

// RemoveEmpty removes the folder at path and the folders in it as far as they
// hold nothing but folders, and then those above it that have become empty.
// Nothing at path is fine; a folder that still holds a file stays.
func (p *Placer) RemoveEmpty(path string) error {
	err := p.once(func(s *Session) error {
		return s.inParent(path, false, func(dir *folder, name string) error {
			info, err := dir.Lstat(name)
			if err != nil {
				return err
			}
			if !info.IsDir() {
				return &UnsafeError{Path: path, At: path, Reason: describe(info)}
			}
			if err := p.removeEmpty(dir, name, path, path); err != nil {
				return err
			}
			s.emptied = map[string]bool{dir.path: true}
			return nil
		})
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove folder %q: %w", path, err)
	}
	return nil
}

// removeEmpty removes the folder name in dir, which is at, and those in it as
// far as they are empty. An error says that it stayed.
func (p *Placer) removeEmpty(dir *folder, name, path, at string) error {
	sub, err := p.enter(dir, name, false, path, at)
	if err != nil {
		return err
	}
	err = p.removeEmptyIn(sub, path)
	if err = errors.Join(err, sub.Close()); err != nil {
		return err
	}
	return p.ops.rmdir(dir, name)
}

func (p *Placer) removeEmptyIn(dir *folder, path string) error {
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		err := p.removeEmpty(dir, e.Name(), path, dir.path+"/"+e.Name())
		var unsafe *UnsafeError
		if errors.As(err, &unsafe) {
			return err
		}
		// Else it is not empty: a file in it stays, and so does it.
	}
	return nil
}
