package cas_test

import (
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/disk"
)

// slowDisk takes its time to sync, so that packs are full faster than they are
// published.
type slowDisk struct{ disk.FS }

type slowTemp struct{ disk.Temp }

func (d slowDisk) Temp(dir string) (disk.Temp, error) {
	t, err := d.FS.Temp(dir)
	return slowTemp{t}, err
}

func (t slowTemp) Sync() error {
	time.Sleep(20 * time.Millisecond)
	return t.Temp.Sync()
}

// A writer that is faster than its disk waits for it, and for nothing else.
func TestPutFasterThanItsDisk(t *testing.T) {
	l, err := cas.OpenLocalOn(slowDisk{disk.OS}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l.SetSizes(1<<20, 16)
	done := make(chan error, 1)
	go func() {
		_, _, err := l.Put(t.Context(), io.LimitReader(rand.NewChaCha8([32]byte{3}), 40<<20))
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("a writer hangs")
	}
}
