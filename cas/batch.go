package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/kept-dev/kept/cas/chunk"
	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
)

// freshAge is the age from which a pack that is used again is touched, so that
// a collection sees that it is in use.
const freshAge = time.Hour

// batch is the Batch of a Local. What is put goes through it like this:
//
//	a small content            one blob
//	a large one                cut into segments (stream.go), those into blobs
//	a blob that is new         into the open group of its class (group.go)
//	a full group               encoded, appended to the open pack (shelf.go)
//	a full pack                synced and published
//	Commit                     the rest, and the manifests last
//
// So a manifest is never there before what it lists, also when the writer is
// killed, and the chunks of a killed writer are there for the next one.
type batch struct {
	l       *Local
	release func() // of the store's shared lock
	shelf   *shelf
	slots   chan struct{} // one for each group or segment at work
	groups  gathering
	work    sync.WaitGroup

	mu        sync.Mutex
	claimed   map[Digest]bool // what this batch has put or found
	relied    [][]pack.Key    // what it has found many at a time
	manifests []content
	used      map[pack.Name]bool // packs that have some of it already
	err       error              // the first failure: nothing can be committed after it
}

// content is an entry and its bytes.
type content struct {
	pack.Entry
	bytes []byte
}

// Put implements Store.
func (l *Local) Put(ctx context.Context, r io.Reader) (Digest, int64, error) {
	b := l.Batch()
	defer b.Close()
	d, n, err := b.Put(ctx, r)
	if err == nil {
		err = b.Commit(ctx)
	}
	if err != nil {
		return Digest{}, 0, err
	}
	return d, n, nil
}

// Batch implements Store.
func (l *Local) Batch() Batch {
	return &batch{
		l:       l,
		shelf:   newShelf(l),
		slots:   make(chan struct{}, 2*workers),
		claimed: map[Digest]bool{},
		used:    map[pack.Name]bool{},
	}
}

func (b *batch) Put(ctx context.Context, r io.Reader) (Digest, int64, error) {
	d, n, err := b.put(ctx, r)
	if err != nil {
		return Digest{}, 0, fmt.Errorf("store object: %w", err)
	}
	return d, n, nil
}

func (b *batch) put(ctx context.Context, r io.Reader) (Digest, int64, error) {
	if err := b.start(ctx); err != nil {
		return Digest{}, 0, err
	}
	buf := segments.Get()
	head := buf[segmentRest:][:chunk.Max+1]
	n, err := readFull(ctx, r, head)
	if err == nil {
		return b.putStream(ctx, buf, n, r)
	}
	defer segments.Put(buf)
	if err != io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure and not the end
		return Digest{}, 0, err
	}
	d, err := b.putBlob(ctx, head[:n])
	return d, int64(n), err
}

func (b *batch) PutBytes(ctx context.Context, content []byte) (Digest, error) {
	if len(content) > chunk.Max {
		d, _, err := b.Put(ctx, bytes.NewReader(content))
		return d, err
	}
	err := b.start(ctx)
	var d Digest
	if err == nil {
		d, err = b.putBlob(ctx, content)
	}
	if err != nil {
		return Digest{}, fmt.Errorf("store object: %w", err)
	}
	return d, nil
}

// start is what every use of a batch begins with.
func (b *batch) start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.release != nil || b.err != nil {
		return b.err
	}
	release, err := b.l.use(ctx)
	if err != nil {
		return err
	}
	b.release = release
	// What is there now stays; what was there before may be gone.
	_, b.err = b.l.set.Refresh()
	return b.err
}

// fail notes an error that the batch can't recover from.
func (b *batch) fail(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
	return b.err
}

// failed returns the error that the batch can't recover from, if there was one.
func (b *batch) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// putBlob keeps content of one chunk, of which it makes a copy.
func (b *batch) putBlob(ctx context.Context, content []byte) (Digest, error) {
	d := Sum(content)
	fresh, err := b.claim(d)
	if err != nil || !fresh {
		return d, err
	}
	entries := []pack.Entry{blobEntry(d, 0, len(content))}
	full := b.groups.add(codec.Probe(content), content, entries)
	if full == nil {
		return d, nil
	}
	if err := b.slot(ctx); err != nil {
		return d, b.fail(err) // what was claimed will not be written
	}
	b.background(func() error { return b.encodeGroup(full) })
	return d, nil
}

func blobEntry(d Digest, at, n int) pack.Entry {
	return pack.Entry{Key: d, Kind: pack.Blob, Size: int64(n), At: uint32(at), Len: uint32(n)}
}

// claim reports whether d has to be written, by the caller, because neither the
// store nor this batch has it.
func (b *batch) claim(d Digest) (fresh bool, err error) {
	b.mu.Lock()
	there := b.claimed[d]
	b.claimed[d] = true
	b.mu.Unlock()
	if there {
		return false, nil
	}
	at, found, err := b.l.set.Find(d)
	if err != nil {
		return false, b.fail(err)
	}
	if found {
		b.use(at.Pack)
	}
	return !found, nil
}

// use notes that what is put relies on a pack that is there.
func (b *batch) use(name pack.Name) {
	b.mu.Lock()
	b.used[name] = true
	b.mu.Unlock()
}

// Has implements Batch.
func (b *batch) Has(ctx context.Context, d Digest) (bool, error) {
	if err := b.start(ctx); err != nil {
		return false, err
	}
	b.mu.Lock()
	there := b.claimed[d]
	b.mu.Unlock()
	if there {
		return true, nil
	}
	at, found, err := b.l.set.Find(d)
	if err != nil || !found {
		return false, err
	}
	b.use(at.Pack)
	if at.Kind == pack.Manifest {
		err = b.l.eachChunk(ctx, at, func(p part) error {
			at, err := b.l.find(p.key)
			b.use(at.Pack)
			return err
		})
	}
	var missing *MissingError
	var corrupt *CorruptError
	if errors.As(err, &missing) || errors.As(err, &corrupt) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	b.mu.Lock()
	b.claimed[d] = true
	b.mu.Unlock()
	return true, nil
}

// slot waits for leave to begin a piece of work, which background gives back.
func (b *batch) slot(ctx context.Context) error {
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// background does a piece of work for which there is a slot.
func (b *batch) background(work func() error) {
	b.work.Go(func() {
		defer func() { <-b.slots }()
		if err := work(); err != nil {
			_ = b.fail(err)
		}
	})
}

// Commit implements Batch.
func (b *batch) Commit(ctx context.Context) error {
	if err := b.commit(ctx); err != nil {
		return fmt.Errorf("store objects: %w", b.fail(err))
	}
	return nil
}

// settle has all that was put but the manifests in the packs.
func (b *batch) settle(ctx context.Context) error {
	b.work.Wait()
	if err := b.start(ctx); err != nil {
		return err
	}
	for _, g := range b.groups.rest() {
		if err := b.slot(ctx); err != nil {
			return err
		}
		b.background(func() error { return b.encodeGroup(g) })
	}
	b.work.Wait()
	return b.start(ctx)
}

func (b *batch) commit(ctx context.Context) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	if err := b.writeManifests(); err != nil {
		return err
	}
	if err := b.shelf.close(ctx); err != nil {
		return err
	}
	if err := b.touch(ctx); err != nil {
		return err
	}
	// Also for what was there: its writer may not have come to this yet.
	if err := b.l.set.Sync(); err != nil && !IsReadOnly(err) {
		return err
	}
	_ = b.l.set.Merge(ctx) // a cache: without it the next look takes longer
	return nil
}

// writeManifests appends the manifests to the last pack.
func (b *batch) writeManifests() error {
	for _, m := range b.manifests {
		class := codec.Probe(m.bytes)
		if err := b.encode(class, m.bytes, []pack.Entry{m.Entry}); err != nil {
			return err
		}
	}
	b.manifests = nil
	return nil
}

// touch makes packs that are in use young again, and finds out if one has gone.
func (b *batch) touch(ctx context.Context) error {
	if b.l.foreign || len(b.used) == 0 {
		return nil
	}
	now := time.Now()
	infos, err := b.l.set.Packs()
	if err != nil {
		return err
	}
	left := len(b.used)
	for _, info := range infos {
		if !b.used[info.Name] {
			continue
		}
		left--
		if now.Sub(info.ModTime) < freshAge {
			continue
		}
		if err := b.l.disk.Touch(b.l.set.Path(info.Name), now); isGone(err) {
			left++
		} else if err != nil && !IsReadOnly(err) {
			return err
		}
	}
	if left == 0 {
		return nil
	}
	return b.lookAgain(ctx)
}

// lookAgain looks for all that was put or found to be there. A pack of it was
// found damaged meanwhile, and not all that it had may have moved to another.
func (b *batch) lookAgain(ctx context.Context) error {
	if _, err := b.l.set.Refresh(); err != nil {
		return err
	}
	for d := range b.claimed {
		if err := b.lookFor(ctx, d); err != nil {
			return err
		}
	}
	for _, keys := range b.relied {
		for _, key := range keys {
			if err := b.lookFor(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batch) lookFor(ctx context.Context, d Digest) error {
	_, err := b.l.Stat(ctx, d)
	var missing *MissingError
	if errors.As(err, &missing) {
		return fmt.Errorf("%w: it was there, and was found damaged before this was done; do it again", missing)
	}
	return err
}

// Close implements Batch.
func (b *batch) Close() error {
	b.work.Wait()
	b.shelf.discard()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = errClosed
	}
	if b.release != nil {
		b.release()
		b.release = nil
	}
	return nil
}
