package disk_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/disktest"
)

// What many write at once, in any order, is what is published.
func TestBulk(t *testing.T) {
	for name, fsys := range map[string]disk.FS{"anonymous": disk.OS, "named": disk.Named} {
		for _, size := range []int{0, 1, 4095, 2 << 20, 2<<20 + 1, 4<<20 + 4096, 13<<20 + 517} {
			dir := t.TempDir()
			file, err := fsys.Temp(dir)
			if err != nil {
				t.Fatal(err)
			}
			b := disk.NewBulk(file)
			want := make([]byte, size)
			r := rand.New(rand.NewPCG(1, uint64(size)))
			for i := range want {
				want[i] = byte(r.Uint32())
			}
			var work sync.WaitGroup
			for at := 0; at < size; {
				part, offset := want[at:min(at+1+r.IntN(300<<10), size)], int64(at)
				work.Go(func() {
					if _, err := b.WriteAt(part, offset); err != nil {
						t.Error(err)
					}
				})
				at += len(part)
			}
			work.Wait()
			if err := b.Sync(); err != nil {
				t.Fatal(err)
			}
			part := make([]byte, size/2)
			if _, err := b.ReadAt(part, int64(size/4)); err != nil || !bytes.Equal(part, want[size/4:size/4+size/2]) {
				t.Errorf("%s, %d bytes: what is read back differs: %v", name, size, err)
			}
			to := filepath.Join(dir, "a")
			if err := b.Publish(to); err != nil {
				t.Fatal(err)
			}
			b.Discard()
			if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes: got %d others: %v", name, size, len(got), err)
			}
		}
	}
}

// A write that fails in the background is told at the latest by Sync.
func TestBulkFaults(t *testing.T) {
	content := make([]byte, 5<<20+1)
	for n := 1; ; n++ {
		dir := t.TempDir()
		f := disktest.NewFaults(disk.OS, disktest.Nth(n, false, nil))
		err := saveBulk(f, dir, content)
		if f.Count() < n {
			if err != nil {
				t.Error(err)
			}
			if n != 8 { // make, two blocks, the pages and the byte that are left, sync, publish
				t.Errorf("%d operations, want 7", n-1)
			}
			return
		}
		if err == nil {
			t.Errorf("%v failed, and nobody was told", f.Hit())
		}
		if _, err := os.Stat(filepath.Join(dir, "a")); err == nil && f.Hit().Kind != disktest.Publish {
			t.Errorf("published though %v failed", f.Hit())
		}
	}
}

func saveBulk(fsys disk.FS, dir string, content []byte) error {
	file, err := fsys.Temp(dir)
	if err != nil {
		return err
	}
	b := disk.NewBulk(file)
	defer b.Discard()
	for at := 0; at < len(content); at += 1 << 20 {
		if _, err := b.Write(content[at:min(at+1<<20, len(content))]); err != nil {
			return err
		}
	}
	if err := b.Sync(); err != nil {
		return err
	}
	return b.Publish(filepath.Join(dir, "a"))
}

// A file in which something was left out is none.
func TestBulkHole(t *testing.T) {
	for _, at := range []int64{1, 5 << 20} {
		file, err := disk.OS.Temp(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		b := disk.NewBulk(file)
		if _, err := b.WriteAt([]byte("x"), at); err != nil {
			t.Fatal(err)
		}
		if at > 1 {
			if _, err := b.WriteAt([]byte("x"), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Sync(); err == nil {
			t.Errorf("a hole before %d", at)
		}
		b.Discard()
		if _, err := b.WriteAt([]byte("x"), 0); err == nil || errors.Is(err, os.ErrClosed) {
			t.Errorf("after Discard: %v", err)
		}
	}
}
