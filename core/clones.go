package core

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/core/git"
)

// The file by which a shared store knows a clone.
const cloneHeader = "kept clone 1\n"

// clonesOf returns the folder in which a store notes who shares it.
func clonesOf(store string) string { return filepath.Join(store, "clones") }

// cloneFile returns the name of the file for the clone whose Git folder that is.
func cloneFile(common string) string { return cas.Sum([]byte(common)).Hex()[:32] }

// ownerOfStore returns the Git folder whose own store dir is; "" for any other.
func ownerOfStore(dir string) string {
	kept := filepath.Dir(dir)
	if filepath.Base(dir) != storeName || filepath.Base(kept) != localName {
		return ""
	}
	if _, err := git.WholeAt(filepath.Dir(kept)); err != nil {
		return ""
	}
	return filepath.Dir(kept)
}

// Clone is a clone that uses a store.
type Clone struct {
	// Dir is its Git folder.
	Dir string
	// Note is the file by which the store knows it; "" where the store is its own.
	Note string
	// Gone is set where it was removed, or moved and not used since. Since is when
	// a collection first found that; zero where none did.
	Gone  bool
	Since time.Time
}

// goneSuffix ends the name of the file whose time is Clone.Since.
const goneSuffix = ".gone"

// markGone notes whether a collection found the clone gone.
func (c *Clone) markGone() error {
	switch {
	case c.Note == "" || !c.Since.IsZero():
		return nil
	case !c.Gone:
		_ = os.Remove(c.Note + goneSuffix) // It is back, or another one at its place.
		return nil
	}
	err := os.WriteFile(c.Note+goneSuffix, nil, 0o600)
	disk.ShareFile(c.Note + goneSuffix)
	c.Since = time.Now()
	return err
}

// forget makes the store forget the clone.
func (c *Clone) forget() {
	_ = os.Remove(c.Note)
	_ = os.Remove(c.Note + goneSuffix)
}

// CloneError reports a clone that uses the store and can't be looked at: what it
// has need of is not known.
type CloneError struct {
	Clone Clone
	Err   error
}

func (e *CloneError) Error() string {
	return fmt.Sprintf("the clone %s, which shares this store, can't be read: %v", e.Clone.Dir, e.Err)
}

// Unwrap returns e.Err.
func (e *CloneError) Unwrap() error { return e.Err }

// clones lists who uses the store, this clone first.
func (r *Repository) clones() ([]Clone, error) {
	self := Clone{Dir: r.Git.CommonDir}
	list := []Clone{self}
	if owner := ownerOfStore(r.Local.Store()); owner != "" && owner != self.Dir {
		list = append(list, Clone{Dir: owner})
	}
	dir := clonesOf(r.Local.Store())
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the clones that share the store: %w", err)
	}
	for _, e := range entries {
		c := Clone{Note: filepath.Join(dir, e.Name())}
		if strings.HasSuffix(e.Name(), goneSuffix) {
			continue
		}
		if strings.HasPrefix(e.Name(), ".kept-") {
			continue // Unfinished: who writes it has put nothing into the store yet.
		}
		data, err := readBounded(c.Note, 64<<10)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		path, ok := strings.CutPrefix(string(data), cloneHeader)
		if err == nil && !ok {
			err = errors.New("it does not name a clone")
		}
		if err != nil {
			return nil, &CloneError{Clone: Clone{Dir: e.Name(), Note: c.Note}, Err: reason(err)}
		}
		c.Dir = strings.TrimSuffix(path, "\n")
		if slices.ContainsFunc(list, func(o Clone) bool { return o.Dir == c.Dir }) {
			continue
		}
		if c.Gone, err = isGone(c.Dir); err != nil {
			return nil, &CloneError{Clone: c, Err: err}
		}
		if info, err := os.Stat(c.Note + goneSuffix); err == nil && c.Gone {
			c.Since = info.ModTime()
		}
		list = append(list, c)
	}
	return list, nil
}

var errUnmounted = errors.New("it is not there, but the folder that it was in is empty, as that of a drive is which is not mounted")

// isGone reports whether a folder was removed for sure. It was not where only
// its drive may be missing: then the place is an empty folder.
func isGone(dir string) (bool, error) {
	if _, err := os.Stat(dir); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, reason(err)
	}
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		entries, err := os.ReadDir(above)
		switch {
		case errors.Is(err, fs.ErrNotExist) && above != filepath.Dir(above):
			continue
		case err != nil:
			return false, reason(err)
		case len(entries) == 0:
			return false, errUnmounted
		}
		return true, nil
	}
}
