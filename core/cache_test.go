package core

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
)

// TestGCSaysWhoUsesTheStore: of all clones that share it.
func TestGCSaysWhoUsesTheStore(t *testing.T) {
	c := newClone(t)
	other := c.beside("other")
	r := other.open()
	release, err := r.hold(t.Context(), "run train")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	err = c.open().inUse([]Clone{{Dir: filepath.Join(c.dir, ".git")}, {Dir: filepath.Join(other.dir, ".git")}}, cas.ErrInUse)
	if !errors.Is(err, cas.ErrInUse) || !strings.HasPrefix(err.Error(), "the store is in use by run train (process ") {
		t.Errorf("got %v", err)
	}
	if err := c.open().inUse(nil, os.ErrExist); !errors.Is(err, os.ErrExist) {
		t.Errorf("another error became %v", err)
	}
}
