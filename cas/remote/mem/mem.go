// Package mem is a remote in memory, for tests and for trying things out.
package mem

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kept-dev/kept/cas/remote"
)

// Remote is a remote.Remote in memory. It lives as long as somebody holds it; Close
// changes nothing.
type Remote struct {
	mu    sync.Mutex
	files map[string][]byte
}

// New returns an empty one.
func New() *Remote { return &Remote{files: map[string][]byte{}} }

// Put implements remote.Remote.
func (r *Remote) Put(ctx context.Context, name string, body io.ReaderAt, size int64) error {
	if err := check(ctx, name); err != nil {
		return fail("put", name, err)
	}
	if size < 0 {
		return fail("put", name, fmt.Errorf("a size of %d", size))
	}
	b, err := io.ReadAll(remote.Body(ctx, io.NopCloser(io.NewSectionReader(body, 0, size)), size, nil))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fail("put", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = b
	return nil
}

// Get implements remote.Remote.
func (r *Remote) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	b, err := r.find(ctx, name)
	if err != nil {
		return nil, fail("get", name, err)
	}
	size := int64(len(b))
	all := offset == 0 && length < 0
	if offset < 0 || offset > size || offset == size && length != 0 && !all {
		return nil, fail("get", name, fmt.Errorf("offset %d in a file of %d bytes", offset, size))
	}
	content := io.NopCloser(bytes.NewReader(b[offset:]))
	return remote.Body(ctx, content, length, func(err error) error { return fail("get", name, err) }), nil
}

// Stat implements remote.Remote.
func (r *Remote) Stat(ctx context.Context, name string) (int64, error) {
	b, err := r.find(ctx, name)
	if err != nil {
		return 0, fail("stat", name, err)
	}
	return int64(len(b)), nil
}

// find returns a content, which nobody changes.
func (r *Remote) find(ctx context.Context, name string) ([]byte, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

// List implements remote.Remote, sorted by name.
func (r *Remote) List(ctx context.Context, prefix string, each func(remote.Info) error) error {
	if err := cmp.Or(ctx.Err(), remote.CheckPrefix(prefix)); err != nil {
		return fail("list", prefix, err)
	}
	r.mu.Lock()
	files := maps.Clone(r.files)
	r.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		err := each(remote.Info{Name: name, Size: int64(len(files[name]))})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fail("list", prefix, err)
		}
	}
	return nil
}

// Delete implements remote.Remote.
func (r *Remote) Delete(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return fail("delete", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.files, name)
	return nil
}

// Close implements remote.Remote.
func (r *Remote) Close() error { return nil }

func check(ctx context.Context, name string) error {
	return cmp.Or(ctx.Err(), remote.CheckName(name))
}

func fail(op, name string, err error) error {
	e := &remote.Error{Op: op, Remote: "mem://", Name: name, Err: err}
	if errors.Is(err, fs.ErrNotExist) {
		e.Kind, e.Err = fs.ErrNotExist, nil
	}
	return e
}
