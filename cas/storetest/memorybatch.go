package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"sync"

	"github.com/kept-dev/kept/cas"
)

// Batch implements cas.Store. Nothing of a batch is seen before Commit, which is
// the least that the contract allows.
func (m *Memory) Batch() cas.Batch {
	return &memoryBatch{m: m, objects: map[cas.Digest][]byte{}}
}

type memoryBatch struct {
	m       *Memory
	mu      sync.Mutex
	objects map[cas.Digest][]byte // nil after Commit and Close
}

var errBatchOver = errors.New("batch was committed or closed")

func (b *memoryBatch) Put(ctx context.Context, r io.Reader) (cas.Digest, int64, error) {
	content, err := io.ReadAll(contextReader{ctx, r})
	if err != nil {
		return cas.Digest{}, 0, err
	}
	d, err := b.add(content)
	return d, int64(len(content)), err
}

func (b *memoryBatch) PutBytes(ctx context.Context, content []byte) (cas.Digest, error) {
	if err := ctx.Err(); err != nil {
		return cas.Digest{}, err
	}
	return b.add(bytes.Clone(content))
}

func (b *memoryBatch) add(content []byte) (cas.Digest, error) {
	d := cas.Sum(content)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects == nil {
		return cas.Digest{}, errBatchOver
	}
	b.objects[d] = content
	return d, nil
}

func (b *memoryBatch) Has(ctx context.Context, d cas.Digest) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	b.mu.Lock()
	_, ok := b.objects[d]
	b.mu.Unlock()
	if ok {
		return true, nil
	}
	_, err := b.m.Stat(ctx, d)
	var missing *cas.MissingError
	if errors.As(err, &missing) {
		return false, nil
	}
	return err == nil, err
}

func (b *memoryBatch) Missing(ctx context.Context, list []cas.Digest) ([]int, error) {
	var missing []int
	for i, d := range list {
		has, err := b.Has(ctx, d)
		if err != nil {
			return nil, err
		}
		if !has {
			missing = append(missing, i)
		}
	}
	return missing, nil
}

func (b *memoryBatch) Commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects == nil {
		return errBatchOver
	}
	b.m.mu.Lock()
	maps.Copy(b.m.objects, b.objects)
	b.m.mu.Unlock()
	b.objects = nil
	return nil
}

func (b *memoryBatch) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects = nil
	return nil
}
