package sftp_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// packs are put and got as many at once as a transfer has jobs.
func BenchmarkPacks(b *testing.B) {
	const files, size, jobs = 16, 64 << 20, 8
	s := remotetest.StartSSHD(b)
	r := open(b, s.URL)
	defer r.Close()
	file := filepath.Join(b.TempDir(), "pack")
	body := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(body)
	if err := os.WriteFile(file, body, 0o600); err != nil {
		b.Fatal(err)
	}
	each := func(b *testing.B, do func(name string) error) {
		b.SetBytes(files * size)
		for b.Loop() {
			free, errs := make(chan struct{}, jobs), make(chan error, files)
			for i := range files {
				free <- struct{}{}
				go func() {
					errs <- do(fmt.Sprintf("packs/%d.pack", i))
					<-free
				}()
			}
			for range files {
				if err := <-errs; err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("put", func(b *testing.B) {
		each(b, func(name string) error {
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			return r.Put(b.Context(), name, f, size)
		})
	})
	b.Run("get", func(b *testing.B) {
		each(b, func(name string) error {
			body, err := r.Get(b.Context(), name, 0, size)
			if err != nil {
				return err
			}
			defer body.Close()
			_, err = io.Copy(io.Discard, body)
			return err
		})
	})
}
