package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/kept-dev/kept/cas/disk"
)

// Placer puts objects into a working tree as files, and takes files away.
//
// A path may come from a repository that nobody trusts, and the working tree
// may hold whatever that repository checked out before. So every path passes
// CheckPath, every parent folder is looked at and never followed if it is a
// link, and what is at the path itself is replaced, never written through:
// other names of the same file keep their content. (os.Root alone would
// follow a link that stays inside the root: "data" to ".git/hooks".)
//
// A crash at any instant leaves the old file or the new one. Files and links
// may be placed concurrently, each path by one caller; removing, which takes
// empty folders away, must not run while files are placed below them.
type Placer struct {
	root, tmp string
	ops       placeOps
	beside    atomic.Bool // tmp is on another file system than root
}

// NewPlacer returns a Placer of files below the folder root, which must exist
// when it is used. The folder tmp is for unfinished files and is created when
// it is needed. It should be on root's file system: if it is not, the Placer
// writes unfinished files beside their target, named ".kept-*.tmp", and a
// killed process leaves one there.
func NewPlacer(root, tmp string) *Placer {
	return &Placer{root: root, tmp: tmp, ops: osPlaceOps}
}

// UnsafeError says that what is in the working tree keeps a Placer from a path.
type UnsafeError struct {
	// Path is what should have been placed or removed.
	Path string
	// At is the part of Path that is in the way.
	At string
	// Reason says what it is.
	Reason string
}

func (e *UnsafeError) Error() string {
	if e.At == e.Path {
		return fmt.Sprintf("%q is %s", e.Path, e.Reason)
	}
	return fmt.Sprintf("%q is not safe: %q is %s", e.Path, e.At, e.Reason)
}

// placeOps is every operation by which a Placer changes a disk. Tests put one
// in its place that fails at the Nth operation.
type placeOps struct {
	mkdir   func(dir *os.Root, name string) error
	create  func(p *Placer, dir *os.Root, perm fs.FileMode) (placeFile, string, error)
	symlink func(p *Placer, dir *os.Root, target string) (string, error)
	move    func(p *Placer, temp string, dir *os.Root, name string) error
	remove  func(dir *os.Root, name string) error
	rmdir   func(dir *os.Root, name string) error
}

// placeFile is an unfinished file.
type placeFile interface {
	io.WriteCloser
}

var osPlaceOps = placeOps{
	mkdir:   func(dir *os.Root, name string) error { return dir.Mkdir(name, 0o777) },
	create:  createPlaced,
	symlink: symlinkPlaced,
	move:    movePlaced,
	remove:  func(dir *os.Root, name string) error { return dir.Remove(name) },
	rmdir:   rmdirAt,
}

// File puts the content of d at path, with the permissions that the user's
// umask leaves a new file, and returns what Lstat says about it. Missing
// folders are made. A file, link or hard link at path is replaced. size is what
// the caller was told the object has: more is never read, and another size is
// an error wrapping ErrSize.
//
// A folder at path, or anything but a folder above it, is an *UnsafeError; an
// object that the store does not have or that is damaged is the store's error.
// In all these cases what was at path is still there.
func (p *Placer) File(ctx context.Context, s Store, path string, d Digest, size int64, executable bool) (fs.FileInfo, error) {
	perm := fs.FileMode(0o666)
	if executable {
		perm = 0o777
	}
	var info fs.FileInfo
	err := p.inParent(path, true, func(dir *os.Root, name string) error {
		if err := p.checkTarget(dir, path, name); err != nil {
			return err
		}
		return p.retryBeside(func() (err error) {
			info, err = p.placeFile(ctx, s, dir, name, d, size, perm)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("place %q: %w", path, err)
	}
	return info, nil
}

// Link puts a symbolic link to target at path. The target must be one that
// CheckLink accepts for path: relative and inside the root. Whoever restores a
// folder of a smaller extent checks its links against that before. What is at
// path is treated as in File.
func (p *Placer) Link(path, target string) error {
	if err := CheckLink(path, target); err != nil {
		return fmt.Errorf("place %w", err)
	}
	err := p.inParent(path, true, func(dir *os.Root, name string) error {
		if err := p.checkTarget(dir, path, name); err != nil {
			return err
		}
		return p.retryBeside(func() error {
			temp, err := p.ops.symlink(p, dir, filepath.FromSlash(target))
			if err != nil {
				return err
			}
			if err := p.ops.move(p, temp, dir, name); err != nil {
				p.discard(dir, temp)
				return err
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("place %q: %w", path, err)
	}
	return nil
}

// Remove removes the file or link at path, and then the folders above it, up
// to but without the root, that have become empty. Nothing at path is fine. A
// folder or device at path, or anything but a folder above it, is an
// *UnsafeError.
func (p *Placer) Remove(path string) error {
	removed := false
	err := p.inParent(path, false, func(dir *os.Root, name string) error {
		info, err := dir.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if kind := info.Mode().Type(); kind != 0 && kind != fs.ModeSymlink {
			return &UnsafeError{Path: path, At: path, Reason: describe(info)}
		}
		err = p.ops.remove(dir, name)
		removed = err == nil
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a parent is not there
	}
	if err != nil {
		return fmt.Errorf("remove %q: %w", path, err)
	}
	for removed && strings.Contains(path, "/") {
		path = path[:strings.LastIndexByte(path, '/')]
		removed = p.inParent(path, false, p.ops.rmdir) == nil // stops at a folder that is not empty
	}
	return nil
}

// inParent calls fn with the folder of path, open, and the last component.
func (p *Placer) inParent(path string, create bool, fn func(dir *os.Root, name string) error) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	dir, err := os.OpenRoot(p.root)
	if err != nil {
		return err
	}
	defer func() { dir.Close() }()
	rest := path
	for {
		name, below, more := strings.Cut(rest, "/")
		if !more {
			return fn(dir, name)
		}
		at := path[:len(path)-len(below)-1]
		sub, err := p.enter(dir, name, create, path, at)
		if err != nil {
			return err
		}
		dir.Close()
		dir, rest = sub, below
	}
}

// enter opens the folder name in dir if it is one, and makes it if it is
// missing and create is set.
func (p *Placer) enter(dir *os.Root, name string, create bool, path, at string) (*os.Root, error) {
	info, err := dir.Lstat(name)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err := p.ops.mkdir(dir, name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		info, err = dir.Lstat(name)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &UnsafeError{Path: path, At: at, Reason: describe(info)}
	}
	sub, err := dir.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	// OpenRoot follows a link. Here it could only be one that came since Lstat.
	if now, err := sub.Stat("."); err != nil || !os.SameFile(info, now) {
		sub.Close()
		return nil, &UnsafeError{Path: path, At: at, Reason: "changing while it is used"}
	}
	return sub, nil
}

func (p *Placer) checkTarget(dir *os.Root, path, name string) error {
	info, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return &UnsafeError{Path: path, At: path, Reason: describe(info)}
	}
	return nil
}

// describe names the kind of a file for an UnsafeError.
func describe(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "a folder"
	case mode.IsRegular():
		return "a file"
	case mode.Type() == fs.ModeSymlink:
		return "a symbolic link"
	default:
		return "a special file"
	}
}

// retryBeside repeats fn once, with unfinished files beside their target, if
// it turns out that tmp is, or may be, on another file system, one that is full
// or read-only perhaps.
func (p *Placer) retryBeside(fn func() error) error {
	err := fn()
	if !p.beside.Load() && (isCrossDevice(err) || IsReadOnly(err) || IsDiskFull(err)) {
		p.beside.Store(true)
		err = fn()
	}
	return err
}

func (p *Placer) placeFile(ctx context.Context, s Store, dir *os.Root, name string, d Digest, size int64, perm fs.FileMode) (fs.FileInfo, error) {
	f, temp, err := p.ops.create(p, dir, perm)
	if err != nil {
		return nil, err
	}
	err = copyObject(ctx, f, s, d, size)
	if closed := f.Close(); err == nil {
		err = closed // some file systems report a full disk only here
	}
	var info fs.FileInfo
	if err == nil {
		info, err = lstatTemp(dir, temp) // now: Windows settles the times at Close
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = p.ops.move(p, temp, dir, name)
	}
	if err != nil {
		p.discard(dir, temp)
		return nil, err
	}
	// Not the info from before: moving a file changes its ctime.
	placed, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, placed) || placed.Size() != info.Size() || !placed.ModTime().Equal(info.ModTime()) {
		return nil, errors.New("it was changed by somebody else at the same time")
	}
	return placed, nil
}

// copyObject writes the content of d to w if it has the size given.
func copyObject(ctx context.Context, w io.Writer, s Store, d Digest, size int64) error {
	r, err := s.Open(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	bounded := &boundedWriter{w: w, left: size}
	if _, err := io.Copy(bounded, r); err != nil {
		return fmt.Errorf("object %s: %w", d, err)
	}
	if bounded.left > 0 {
		return fmt.Errorf("object %s: %w: %d bytes, want %d", d, ErrSize, size-bounded.left, size)
	}
	return nil
}

// boundedWriter passes on at most left bytes.
type boundedWriter struct {
	w    io.Writer
	left int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, fmt.Errorf("%w: more bytes than it was said to have", ErrSize)
	}
	b.left -= int64(len(p))
	return b.w.Write(p)
}

func lstatTemp(dir *os.Root, temp string) (fs.FileInfo, error) {
	if filepath.IsAbs(temp) {
		return os.Lstat(temp)
	}
	return dir.Lstat(temp)
}

// discard removes an unfinished file. If it cannot, Local.Sweep will.
func (p *Placer) discard(dir *os.Root, temp string) {
	if filepath.IsAbs(temp) {
		os.Remove(temp)
	} else {
		_ = dir.Remove(temp)
	}
}

// besideName returns a name for an unfinished file in the folder of its target.
func besideName() string {
	return ".kept-" + strings.TrimPrefix(disk.TempName(), disk.TempPrefix) + ".tmp"
}

// createPlaced makes an empty unfinished file. Its name is absolute in tmp, and
// relative to dir beside the target.
func createPlaced(p *Placer, dir *os.Root, perm fs.FileMode) (placeFile, string, error) {
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	if p.beside.Load() {
		name := besideName()
		f, err := dir.OpenFile(name, flags, perm)
		return osPlaceFile{f}, name, err
	}
	name, err := p.tempPath()
	if err != nil {
		return nil, "", err
	}
	f, err := os.OpenFile(name, flags, perm)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(p.tmp, disk.DirPerm); err == nil {
			f, err = os.OpenFile(name, flags, perm)
		}
	}
	return osPlaceFile{f}, name, err
}

// symlinkPlaced makes an unfinished link. See createPlaced for its name.
func symlinkPlaced(p *Placer, dir *os.Root, target string) (string, error) {
	if p.beside.Load() || linksBeside {
		name := besideName()
		return name, dir.Symlink(target, name)
	}
	name, err := p.tempPath()
	if err != nil {
		return "", err
	}
	err = os.Symlink(target, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(p.tmp, disk.DirPerm); err == nil {
			err = os.Symlink(target, name)
		}
	}
	return name, err
}

func (p *Placer) tempPath() (string, error) {
	tmp, err := filepath.Abs(p.tmp)
	return filepath.Join(tmp, disk.TempName()), err
}

// movePlaced gives an unfinished file its name in dir, replacing what has it.
func movePlaced(_ *Placer, temp string, dir *os.Root, name string) error {
	if !filepath.IsAbs(temp) {
		return dir.Rename(temp, name)
	}
	return renameInto(temp, dir, name)
}

type osPlaceFile struct{ *os.File }
