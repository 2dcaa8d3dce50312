package cas

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/cas/disk"
)

// Session places and removes files one after another. It keeps the folders open
// that it used lately, so that in one folder a file costs little more than
// writing it. What is held open cannot be exchanged for a link; that the folder
// still has its path is looked at again when the session lets go of it.
//
// A Session is used by one goroutine. Several of one Placer may place files at
// the same time. It must be closed.
type Session struct {
	p       *Placer
	folders folders
	tmp     *folder // where unfinished files are; nil: not opened yet
	prefix  string  // of the names of unfinished files
	files   int
	emptied map[string]bool // folders from which something was removed
}

// Session begins a session.
func (p *Placer) Session() *Session {
	return &Session{p: p, folders: folders{p: p}}
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
func (s *Session) File(ctx context.Context, store Store, path string, d Digest, size int64, executable bool) (fs.FileInfo, error) {
	return s.Update(ctx, store, path, Digest{}, d, size, executable)
}

// Update is File where the file at path is believed to have the content of old.
// On a file system that shares blocks the new file shares with it what the two
// contents have in common. The result is verified: nothing depends on old being right.
func (s *Session) Update(ctx context.Context, store Store, path string, old, d Digest, size int64, executable bool) (fs.FileInfo, error) {
	c := wanted{store: store, old: old, digest: d, size: size, perm: 0o666}
	if executable {
		c.perm = 0o777
	}
	var info fs.FileInfo
	err := s.inParent(path, true, func(dir *folder, name string) error {
		there, err := checkTarget(dir, path, name)
		if err != nil {
			return err
		}
		if !there {
			c.old = Digest{}
		}
		return s.retryBeside(func() (err error) {
			info, err = s.placeFile(ctx, c, dir, name)
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
func (s *Session) Link(path, target string) error {
	if err := CheckLink(path, target); err != nil {
		return fmt.Errorf("place %w", err)
	}
	err := s.inParent(path, true, func(dir *folder, name string) error {
		if _, err := checkTarget(dir, path, name); err != nil {
			return err
		}
		return s.retryBeside(func() error { return s.placeLink(filepath.FromSlash(target), dir, name) })
	})
	if err != nil {
		return fmt.Errorf("place %q: %w", path, err)
	}
	return nil
}

// Remove removes the file or link at path. When the session is closed, the
// folders above it, up to but without the root, go too if they have become
// empty. Nothing at path is fine. A folder or device at path, or anything but a
// folder above it, is an *UnsafeError.
func (s *Session) Remove(path string) error {
	err := s.inParent(path, false, func(dir *folder, name string) error {
		info, err := dir.Lstat(name)
		if err != nil {
			return err
		}
		if kind := info.Mode().Type(); kind != 0 && kind != fs.ModeSymlink {
			return &UnsafeError{Path: path, At: path, Reason: describe(info)}
		}
		if err := s.p.ops.remove(dir, name); err != nil {
			return err
		}
		if s.emptied == nil {
			s.emptied = map[string]bool{}
		}
		s.emptied[dir.path] = true
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it, or a parent, is not there
		return fmt.Errorf("remove %q: %w", path, err)
	}
	return nil
}

// Close removes the folders that have become empty and ends the session. An
// *UnsafeError says that a folder was exchanged while files were placed in it:
// they may be anywhere that it was moved to.
func (s *Session) Close() error {
	s.prune()
	s.closeTemp()
	return s.folders.close()
}

// prune removes the folders that removing has left empty, the deepest first.
func (s *Session) prune() {
	var levels []map[string]bool // by depth
	note := func(path string) {
		depth := strings.Count(path, "/")
		for len(levels) <= depth {
			levels = append(levels, map[string]bool{})
		}
		levels[depth][path] = true
	}
	for path := range s.emptied {
		if path != "" {
			note(path)
		}
	}
	for depth := len(levels) - 1; depth >= 0; depth-- {
		for path := range levels[depth] {
			s.folders.drop(path)
			if s.inParent(path, false, s.p.ops.rmdir) != nil {
				continue // a folder that is not empty
			}
			if up, _ := splitPath(path); up != "" {
				note(up)
			}
		}
	}
	s.emptied = nil
}

// inParent calls fn with the folder of path, open, and the last component. If
// it turns out that a folder held open is there no more, it does so once again.
func (s *Session) inParent(path string, create bool, fn func(dir *folder, name string) error) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	up, name := splitPath(path)
	held := s.folders.holds(up)
	dir, err := s.folders.get(up, create, path)
	if err == nil {
		err = fn(dir, name)
	}
	if held && errors.Is(err, fs.ErrNotExist) && !s.folders.inPlace(up) {
		s.folders.dropAll()
		if dir, err = s.folders.get(up, create, path); err == nil {
			err = fn(dir, name)
		}
	}
	return err
}

// checkTarget reports whether something that may be replaced is at path.
func checkTarget(dir *folder, path, name string) (there bool, err error) {
	info, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		return false, &UnsafeError{Path: path, At: path, Reason: describe(info)}
	}
	return true, nil
}

// retryBeside repeats fn once, with unfinished files beside their target, if
// it turns out that tmp is, or may be, on another file system, one that is full
// or read-only perhaps.
func (s *Session) retryBeside(fn func() error) error {
	beside := s.p.beside.Load()
	err := fn()
	if !beside && (isCrossDevice(err) || IsReadOnly(err) || IsDiskFull(err)) {
		s.p.beside.Store(true)
		err = fn()
	}
	return err
}

// unfinished is a file or link that does not have its name yet.
type unfinished struct {
	dir  *folder
	name string
}

// unfinished returns a new name, in tmp or beside the target in dir, for make to
// make something of.
func (s *Session) unfinished(dir *folder, beside bool, make func(unfinished) error) (unfinished, error) {
	if s.prefix == "" {
		s.prefix = strings.TrimPrefix(disk.TempName(), disk.TempPrefix)
	}
	s.files++
	name := s.prefix + "-" + strconv.Itoa(s.files)
	if beside || s.p.beside.Load() {
		u := unfinished{dir, ".kept-" + name + ".tmp"}
		return u, make(u)
	}
	u := unfinished{name: disk.TempPrefix + name}
	held := s.tmp != nil
	err := s.openTemp()
	if err == nil {
		u.dir = s.tmp
		err = make(u)
	}
	if held && errors.Is(err, fs.ErrNotExist) { // somebody removed it
		s.closeTemp()
		if err = s.openTemp(); err == nil {
			u.dir = s.tmp
			err = make(u)
		}
	}
	return u, err
}

// discard removes what has not got its name. If it cannot, Local.Sweep will.
func (u unfinished) discard() { _ = u.dir.Remove(u.name) }

// placeFile writes a content to an unfinished file and gives that its name.
func (s *Session) placeFile(ctx context.Context, c wanted, dir *folder, name string) (fs.FileInfo, error) {
	var f placeFile
	temp, err := s.unfinished(dir, false, func(u unfinished) (err error) {
		f, err = s.p.ops.create(u.dir, u.name, c.perm)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = s.fill(ctx, f, c, dir, name)
	if closed := f.Close(); err == nil {
		err = closed // some file systems report a full disk only here
	}
	var info fs.FileInfo
	if err == nil {
		info, err = temp.dir.Lstat(temp.name) // now: Windows settles the times at Close
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = s.p.ops.move(temp.dir, temp.name, dir, name)
	}
	if err != nil {
		temp.discard()
		return nil, err
	}
	return placed(dir, name, info)
}

// placed returns the info of the file that was moved to name.
func placed(dir *folder, name string, info fs.FileInfo) (fs.FileInfo, error) {
	// Not the info from before: moving a file changes its ctime.
	now, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, now) || now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime()) {
		return nil, errors.New("it was changed by somebody else at the same time")
	}
	return now, nil
}

func (s *Session) placeLink(target string, dir *folder, name string) error {
	temp, err := s.unfinished(dir, linksBeside, func(u unfinished) error {
		return s.p.ops.symlink(u.dir, target, u.name)
	})
	if err != nil {
		return err
	}
	if err := s.p.ops.move(temp.dir, temp.name, dir, name); err != nil {
		temp.discard()
		return err
	}
	return nil
}
