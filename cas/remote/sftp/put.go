package sftp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/pkg/sftp"

	"github.com/kept-dev/kept/cas/remote"
)

// Put writes a temporary beside the file, has it synced where the host can, and renames it.
func (d *folder) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	if err := remote.CheckName(name); err != nil {
		return d.failed(ctx, "put", name, err)
	}
	if size < 0 {
		return d.failed(ctx, "put", name, fmt.Errorf("size %d", size))
	}
	lent := remote.Lend(body)
	_, err := call(ctx, d, func(c *sftp.Client) (struct{}, error) {
		return struct{}{}, d.put(c, name, io.NewSectionReader(lent, 0, size))
	})
	lent.Return(ctx.Err())
	if err == nil {
		d.seen.Store(true)
	}
	return d.failed(ctx, "put", name, err)
}

func (d *folder) put(c *sftp.Client, name string, body *io.SectionReader) error {
	full := d.path(name)
	temp := path.Join(path.Dir(full), ".tmp-"+strings.ToLower(rand.Text()))
	f, err := c.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.makeFolders(c, path.Dir(name)); err != nil {
			return err
		}
		f, err = c.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	}
	if err != nil {
		return d.whyNot(c, fmt.Errorf("create a file: %w", err), 0)
	}
	if err = fill(c, f, temp, body); err == nil {
		err = replace(c, temp, full)
	}
	if err != nil {
		err = d.whyNot(c, err, body.Size())
		_ = c.Remove(temp) // if it stays, List leaves it out
	}
	return err
}

// fill writes body into f, and sees to it that the host has all of it.
func fill(c *sftp.Client, f *sftp.File, temp string, body *io.SectionReader) error {
	// In one piece after another, each with many requests on their way.
	_, err := f.ReadFrom(body)
	if _, ok := c.HasExtension("fsync@openssh.com"); ok && err == nil {
		err = f.Sync()
	}
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	info, err := c.Stat(temp)
	if err != nil {
		return fmt.Errorf("look at what was written: %w", err)
	}
	if info.Size() != body.Size() {
		return fmt.Errorf("%w: %d arrived of %d", remote.ErrShort, info.Size(), body.Size())
	}
	return nil
}

// replace gives the file its name. A host that can't rename over a file gets the old one
// out of the way first: for that moment there is none, and if all ends then, the old
// one is whole under a name beside it.
func replace(c *sftp.Client, temp, full string) error {
	if _, ok := c.HasExtension("posix-rename@openssh.com"); ok {
		return wrap("rename", c.PosixRename(temp, full))
	}
	err := c.Rename(temp, full)
	if err == nil {
		return nil
	}
	if _, err2 := c.Stat(full); err2 != nil {
		return wrap("rename", err)
	}
	old := path.Join(path.Dir(full), ".old-"+strings.ToLower(rand.Text()))
	if err := c.Rename(full, old); err != nil {
		return fmt.Errorf("move the old file out of the way: %w", err)
	}
	if err := c.Rename(temp, full); err != nil {
		return errors.Join(wrap("rename", err), c.Rename(old, full))
	}
	_ = c.Remove(old) // the new one is there; List leaves the old one out
	return nil
}

// makeFolders makes the remote's folder and those of dir in it, and none above.
func (d *folder) makeFolders(c *sftp.Client, dir string) error {
	if err := makeFolder(c, d.root); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &kindError{remote.ErrNoRemote, fmt.Errorf("there is no folder %s", path.Dir(d.root))}
		}
		return err
	}
	at := d.root
	for word := range strings.SplitSeq(dir, "/") {
		at = path.Join(at, word)
		if err := makeFolder(c, at); err != nil {
			return err
		}
	}
	return nil
}

func makeFolder(c *sftp.Client, at string) error {
	if info, err := c.Stat(at); err == nil {
		if !info.IsDir() {
			return &kindError{remote.ErrNoRemote, fmt.Errorf("%s is no folder", at)}
		}
		return nil
	}
	err := c.Mkdir(at)
	if err == nil {
		return nil
	}
	// Somebody else may have made it meanwhile, which the protocol has no code for.
	if info, err := c.Stat(at); err == nil && info.IsDir() {
		return nil
	}
	return fmt.Errorf("make folder %s: %w", at, err)
}

// whyNot adds to an error of writing what its code does not say: most hosts have
// one for everything.
func (d *folder) whyNot(c *sftp.Client, err error, size int64) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) || status.FxCode() != sftp.ErrSSHFxFailure {
		return err
	}
	at := d.root
	v, err2 := c.StatVFS(at)
	if err2 != nil {
		return err
	}
	const readOnly = 1
	switch {
	case v.Flag&readOnly != 0:
		return &kindError{remote.ErrReadOnly, err}
	case v.Bavail == 0 || v.FreeSpace() < uint64(size) || v.Favail == 0 && v.Files > 0:
		return &kindError{remote.ErrFull, err}
	}
	return err
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
