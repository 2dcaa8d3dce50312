//go:build unix

package cas_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// The umask of the process decides, as for every file that a user's tools make.
func TestPlacePermissions(t *testing.T) {
	s := memory(t, "x")
	for _, umask := range []int{0o022, 0o077, 0o002, 0o027} {
		old := unix.Umask(umask)
		w := newWorkTree(t)
		for _, beside := range []bool{false, true} {
			if beside {
				w.SetBeside()
			}
			for executable, perm := range map[bool]os.FileMode{false: 0o666, true: 0o777} {
				info, err := w.File(t.Context(), s, "dir/file", cas.Sum([]byte("x")), 1, executable)
				if want := perm &^ os.FileMode(umask); err != nil || info.Mode().Perm() != want {
					t.Errorf("umask %o, executable %v: %v, %v; want %v", umask, executable, info.Mode(), err, want)
				}
			}
		}
		if info, err := os.Stat(w.path("dir")); err != nil || info.Mode().Perm() != 0o777&^os.FileMode(umask) {
			t.Errorf("umask %o: folder %v, %v", umask, info.Mode(), err)
		}
		unix.Umask(old)
	}
}

// A FIFO at the path: replacing it does not open it, which would block for ever.
func TestPlaceOverFIFO(t *testing.T) {
	w := newWorkTree(t)
	if err := unix.Mkfifo(w.path("a"), 0o600); err != nil {
		t.Skip(err)
	}
	if err := w.Remove("a"); asUnsafe(err) == nil {
		t.Errorf("Remove of a FIFO = %v", err)
	}
	if err := w.file(memory(t, "x"), "a/b", "x"); asUnsafe(err) == nil {
		t.Errorf("File below a FIFO = %v", err)
	}
	if err := w.file(memory(t, "x"), "a", "x"); err != nil {
		t.Fatal(err)
	}
	w.wantFile("a", "x")
}

// The folder for unfinished files is on another file system.
func TestPlaceAcrossDevices(t *testing.T) {
	w := newWorkTree(t)
	tmp, err := os.MkdirTemp("/dev/shm", "kept")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(tmp)
	var a, b unix.Stat_t
	if unix.Stat(tmp, &a) != nil || unix.Stat(w.root, &b) != nil || a.Dev == b.Dev {
		t.Skip("no second file system")
	}
	w.write("d/link", "old")
	w.Placer = cas.NewPlacer(w.root, tmp)
	if err := w.Link("d/link", "x"); err != nil {
		t.Fatal(err)
	}
	w.Placer = cas.NewPlacer(w.root, tmp)
	content := string(storetest.Random(1, 300_000))
	for _, path := range []string{"d/model", "d/link", "e/f"} {
		if err := w.file(memory(t, content), path, content); err != nil {
			t.Fatal(err)
		}
		w.wantFile(path, content)
	}
	w.wantNoTemps()
	if left := listFiles(t, tmp); left != nil {
		t.Errorf("left in tmp: %v", left)
	}
}
