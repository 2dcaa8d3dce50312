package cas_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kept-dev/kept/cas"
)

// sharing are the file systems that share blocks, and how to make one.
var sharing = map[string][]string{
	"xfs":   {"mkfs.xfs", "-q", "-m", "reflink=1"},
	"btrfs": {"mkfs.btrfs", "-q", "--mixed"}, // one kind of block group, so that what is used is what files use
}

// mountSharing makes a file system in a file and mounts it.
func mountSharing(t *testing.T, mkfs []string) (dir string, err error) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	dir = t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 512<<20); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{append(mkfs[1:len(mkfs):len(mkfs)], image), {"-o", "loop", image, dir}} {
		name := "mount"
		if args[0] != "-o" {
			name = mkfs[0]
		}
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", name, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir, nil
}

// usedBytes is what the file system at dir has in use.
func usedBytes(t *testing.T, dir string) int64 {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}

// On a file system that shares blocks a new version costs what differs. The test
// makes such file systems, as root and where their tools are.
func TestPlaceReflink(t *testing.T) {
	const size = 64 << 20
	done := 0
	for kind, mkfs := range sharing {
		dir, err := mountSharing(t, mkfs)
		if err != nil {
			t.Log(err)
			continue
		}
		done++
		store := openLocal(t, t.TempDir())
		old, now := versions(t, store, size)
		w := workTree{t: t, root: filepath.Join(dir, "root"), tmp: filepath.Join(dir, "root", ".git", "kept", "tmp")}
		if err := os.Mkdir(w.root, 0o777); err != nil {
			t.Fatal(err)
		}
		w.Placer = cas.NewPlacer(w.root, w.tmp)
		if err := w.file(store, "model", old); err != nil {
			t.Fatal(err)
		}
		hardlink(w, "model", "before") // keeps the old blocks in use, and must keep its content
		used := usedBytes(t, dir)
		if _, err := w.Update(t.Context(), store, "model", cas.Sum([]byte(old)), cas.Sum([]byte(now)), size, false); err != nil {
			t.Fatal(err)
		}
		cost := usedBytes(t, dir) - used
		t.Logf("%s: 1 %% of %d bytes changed takes %d bytes, %.2f %%", kind, size, cost, float64(cost)*100/size)
		if cost > size*3/100 {
			t.Errorf("%s: 1 %% of %d bytes changed takes %d bytes", kind, size, cost)
		}
		w.wantFile("model", now)
		w.wantFile("before", old)
		if err := w.Remove("model"); err != nil {
			t.Fatal(err)
		}
		w.symlink("before", "model") // must not be cloned through, nor followed
		if _, err := w.Update(t.Context(), store, "model", cas.Sum([]byte(old)), cas.Sum([]byte(now)), size, false); err != nil {
			t.Fatal(err)
		}
		w.wantFile("model", now)
		w.wantFile("before", old)
		w.wantNoTemps()
	}
	if done == 0 {
		t.Skip("no file system that shares blocks can be made here")
	}
}
