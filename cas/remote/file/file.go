// Package file is the remote in a folder: of this machine, or a share of the network
// that is mounted.
//
// Files are made in .tmp in that folder, synced, and renamed. They have the
// permissions that the user's umask gives, so that a group can share the folder.
// Nothing follows a link inside of it.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/remote"
)

// folder is a remote.Remote.
type folder struct {
	path string
	url  string

	sweep sync.Once
	// temped says that this one has written into tempDir.
	temped bool
	mu     sync.Mutex
}

// Open opens the folder at u.Path, which need not be there: the first Put makes it.
// But the folder around it must be, because what was mounted there may be gone.
func Open(_ context.Context, u *remote.URL, s remote.Settings) (remote.Remote, error) {
	err := s.Only()
	path := u.Path
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, &remote.Error{Op: "open", Remote: u.String(), Err: err}
	}
	return &folder{path: path, url: u.String()}, nil
}

// root opens the folder for one operation: what was mounted there may have changed.
func (f *folder) root() (*os.Root, error) {
	root, err := os.OpenRoot(f.path)
	if errors.Is(err, fs.ErrNotExist) && f.parentIsThere() {
		return nil, fs.ErrNotExist // an empty remote: nobody has put anything yet
	}
	if err != nil && (errors.Is(err, fs.ErrNotExist) || isFile(f.path)) {
		// Only the text of err: who asks for a file must not take this for one that is not there.
		return nil, fmt.Errorf("%w: %s", remote.ErrNoRemote, err.Error())
	}
	return root, err
}

func (f *folder) parentIsThere() bool {
	info, err := os.Stat(filepath.Dir(f.path))
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// rootToWrite makes the folder if there is one around it.
func (f *folder) rootToWrite() (*os.Root, error) {
	root, err := f.root()
	if err == nil || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, remote.ErrNoRemote) {
		return root, err
	}
	if err := os.Mkdir(f.path, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	share(f.path)
	if err := disk.OS.SyncDir(filepath.Dir(f.path)); err != nil {
		return nil, err
	}
	return f.root()
}

// Close implements remote.Remote.
func (f *folder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.temped {
		// It stays where somebody else is writing: it isn't empty then.
		_ = os.Remove(filepath.Join(f.path, tempDir))
	}
	return nil
}

// fail makes an Error of what happened.
func (f *folder) fail(op, name string, err error) error {
	if e := new(remote.Error); errors.As(err, &e) {
		return err
	}
	e := &remote.Error{Op: op, Remote: f.url, Name: name, Err: err}
	writes := op == "put" || op == "delete"
	for _, known := range []struct {
		kind error
		is   bool
	}{
		{nil, errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)},
		{remote.ErrNoRemote, errors.Is(err, remote.ErrNoRemote)},
		{remote.ErrShort, errors.Is(err, remote.ErrShort)},
		{fs.ErrNotExist, errors.Is(err, fs.ErrNotExist)},
		{remote.ErrTemporary, errors.Is(err, errInUse)},
		{remote.ErrFull, disk.IsFull(err)},
		{remote.ErrReadOnly, writes && disk.IsReadOnly(err)},
		{remote.ErrDenied, errors.Is(err, fs.ErrPermission)},
		{remote.ErrTemporary, isTemporary(err)},
	} {
		if known.is {
			e.Kind = known.kind
			break
		}
	}
	if errors.Is(e.Kind, err) {
		e.Err = nil // it says no more
	}
	return e
}
