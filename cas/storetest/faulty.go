package storetest

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/kept-dev/kept/cas"
)

// Fault is what goes wrong with one stream of bytes.
type Fault struct {
	// After is how many bytes pass before it happens.
	After int64
	// Err, if set, is the error at that place: io.ErrUnexpectedEOF for a broken
	// connection, syscall.ENOSPC for a full disk.
	Err error
	// Flip changes one bit of the byte at that place.
	Flip bool
	// Cut ends the stream at that place, as if that were all.
	Cut bool
}

// Faulty passes everything on to a Store, except that streams go wrong as told.
// It keeps the contract: readers still verify, so a flipped or missing bit is a
// *cas.CorruptError, and a Put that goes wrong stores nothing. It is a disk or
// a network that fails, under a store that is right.
type Faulty struct {
	cas.Store

	mu        sync.Mutex
	open, put []Fault
	commit    []error
}

// NewFaulty returns a store that has no faults yet.
func NewFaulty(s cas.Store) *Faulty { return &Faulty{Store: s} }

// FailOpen makes the next len(faults) readers go wrong, one fault each.
func (f *Faulty) FailOpen(faults ...Fault) { f.add(&f.open, faults) }

// FailPut makes the next len(faults) Puts go wrong, one fault each. A fault
// without Err is passed to the store as content, as a source that changes would be.
func (f *Faulty) FailPut(faults ...Fault) { f.add(&f.put, faults) }

// FailCommit makes the next len(errs) Commits fail, before they have done anything.
func (f *Faulty) FailCommit(errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commit = append(f.commit, errs...)
}

// Batch implements cas.Store. Its Puts have the faults of FailPut.
func (f *Faulty) Batch() cas.Batch { return &faultyBatch{Batch: f.Store.Batch(), f: f} }

type faultyBatch struct {
	cas.Batch
	f *Faulty
}

func (b *faultyBatch) Put(ctx context.Context, r io.Reader) (cas.Digest, int64, error) {
	if fault, ok := b.f.next(&b.f.put); ok {
		r = &faultyReader{r: r, fault: fault}
	}
	return b.Batch.Put(ctx, r)
}

func (b *faultyBatch) PutBytes(ctx context.Context, content []byte) (cas.Digest, error) {
	fault, ok := b.f.next(&b.f.put)
	if !ok {
		return b.Batch.PutBytes(ctx, content)
	}
	d, _, err := b.Batch.Put(ctx, &faultyReader{r: bytes.NewReader(content), fault: fault})
	return d, err
}

func (b *faultyBatch) Commit(ctx context.Context) error {
	b.f.mu.Lock()
	var err error
	if len(b.f.commit) > 0 {
		err, b.f.commit = b.f.commit[0], b.f.commit[1:]
	}
	b.f.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Batch.Commit(ctx)
}

// Put implements cas.Store.
func (f *Faulty) Put(ctx context.Context, r io.Reader) (cas.Digest, int64, error) {
	if fault, ok := f.next(&f.put); ok {
		r = &faultyReader{r: r, fault: fault}
	}
	return f.Store.Put(ctx, r)
}

// Open implements cas.Store.
func (f *Faulty) Open(ctx context.Context, d cas.Digest) (io.ReadCloser, error) {
	r, err := f.Store.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	fault, ok := f.next(&f.open)
	if !ok {
		return r, nil
	}
	return cas.VerifyReader(&faultyReader{r: r, closer: r, fault: fault}, d, -1), nil
}

func (f *Faulty) add(list *[]Fault, faults []Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*list = append(*list, faults...)
}

func (f *Faulty) next(list *[]Fault) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(*list) == 0 {
		return Fault{}, false
	}
	fault := (*list)[0]
	*list = (*list)[1:]
	return fault, true
}

type faultyReader struct {
	r      io.Reader
	closer io.Closer
	fault  Fault
	n      int64
}

func (r *faultyReader) Read(p []byte) (int, error) {
	left := r.fault.After - r.n
	if left <= 0 && !r.fault.Flip {
		if r.fault.Cut {
			return 0, io.EOF
		}
		if r.fault.Err != nil {
			return 0, r.fault.Err
		}
	}
	if left > 0 && int64(len(p)) > left {
		p = p[:left]
	}
	n, err := r.r.Read(p)
	if r.fault.Flip && left <= 0 && n > 0 {
		p[0] ^= 0x10
		r.fault.Flip = false
	}
	r.n += int64(n)
	return n, err
}

func (r *faultyReader) Close() error {
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}
