package disk

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// DirPerm is the mode of every folder of a store.
	DirPerm    = 0o700
	objectPerm = 0o444

	// TempPrefix begins the name of every file in a folder for temporary files,
	// so that Sweep takes nothing else.
	TempPrefix = "tmp-"
	// StrayAge is the age at which a temporary file cannot belong to a running
	// writer any more.
	StrayAge = 24 * time.Hour
)

// TempName returns a new name that Sweep recognises.
func TempName() string { return TempPrefix + strings.ToLower(rand.Text()) }

// namedTemp is a Temp where there are no anonymous ones.
type namedTemp struct {
	*os.File
	gone bool
}

func openNamedTemp(dir string) (Temp, error) {
	// Not objectPerm: some network file systems check it at every write.
	f, err := os.OpenFile(filepath.Join(dir, TempName()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &namedTemp{File: f}, nil
}

// WriteBlock implements Temp.
func (t *namedTemp) WriteBlock(p []byte, offset int64) (int, error) {
	return writeBlock(t.File, p, offset)
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

// Sweep removes files in dir that a killed writer left before the time given,
// and returns how many.
func Sweep(dir string, before time.Time) (int, error) {
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
		if err != nil || info.IsDir() || !strings.HasPrefix(e.Name(), TempPrefix) || !info.ModTime().Before(before) {
			continue // also what its writer has just removed
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
