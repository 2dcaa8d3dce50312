package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/kept-dev/kept/cas/remote"
)

// Get is remote.Remote's.
func (r *repository) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	ctx, h := listen(ctx)
	if err := remote.CheckName(name); err != nil {
		return nil, r.fail(ctx, "get", name, err, h)
	}
	body, left, err := r.get(ctx, name, offset, length)
	if err != nil {
		return nil, r.fail(ctx, "get", name, err, h)
	}
	return remote.Body(ctx, body, left, func(err error) error { return r.fail(ctx, "get", name, err, h) }), nil
}

// get returns a body that has to give left bytes.
func (r *repository) get(ctx context.Context, name string, offset, length int64) (body io.ReadCloser, left int64, err error) {
	l, known := r.seen.name(name)
	if !known {
		if l, err = r.byReference(ctx, name, tag(name)); err != nil {
			return nil, 0, err
		}
	}
	body, left, err = r.blob(ctx, l, offset, length)
	if known && errors.Is(err, errNotFound) {
		// Somebody else deleted it, and maybe put it again.
		r.seen.forget(name)
		return r.get(ctx, name, offset, length)
	}
	return body, left, err
}

// blob returns length bytes of a blob from offset on.
func (r *repository) blob(ctx context.Context, l layer, offset, length int64) (io.ReadCloser, int64, error) {
	if length < 0 && (offset < l.size || l.size == 0) {
		length = l.size - offset
	}
	switch {
	case length == 0 && offset >= 0 && offset <= l.size:
		return http.NoBody, 0, nil
	case offset < 0 || offset >= l.size || length > l.size-offset:
		return nil, 0, fmt.Errorf("%w: it has %d, wanted are %d from %d on", remote.ErrShort, l.size, length, offset)
	}
	resp, err := r.request(ctx, l, offset, length)
	if err != nil {
		return nil, 0, err
	}
	if err := begin(resp, l, offset, length); err != nil {
		_ = resp.Body.Close()
		return nil, 0, err
	}
	return resp.Body, length, nil
}

// request asks for a part of a blob. Most registries send on to where they keep
// theirs; the client follows, with the range and without the credentials.
func (r *repository) request(ctx context.Context, l layer, offset, length int64) (*http.Response, error) {
	req, err := r.newRequest(ctx, http.MethodGet, "blobs/"+string(l.digest), nil)
	if err != nil {
		return nil, err
	}
	if length < l.size {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	}
	return r.auth.do(req, toPull)
}

// begin sees to it that the body of resp begins with the byte at offset.
func begin(resp *http.Response, l layer, offset, length int64) error {
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if want := fmt.Sprintf("bytes %d-", offset); !strings.HasPrefix(resp.Header.Get("Content-Range"), want) {
			return fmt.Errorf("%w: asked for %q, it sent %q", remote.ErrShort, want, resp.Header.Get("Content-Range"))
		}
		return exactly(resp, length)
	case http.StatusOK:
		// It knows no ranges, or the range is the whole.
		if err := exactly(resp, l.size); err != nil {
			return err
		}
		_, err := io.CopyN(io.Discard, resp.Body, offset)
		return err
	case http.StatusNotFound:
		return errNotFound
	default:
		return answer(resp)
	}
}

// exactly refuses a body that says that it has another length than want.
func exactly(resp *http.Response, want int64) error {
	if resp.ContentLength >= 0 && resp.ContentLength != want {
		return fmt.Errorf("%w: it sends %d, not %d", remote.ErrShort, resp.ContentLength, want)
	}
	return nil
}
