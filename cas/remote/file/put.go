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
	"path/filepath"
	"time"

	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/remote"
)

const (
	// tempDir is where files are until they are whole. No name can be in it.
	tempDir  = ".tmp"
	dirPerm  = 0o777
	filePerm = 0o666
)

// Put implements remote.Remote. It does not read back: what this system would show is
// what it was given.
func (f *folder) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	if err := cmp.Or(ctx.Err(), remote.CheckName(name)); err != nil {
		return f.fail("put", name, err)
	}
	if size < 0 {
		return f.fail("put", name, fmt.Errorf("a size of %d", size))
	}
	root, err := f.rootToWrite()
	if err != nil {
		return f.fail("put", name, err)
	}
	defer root.Close()
	f.sweep.Do(func() { sweep(root) })
	if err := f.put(ctx, root, name, body, size); err != nil {
		return f.fail("put", name, err)
	}
	return nil
}

func (f *folder) put(ctx context.Context, root *os.Root, name string, body io.ReaderAt, size int64) error {
	temp, err := f.writeTemp(ctx, root, body, size)
	if err != nil {
		return err
	}
	if err := f.publish(root, temp, name); err != nil {
		_ = root.Remove(temp)
		return err
	}
	return f.syncDirs(path.Dir(name))
}

// writeTemp writes a durable file that List does not see, and returns its name.
func (f *folder) writeTemp(ctx context.Context, root *os.Root, body io.ReaderAt, size int64) (string, error) {
	file, name, err := f.createTemp(root)
	if err != nil {
		return "", err
	}
	// Body makes it end with ctx, between two reads. The struct hides what would copy all
	// in one go.
	content := remote.Body(ctx, io.NopCloser(io.NewSectionReader(body, 0, size)), size, nil)
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{content}, make([]byte, 1<<20))
	if err == nil {
		err = file.Sync()
	}
	if err = cmp.Or(err, file.Close()); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = root.Remove(name)
		return "", err
	}
	return name, nil
}

func (f *folder) createTemp(root *os.Root) (*os.File, string, error) {
	f.mu.Lock()
	f.temped = true
	f.mu.Unlock()
	name := path.Join(tempDir, disk.TempName())
	for try := 0; ; try++ {
		file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
		if !errors.Is(err, fs.ErrNotExist) || try == tries {
			return file, name, err
		}
		if err := f.makeDir(root, tempDir); err != nil {
			return nil, "", err
		}
	}
}

// tries is how often somebody else may remove a folder that was empty just now.
const tries = 20

// publish gives the file its name.
func (f *folder) publish(root *os.Root, temp, name string) error {
	for try := 0; ; try++ {
		if err := f.makeDir(root, path.Dir(name)); err != nil {
			return err
		}
		err := root.Rename(temp, name)
		if isInUse(err) {
			return fmt.Errorf("%w: %w", errInUse, err)
		}
		if !errors.Is(err, fs.ErrNotExist) || try == tries {
			return err
		}
	}
}

var errInUse = errors.New("some program has the old file open")

// makeDir makes a folder and those around it.
func (f *folder) makeDir(root *os.Root, dir string) error {
	for try := 0; ; try++ {
		err := f.noLinks(root, dir)
		if !errors.Is(err, fs.ErrNotExist) || try == tries {
			return err
		}
		if err := f.makeDir(root, path.Dir(dir)); err != nil {
			return err
		}
		switch err := root.Mkdir(dir, dirPerm); {
		case err == nil:
			share(filepath.Join(f.path, dir))
		case !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
}

var errLink = errors.New("it is a link or a file, and no folder")

// noLinks reports a link, or what is no folder, among dir and those around it.
func (f *folder) noLinks(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if err := f.noLinks(root, path.Dir(dir)); err != nil {
		return err
	}
	info, err := root.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "look at", Path: filepath.Join(f.path, dir), Err: errLink}
	}
	return err
}

// syncDirs makes the names in a folder durable, and its own. Those around it may have
// been made by somebody else just now.
func (f *folder) syncDirs(dir string) error {
	for {
		err := disk.OS.SyncDir(filepath.Join(f.path, filepath.FromSlash(dir)))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // the file was deleted meanwhile, and the folder with it
		}
		if err != nil || dir == "." {
			return err
		}
		dir = path.Dir(dir)
	}
}

// share lets a group that owns the folder around it write into a folder that was just
// made: the umask is about the user's other files.
func share(dir string) {
	if !disk.Shared(filepath.Dir(dir)) {
		return
	}
	if info, err := os.Lstat(dir); err == nil && info.IsDir() {
		_ = os.Chmod(dir, info.Mode().Perm()|0o070|fs.ModeSetgid) // somebody else's is theirs
	}
}

// sweep removes what writers have left that were killed.
func sweep(root *os.Root) {
	entries, err := fs.ReadDir(root.FS(), tempDir)
	if err != nil {
		return // there is none, or the Put will say what is wrong
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > disk.StrayAge {
			_ = root.Remove(path.Join(tempDir, e.Name()))
		}
	}
}
