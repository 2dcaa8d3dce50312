package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/kept-dev/kept/cas/remote"
)

// Get implements remote.Remote.
func (f *folder) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	root, _, err := f.look(ctx, name)
	if err != nil {
		return nil, f.fail("get", name, err)
	}
	defer root.Close()
	file, err := root.Open(name)
	if err != nil {
		return nil, f.fail("get", name, err)
	}
	if err := seek(file, offset, length); err != nil {
		return nil, f.fail("get", name, cmp.Or(err, file.Close()))
	}
	return remote.Body(ctx, file, length, func(err error) error { return f.fail("get", name, err) }), nil
}

func seek(file *os.File, offset, length int64) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	all := offset == 0 && length < 0
	switch {
	case !info.Mode().IsRegular():
		return fs.ErrNotExist // it was replaced since look
	case offset < 0 || offset > size || offset == size && length != 0 && !all:
		return fmt.Errorf("offset %d in a file of %d bytes", offset, size)
	}
	_, err = file.Seek(offset, io.SeekStart)
	return err
}

// Stat implements remote.Remote.
func (f *folder) Stat(ctx context.Context, name string) (int64, error) {
	root, info, err := f.look(ctx, name)
	if err != nil {
		return 0, f.fail("stat", name, err)
	}
	return info.Size(), root.Close()
}

// look finds a file. What is no file, or behind a link, is not there. The caller
// closes the root.
func (f *folder) look(ctx context.Context, name string) (*os.Root, fs.FileInfo, error) {
	if err := cmp.Or(ctx.Err(), remote.CheckName(name)); err != nil {
		return nil, nil, err
	}
	root, err := f.root()
	if err != nil {
		return nil, nil, err
	}
	var info fs.FileInfo
	if err = f.noLinks(root, path.Dir(name)); err == nil {
		info, err = root.Lstat(name)
	}
	if err == nil && !info.Mode().IsRegular() || errors.Is(err, errLink) {
		err = fs.ErrNotExist
	}
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	return root, info, nil
}

// List implements remote.Remote.
func (f *folder) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	if err := cmp.Or(ctx.Err(), remote.CheckPrefix(prefix)); err != nil {
		return f.fail("list", prefix, err)
	}
	root, err := f.root()
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, remote.ErrNoRemote) {
		return nil
	}
	if err != nil {
		return f.fail("list", prefix, err)
	}
	defer root.Close()
	top := path.Clean(prefix)
	switch err := f.noLinks(root, top); {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errLink):
		return nil
	case err != nil:
		return f.fail("list", prefix, err)
	}
	if err := fs.WalkDir(root.FS(), top, walk(ctx, each)); err != nil {
		return f.fail("list", prefix, err)
	}
	return nil
}

// walk calls each for what is a file with the name of one. WalkDir follows no links.
func walk(ctx context.Context, each func(remote.Info) error) fs.WalkDirFunc {
	return func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed meanwhile
		case err != nil:
			return err
		case name == ".":
			return nil
		case remote.CheckName(name) != nil && d.IsDir():
			return fs.SkipDir
		case remote.CheckName(name) != nil || !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return each(remote.Info{Name: name, Size: info.Size()})
	}
}

// Delete implements remote.Remote. It removes folders that are empty then, but for the
// remote's own.
func (f *folder) Delete(ctx context.Context, name string) error {
	root, _, err := f.look(ctx, name)
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, remote.ErrNoRemote) {
		return nil
	}
	if err != nil {
		return f.fail("delete", name, err)
	}
	defer root.Close()
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f.fail("delete", name, err)
	}
	for dir := path.Dir(name); dir != "." && root.Remove(dir) == nil; dir = path.Dir(dir) {
	}
	return nil
}
