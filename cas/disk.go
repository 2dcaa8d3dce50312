package cas

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// disk is every operation by which a Local changes a disk. Tests put one in
// its place that fails at the Nth operation.
type disk struct {
	mkdir   func(name string, perm fs.FileMode) error
	temp    func(dir string) (tempFile, error)
	rename  func(from, to string) error
	link    func(from, to string) error
	syncDir func(name string) error
}

var osDisk = disk{
	mkdir:   os.Mkdir,
	temp:    openTemp,
	rename:  os.Rename,
	link:    os.Link,
	syncDir: syncDir,
}

// tempFile is a file that nobody sees before Publish.
type tempFile interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	// Sync makes the content durable.
	Sync() error
	// Publish gives the file its name, atomically, and closes it. If the name
	// is taken the error is fs.ErrExist and the file stays as it was.
	Publish(name string) error
	// Discard closes the file and leaves nothing of it unless it was published.
	Discard()
}

const (
	dirPerm    = 0o700
	objectPerm = 0o444

	// tempPrefix begins the name of every file in a folder for temporary files,
	// so that Sweep takes nothing else.
	tempPrefix = "tmp-"
	// strayAge is the age at which a temporary file cannot belong to a running
	// writer any more.
	strayAge = 24 * time.Hour
)

func tempName() string { return tempPrefix + strings.ToLower(rand.Text()) }

// namedTemp is a tempFile where there are no anonymous ones.
type namedTemp struct {
	*os.File
	gone bool
}

func openNamedTemp(dir string) (tempFile, error) {
	// Not objectPerm: some network file systems check it at every write.
	f, err := os.OpenFile(filepath.Join(dir, tempName()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &namedTemp{File: f}, nil
}

// Publish links rather than renames, because a rename replaces what is there.
func (t *namedTemp) Publish(name string) error {
	if err := publishNamed(t, name); err != nil {
		return err
	}
	t.gone = true
	return nil
}

// renameNew renames where there are no hard links. Between the look and the
// rename another process can publish the same content; replacing that is harmless.
func renameNew(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to)
}

func (t *namedTemp) Discard() {
	t.File.Close()
	if !t.gone {
		os.Remove(t.Name())
	}
}

// sweep removes files in dir that a killed writer left before the time given,
// and returns how many.
func sweep(dir string, before time.Time) (int, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.IsDir() || !strings.HasPrefix(e.Name(), tempPrefix) || !info.ModTime().Before(before) {
			continue // also what its writer has just removed
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
