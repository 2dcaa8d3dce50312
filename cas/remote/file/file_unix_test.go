//go:build unix

package file_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
)

// TestLinks: nothing is read, written or removed through a link.
func TestLinks(t *testing.T) {
	outside := t.TempDir()
	path := t.TempDir()
	r := open(t, path)
	if err := put(t, r, "inside/file", "text"); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(outside, "file")
	if err := os.WriteFile(secret, []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out": outside, "in": "inside", "link": secret, "near": "inside/file", "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(path, "pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"out/file", "in/file", "link", "near", "dangling", "pipe"} {
		if _, err := r.Stat(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Stat of %s: %v", name, err)
		}
		if text, err := read(t, r, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get of %s: %q, %v", name, text, err)
		}
		if err := r.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete of %s: %v", name, err)
		}
	}
	for _, prefix := range []string{"out/", "in/", "link/"} {
		err := r.List(t.Context(), prefix, func(i remote.Info) error { return errors.New(i.Name) })
		if err != nil {
			t.Errorf("List of %s: %v", prefix, err)
		}
	}
	for _, name := range []string{"out/new", "in/new", "link/new", "dangling/new"} {
		if err := put(t, r, name, "text"); err == nil {
			t.Errorf("Put of %s follows a link", name)
		}
	}
	if err := put(t, r, "link", "text"); err != nil { // the link goes, and not what it leads to
		t.Error(err)
	}
	if b, err := os.ReadFile(secret); string(b) != "secret" || err != nil {
		t.Errorf("what a link leads to has %q, %v", b, err)
	}
	if all := names(t, r); len(all) != 2 || all[0] != "inside/file" || all[1] != "link" {
		t.Errorf("listed %q", all)
	}
	if entries, err := os.ReadDir(outside); len(entries) != 1 || err != nil {
		t.Errorf("outside there is %v, %v", entries, err)
	}
}

func TestPermissions(t *testing.T) {
	old := syscall.Umask(0o027)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "remote")
	r := open(t, path)
	if err := put(t, r, "packs/a", "text"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o750, "packs": 0o750, "packs/a": 0o640} {
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q has %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	shared := filepath.Join(t.TempDir(), "shared")
	if err := errors.Join(os.Mkdir(shared, 0o777), os.Chmod(shared, 0o770|fs.ModeSetgid)); err != nil {
		t.Fatal(err)
	}
	r = open(t, filepath.Join(shared, "remote"))
	if err := put(t, r, "packs/a", "text"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"remote", "remote/packs", "remote/.tmp"} {
		if info, err := os.Stat(filepath.Join(shared, name)); err != nil || info.Mode().Perm() != 0o770 || info.Mode()&fs.ModeSetgid == 0 {
			t.Errorf("%q has %v, %v", name, info.Mode(), err)
		}
	}
}
