package oci_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// BenchmarkGiB moves what a model of 1 GiB is: 16 packs of 64 MiB, 8 at once. Both
// ends and the disk are on this machine, so it is what the client costs, not a network.
func BenchmarkGiB(b *testing.B) {
	const packs, size, jobs = 16, 64 << 20, 8
	url, settings := remotetest.StartRegistry(b)
	r := openURL(b, url, settings)
	defer func() { _ = r.Close() }()
	data := make([]byte, size+packs)
	_, _ = rand.Read(data) // never fails
	each := func(b *testing.B, do func(ctx context.Context, i int, name string) error) {
		b.Helper()
		b.SetBytes(packs * size)
		group, ctx := errgroup.WithContext(b.Context())
		group.SetLimit(jobs)
		for i := range packs {
			group.Go(func() error { return do(ctx, i, fmt.Sprintf("packs/%064x.pack", i)) })
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("put", func(b *testing.B) {
		for range b.N {
			// Each is the same a byte later, and so another blob; what is there already would not be sent.
			data[0]++
			each(b, func(ctx context.Context, i int, name string) error {
				return r.Put(ctx, name, bytes.NewReader(append(data[i:i+size-1:i+size-1], data[0])), size)
			})
		}
	})
	b.Run("get", func(b *testing.B) {
		for range b.N {
			each(b, func(ctx context.Context, _ int, name string) error { return drain(ctx, r, name) })
		}
	})
}

func drain(ctx context.Context, r remote.Remote, name string) error {
	body, err := r.Get(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	_ = body.Close()
	return err
}
