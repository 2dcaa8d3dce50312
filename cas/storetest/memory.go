package storetest

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/kept-dev/kept/cas"
)

// Memory is a Store in memory, for tests of what uses a Store.
type Memory struct {
	mu      sync.Mutex
	objects map[cas.Digest][]byte
}

var (
	_ cas.Store = (*Memory)(nil)
	_ Corrupter = (*Memory)(nil)
)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{objects: map[cas.Digest][]byte{}} }

// Put implements cas.Store.
func (m *Memory) Put(ctx context.Context, r io.Reader) (cas.Digest, int64, error) {
	b, err := io.ReadAll(contextReader{ctx, r})
	if err != nil {
		return cas.Digest{}, 0, err
	}
	d := cas.Sum(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[d] = b
	return d, int64(len(b)), nil
}

// Open implements cas.Store.
func (m *Memory) Open(ctx context.Context, d cas.Digest) (io.ReadCloser, error) {
	b, err := m.get(ctx, d)
	if err != nil {
		return nil, err
	}
	r := io.NopCloser(contextReader{ctx, bytes.NewReader(b)})
	return cas.VerifyReader(r, d, int64(len(b))), nil
}

// Stat implements cas.Store.
func (m *Memory) Stat(ctx context.Context, d cas.Digest) (int64, error) {
	b, err := m.get(ctx, d)
	return int64(len(b)), err
}

// Len returns the number of objects.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.objects)
}

// Corrupt implements Corrupter.
func (m *Memory) Corrupt(d cas.Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := bytes.Clone(m.objects[d]) // a reader may still have the old bytes
	b[len(b)/2] ^= 1
	m.objects[d] = b
	return nil
}

func (m *Memory) get(ctx context.Context, d cas.Digest) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.objects[d]
	if !ok {
		return nil, &cas.MissingError{Digest: d}
	}
	return b, nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
