package disktest_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/disktest"
)

// save writes a file as a store does, and leaves out the steps named.
func save(fsys disk.FS, name, content string, without ...disktest.Kind) error {
	dir := filepath.Dir(name)
	if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := fsys.SyncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	t, err := fsys.Temp(dir)
	if err != nil {
		return err
	}
	defer t.Discard()
	if _, err := t.Write([]byte(content)); err != nil {
		return err
	}
	if !slices.Contains(without, disktest.Sync) {
		if err := t.Sync(); err != nil {
			return err
		}
	}
	if err := t.Publish(name); err != nil || slices.Contains(without, disktest.SyncDir) {
		return err
	}
	return fsys.SyncDir(dir)
}

func TestFaults(t *testing.T) {
	for _, forever := range []bool{false, true} {
		failed := 0
		for n := 1; ; n++ {
			dir := t.TempDir()
			f := disktest.NewFaults(disk.OS, disktest.Nth(n, forever, nil))
			err := save(f, filepath.Join(dir, "packs", "a"), "content")
			if f.Count() < n {
				if err != nil {
					t.Errorf("without a fault: %v", err)
				}
				break
			}
			failed = n
			if op := f.Hit(); op == nil || op.N != n || !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%v failed with %v", op, err)
			}
		}
		if failed != 7 {
			t.Errorf("%d operations failed, want 7", failed)
		}
	}
}

func TestDeath(t *testing.T) {
	name := filepath.Join(t.TempDir(), "packs", "a")
	f := disktest.NewFaults(disk.OS, disktest.DieAt(6))
	if err := save(f, name, "content"); !errors.Is(err, disktest.ErrDie) {
		t.Errorf("the publish that kills gives %v", err)
	}
	if err := f.Remove(filepath.Dir(name)); !errors.Is(err, disktest.ErrDie) {
		t.Errorf("after the death: %v", err)
	}
	f.Set(nil)
	if err := save(f, name, "content"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "fail", "fail x", "die 1 forever", "fail 1 once"} {
		if _, err := disktest.ParseRule(bad); err == nil {
			t.Errorf("%q is a rule", bad)
		}
	}
}

func TestSpoil(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := disktest.NewFaults(disk.OS, nil)
	f.Spoil = func(_ string, offset int64, p []byte) {
		for i := range p {
			if offset+int64(i) == 3 {
				p[i] ^= 1
			}
		}
	}
	file, err := f.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	mapped, release, err := file.Map()
	if err != nil || string(mapped) != "conuent" {
		t.Errorf("mapped %q, %v", mapped, err)
	}
	release()
	p := make([]byte, 4)
	if _, err := file.ReadAt(p, 2); err != nil || string(p) != "nuen" {
		t.Errorf("read %q, %v", p, err)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "content" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

// What a power cut leaves, by what was synced before it.
func TestPower(t *testing.T) {
	for _, c := range []struct {
		name    string
		without []disktest.Kind
		want    []string // may be there; "-" for nothing
	}{
		{"all synced", nil, []string{"content"}},
		{"name not synced", []disktest.Kind{disktest.SyncDir}, []string{"-", "content"}},
		{"bytes not synced", []disktest.Kind{disktest.Sync}, []string{"content", "", "part", "zeros"}},
		{"nothing synced", []disktest.Kind{disktest.Sync, disktest.SyncDir}, []string{"-", "content", "", "part", "zeros"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			root := filepath.Join(dir, "store")
			if err := os.MkdirAll(filepath.Join(root, "packs"), 0o700); err != nil {
				t.Fatal(err)
			}
			p, err := disktest.NewPower(disk.OS, root, filepath.Join(dir, "own"))
			if err != nil {
				t.Fatal(err)
			}
			if err := save(p, filepath.Join(root, "packs", "a"), "content", c.without...); err != nil {
				t.Fatal(err)
			}
			if got, want := len(p.Unsynced()) > 0, slices.Contains(c.without, disktest.Sync); got != want {
				t.Errorf("published unsynced: %v, want %v", got, want)
			}
			if got, want := len(p.Pending()) > 0, slices.Contains(c.without, disktest.SyncDir); got != want {
				t.Errorf("names pending: %v, want %v", got, want)
			}
			seen := map[string]bool{}
			r := rand.New(rand.NewPCG(1, 1))
			for i := range 200 {
				to := filepath.Join(dir, "cut", string(rune('0'+i)))
				if err := p.Cut(r, to); err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(filepath.Join(to, "packs", "a"))
				switch {
				case errors.Is(err, fs.ErrNotExist):
					seen["-"] = true
				case err != nil:
					t.Fatal(err)
				case string(b) == "content" || len(b) == 0:
					seen[string(b)] = true
				case len(b) < len("content"):
					seen["part"] = true
				default:
					seen["zeros"] = true
				}
			}
			for _, want := range c.want {
				if !seen[want] {
					t.Errorf("%q was never left", want)
				}
			}
			if len(seen) != len(c.want) {
				t.Errorf("a cut leaves %v, want %q", seen, c.want)
			}
		})
	}
}

// What was removed or renamed may come back, but never under both names or none.
func TestPowerNames(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "store")
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "gone"), 0o700),
		os.WriteFile(filepath.Join(root, "a"), []byte("a"), 0o600), os.WriteFile(filepath.Join(root, "b"), []byte("b"), 0o600)); err != nil {
		t.Fatal(err)
	}
	p, err := disktest.NewPower(disk.OS, root, filepath.Join(dir, "own"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Rename(filepath.Join(root, "a"), filepath.Join(root, "gone", "a")), p.Remove(filepath.Join(root, "b"))); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	left := func(to string) (names string) {
		if err := p.Cut(r, to); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b", "gone/a"} {
			if _, err := os.Stat(filepath.Join(to, name)); err == nil {
				names += " " + name
			}
		}
		return names
	}
	seen := map[string]bool{}
	for i := range 100 {
		seen[left(filepath.Join(dir, "cut", string(rune('0'+i))))] = true
	}
	for _, want := range []string{" a b", " a", " b gone/a", " gone/a"} {
		if !seen[want] {
			t.Errorf("never left:%s", want)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("left %v", seen)
	}
	if err := errors.Join(p.SyncDir(root), p.SyncDir(filepath.Join(root, "gone"))); err != nil {
		t.Fatal(err)
	}
	if got := left(filepath.Join(dir, "last")); got != " gone/a" || len(p.Pending()) != 0 {
		t.Errorf("after the sync there is%s", got)
	}
}
