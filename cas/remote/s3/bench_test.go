package s3_test

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// Packs are as large as those of a push, and as many at once.
const (
	packSize = 64 << 20
	packs    = 16
	jobs     = 8
)

func BenchmarkPut(b *testing.B) {
	url, settings := remotetest.StartS3(b)
	r := open(b, url, settings)
	defer r.Close()
	pack := content(1, packSize)
	b.SetBytes(packs * packSize)
	for b.Loop() {
		side(b, func(name string) error { return r.Put(b.Context(), name, bytes.NewReader(pack), packSize) })
	}
}

func BenchmarkGet(b *testing.B) {
	url, settings := remotetest.StartS3(b)
	r := open(b, url, settings)
	defer r.Close()
	pack := content(1, packSize)
	side(b, func(name string) error { return r.Put(b.Context(), name, bytes.NewReader(pack), packSize) })
	b.SetBytes(packs * packSize)
	for b.Loop() {
		side(b, func(name string) error { return read(b, r, name) })
	}
}

func read(b *testing.B, r remote.Remote, name string) error {
	body, err := r.Get(b.Context(), name, 0, packSize)
	if err != nil {
		return err
	}
	defer body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, body, make([]byte, 1<<20))
	if err == nil && n != packSize {
		err = fmt.Errorf("%d bytes", n)
	}
	return err
}

// side does something with each pack, several at once.
func side(b *testing.B, do func(name string) error) {
	b.Helper()
	free := make(chan struct{}, jobs)
	var wg sync.WaitGroup
	for i := range packs {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			if err := do(fmt.Sprintf("packs/%d.pack", i)); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}
