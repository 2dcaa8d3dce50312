package file_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
)

// inNamespace runs the test in a process of its own, where it may mount what it likes
// as user 0, and no more than others as any other user. It returns true there.
func inNamespace(t *testing.T, uid int) bool {
	t.Helper()
	if os.Getenv("KEPT_TEST_NAMESPACE") == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "KEPT_TEST_NAMESPACE="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
	case cmd.ProcessState == nil, bytes.Contains(out, []byte(cannotMount)):
		t.Skipf("no user namespaces: %v %s", err, out)
	default:
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

const cannotMount = "cannot mount"

// mount mounts a small file system in memory.
func mount(t *testing.T, options string) string {
	t.Helper()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, options); err != nil {
		t.Fatalf("%s: %v", cannotMount, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestFull(t *testing.T) {
	if !inNamespace(t, 0) {
		return
	}
	path := mount(t, "size=1m")
	r := open(t, path)
	if err := put(t, r, "packs/a", "text"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"packs/b", "packs/a"} {
		if err := put(t, r, name, strings.Repeat("x", 2<<20)); !errors.Is(err, remote.ErrFull) || remote.Temporary(err) {
			t.Errorf("Put of %s: %v", name, err)
		}
	}
	if text, err := read(t, r, "packs/a"); text != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if all := names(t, r); len(all) != 1 {
		t.Errorf("listed %q", all)
	}
	if err := put(t, r, "packs/b", strings.Repeat("x", 500<<10)); err != nil {
		t.Errorf("when there is room: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(path, ".tmp")); len(entries) != 0 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestReadOnlyMount(t *testing.T) {
	if !inNamespace(t, 0) {
		return
	}
	path := mount(t, "size=1m")
	r := open(t, path)
	if err := put(t, r, "packs/a", "text"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", path, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	wantReadOnly(t, r)
}

func TestReadOnlyFolder(t *testing.T) {
	if !inNamespace(t, 1000) {
		return
	}
	path := t.TempDir()
	r := open(t, path)
	if err := put(t, r, "packs/a", "text"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(path, "packs"), filepath.Join(path, ".tmp"), path} {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o777)
	}
	wantReadOnly(t, r)
}

// wantReadOnly wants to be told so, and that reading goes on.
func wantReadOnly(t *testing.T, r remote.Remote) {
	t.Helper()
	if err := put(t, r, "packs/b", "text"); !errors.Is(err, remote.ErrReadOnly) || remote.Temporary(err) {
		t.Errorf("Put: %v", err)
	}
	if err := r.Delete(t.Context(), "packs/a"); !errors.Is(err, remote.ErrReadOnly) {
		t.Errorf("Delete: %v", err)
	}
	if text, err := read(t, r, "packs/a"); text != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
