//go:build unix

package core

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestCacheOfAGroup: whatever the umask is, the group can use what is made there.
func TestCacheOfAGroup(t *testing.T) {
	c := newClone(t)
	kept := c.keep("kept before")
	cache := filepath.Join(filepath.Dir(c.dir), "cache")
	if err := os.Mkdir(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cache, 0o770|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	defer syscall.Umask(syscall.Umask(0o077))
	if _, err := c.open().UseCache(t.Context(), cache); err != nil {
		t.Fatal(err)
	}
	c.commit(lockOf(kept, false))
	c.keep("kept afterwards")
	c.gc(GCOptions{})
	seen := 0
	err := filepath.WalkDir(cache, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		seen++
		mode := info.Mode()
		switch {
		case mode.Perm()&0o007 != 0:
			t.Errorf("everybody can use %s: %v", name, mode)
		case mode.IsDir() && (mode.Perm() != 0o770 || mode&fs.ModeSetgid == 0):
			t.Errorf("folder %s is %v", name, mode)
		case !mode.IsDir() && mode.Perm()&0o040 == 0:
			t.Errorf("the group can't read %s: %v", name, mode)
		}
		return nil
	})
	if err != nil || seen < 6 {
		t.Errorf("%d files, %v", seen, err)
	}
	if info, err := os.Stat(filepath.Join(cache, "lock")); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the lock is %v, %v", info.Mode(), err)
	}
}

func TestCacheOfAnotherUser(t *testing.T) {
	c := newClone(t)
	cache := filepath.Join(filepath.Dir(c.dir), "cache")
	if err := os.Mkdir(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(cache, 12345, os.Getegid()); err != nil {
		t.Skip("only root can give a folder away")
	}
	var bad *CacheError
	if _, err := c.open().UseCache(t.Context(), cache); !errors.As(err, &bad) || !bad.Foreign {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(c.open().Local.Config()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the clone uses it all the same: %v", err)
	}
	// It was a group's when it was chosen.
	c.write(".git/kept/config.toml", "cache = \""+cache+"\"\n")
	if _, err := c.open().GC(t.Context(), GCOptions{}); !errors.As(err, &bad) {
		t.Errorf("gc: got %v", err)
	}
	if err := os.Chmod(cache, 0o770|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if _, err := c.open().UseCache(t.Context(), cache); err != nil {
		t.Errorf("shared with our group: %v", err)
	}
}
