package cas

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
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
//
// Who places more than one file does it in a Session, which looks at every
// folder once; the methods of a Placer are sessions of one operation.
type Placer struct {
	root, tmp string
	ops       placeOps
	beside    atomic.Bool // tmp is on another file system than root
	noClone   atomic.Bool // the file system said that it cannot share blocks
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
	mkdir   func(dir *folder, name string) error
	create  func(dir *folder, name string, perm fs.FileMode) (placeFile, error)
	symlink func(dir *folder, target, name string) error
	clone   func(to placeFile, dir *folder, name string) error
	move    func(from *folder, temp string, to *folder, name string) error
	remove  func(dir *folder, name string) error
	rmdir   func(dir *folder, name string) error
}

// placeFile is an unfinished file.
type placeFile interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	io.Closer
	Truncate(size int64) error
	// OS returns the file for cloning into.
	OS() *os.File
}

var osPlaceOps = placeOps{
	mkdir:   func(dir *folder, name string) error { return dir.Mkdir(name, 0o777) },
	create:  createPlaced,
	symlink: func(dir *folder, target, name string) error { return dir.Symlink(target, name) },
	clone:   func(to placeFile, dir *folder, name string) error { return cloneInto(to.OS(), dir, name) },
	move:    movePlaced,
	remove:  func(dir *folder, name string) error { return dir.Remove(name) },
	rmdir:   rmdirAt,
}

// File is Session.File for one file.
func (p *Placer) File(ctx context.Context, store Store, path string, d Digest, size int64, executable bool) (info fs.FileInfo, err error) {
	err = p.once(func(s *Session) (err error) {
		info, err = s.File(ctx, store, path, d, size, executable)
		return err
	})
	return info, err
}

// Update is Session.Update for one file.
func (p *Placer) Update(ctx context.Context, store Store, path string, old, d Digest, size int64, executable bool) (info fs.FileInfo, err error) {
	err = p.once(func(s *Session) (err error) {
		info, err = s.Update(ctx, store, path, old, d, size, executable)
		return err
	})
	return info, err
}

// Link is Session.Link for one link.
func (p *Placer) Link(path, target string) error {
	return p.once(func(s *Session) error { return s.Link(path, target) })
}

// Remove is Session.Remove for one file.
func (p *Placer) Remove(path string) error {
	return p.once(func(s *Session) error { return s.Remove(path) })
}

// once calls fn with a session of its own.
func (p *Placer) once(fn func(*Session) error) error {
	s := p.Session()
	err := fn(s)
	if closed := s.Close(); err == nil {
		err = closed
	}
	return err
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

func createPlaced(dir *folder, name string, perm fs.FileMode) (placeFile, error) {
	f, err := createIn(dir, name, perm)
	if err != nil {
		return nil, err
	}
	return osPlaceFile{f}, nil
}

// movePlaced gives an unfinished file its name, replacing what has it.
func movePlaced(from *folder, temp string, to *folder, name string) error {
	if from == to {
		return to.Rename(temp, name)
	}
	return renameInto(from, temp, to, name)
}

type osPlaceFile struct{ *os.File }

func (f osPlaceFile) OS() *os.File { return f.File }
