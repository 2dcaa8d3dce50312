package oci

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/kept-dev/kept/cas/remote"
)

// worthAsking is the size from which on it is cheaper to ask whether a blob is there
// than to send it for nothing.
const worthAsking = 1 << 20

// Put is remote.Remote's.
func (r *repository) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	ctx, h := listen(ctx)
	if err := remote.CheckName(name); err != nil {
		return r.fail(ctx, "put", name, err, h)
	}
	return r.fail(ctx, "put", name, r.put(ctx, name, body, size), h)
}

func (r *repository) put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	sum, err := hashed(ctx, body, size)
	if err != nil {
		return err
	}
	if err := r.empty.ensure(ctx, r); err != nil {
		return err
	}
	l := layer{digest: sum, size: size}
	if size > 0 {
		if err := r.upload(ctx, l, body); err != nil {
			return err
		}
	}
	manifest, err := encodeManifest(name, l)
	if err != nil {
		return err
	}
	r.seen.forget(name)
	stored, err := r.store(ctx, tag(name), manifest)
	if err != nil {
		// What is missing may be the empty blob, in a repository that was cleaned meanwhile.
		r.empty.doubt()
		return err
	}
	r.seen.add(name, stored, l)
	return nil
}

// hashed returns the digest of body, which the registry will want to see.
func hashed(ctx context.Context, body io.ReaderAt, size int64) (digest, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(body, 0, size))
	switch {
	case err != nil:
		return "", fmt.Errorf("read what to put: %w", err)
	case n != size:
		return "", fmt.Errorf("%w: there are %d to put, not %d", remote.ErrShort, n, size)
	}
	return digestOf(h), nil
}

// upload sends a blob that may be there already.
func (r *repository) upload(ctx context.Context, l layer, body io.ReaderAt) error {
	if l.size >= worthAsking {
		if there, err := r.hasBlob(ctx, l.digest); err != nil || there {
			return err
		}
	}
	return r.putBlob(ctx, l.digest, body, l.size)
}

// emptyBlob is the config of every manifest. It is looked for once.
type emptyBlob struct {
	sync.Mutex
	there bool
}

func (e *emptyBlob) ensure(ctx context.Context, r *repository) error {
	e.Lock()
	defer e.Unlock()
	if e.there {
		return nil
	}
	there, err := r.hasBlob(ctx, emptyDigest)
	if err == nil && !there {
		err = r.putBlob(ctx, emptyDigest, strings.NewReader(emptyText), int64(len(emptyText)))
	}
	e.there = err == nil
	return err
}

// doubt makes the next Put look for it again.
func (e *emptyBlob) doubt() {
	e.Lock()
	defer e.Unlock()
	e.there = false
}
