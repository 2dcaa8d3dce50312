package gcs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

// Get implements remote.Remote.
func (b *bucket) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := b.get(ctx, name, offset, length)
	if err != nil {
		return nil, b.fail(ctx, "get", name, err)
	}
	return body, nil
}

func (b *bucket) get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := remote.CheckName(name); err != nil {
		return nil, err
	}
	fail := func(err error) error { return b.fail(ctx, "get", name, err) }
	if length == 0 {
		return b.getNothing(ctx, name, offset, fail)
	}
	header, err := web.Range(offset, length)
	if err != nil {
		return nil, err
	}
	// Who does not take gzip gets an object that is marked as gzip unpacked, and a
	// range of it is ignored. The client does not unpack it either.
	header.Set("Accept-Encoding", "gzip")
	resp, err := b.do(ctx, request{method: http.MethodGet, path: b.path(name), query: url.Values{"alt": {"media"}}, header: header})
	if err != nil {
		return nil, err
	}
	n, err := web.CheckRange(resp, offset, length)
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return remote.Body(ctx, resp.Body, n, fail), nil
}

// getNothing is a Get of no bytes, which HTTP has no range for.
func (b *bucket) getNothing(ctx context.Context, name string, offset int64, fail func(error) error) (io.ReadCloser, error) {
	size, err := b.stat(ctx, name)
	if err != nil {
		return nil, err
	}
	if offset < 0 || offset > size {
		return nil, fmt.Errorf("offset %d in a file of %d bytes", offset, size)
	}
	return remote.Body(ctx, io.NopCloser(bytes.NewReader(nil)), 0, fail), nil
}

// Stat implements remote.Remote.
func (b *bucket) Stat(ctx context.Context, name string) (int64, error) {
	err := remote.CheckName(name)
	var size int64
	if err == nil {
		size, err = b.stat(ctx, name)
	}
	return size, b.fail(ctx, "stat", name, err)
}

func (b *bucket) stat(ctx context.Context, name string) (int64, error) {
	var o object
	err := b.ask(ctx, request{method: http.MethodGet, path: b.path(name), query: url.Values{"fields": {"size"}}}, &o)
	return o.Size, err
}

// Delete implements remote.Remote.
func (b *bucket) Delete(ctx context.Context, name string) error {
	err := remote.CheckName(name)
	if err == nil {
		err = b.ask(ctx, request{method: http.MethodDelete, path: b.path(name)}, nil)
	}
	err = b.fail(ctx, "delete", name, err)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
