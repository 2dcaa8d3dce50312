package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Store keeps objects. How it cuts, packs or compresses them is its own
// business: nothing above it sees more than content and digests.
//
// All methods are safe for concurrent use, also by several processes where
// the medium is shared. A cancelled ctx makes a method return ctx.Err(),
// wrapped or not, soon. No method retries.
type Store interface {
	// Put keeps what r yields until io.EOF and returns its digest and size.
	//
	// All or nothing: an object appears whole or not at all. If r or the medium
	// fails, or ctx is cancelled before the object appeared, nothing has changed
	// that a reader can see.
	//
	// Verified: what Put stored was read back and hashed before it appeared, so
	// an encoder, a disk or a network that changed bytes is an error of Put.
	// Digest and size are always those of the bytes stored, also when the source
	// of r changes while it is read.
	//
	// Durable: when Put returns nil the object survives a power cut.
	//
	// Idempotent: putting content that is there already succeeds and writes
	// nothing that matters; so does repeating a Put that failed. Of concurrent
	// Puts of one content all succeed.
	Put(ctx context.Context, r io.Reader) (Digest, int64, error)

	// Open returns the content of d, or a *MissingError. The caller must Close it.
	//
	// Reads are verified by the Store: a reader never returns io.EOF, nor the
	// last bytes, of content that does not hash to d; it returns a
	// *CorruptError instead. So a caller that has seen io.EOF, or as many bytes
	// as the object has, needs no hash of its own, and one that stops earlier
	// knows nothing. The reader holds little memory however large the object
	// is or claims to be, and fails when ctx is cancelled.
	Open(ctx context.Context, d Digest) (io.ReadCloser, error)

	// Stat returns the size of the content of d, or a *MissingError. It answers
	// without reading the content, so it tells presence, not health: what the
	// store can see to be damaged without reading is a *CorruptError, all else
	// shows in Open.
	Stat(ctx context.Context, d Digest) (size int64, err error)

	// Batch returns a new Batch. It must be closed.
	Batch() Batch
}

// Batch is many Puts that become durable together, which costs far less than
// one by one. Its methods are safe for concurrent use but for Commit and Close,
// which come after all Puts.
type Batch interface {
	// Put is Store.Put, but durable only after Commit. The object may be seen
	// before that, whole, or not at all.
	Put(ctx context.Context, r io.Reader) (Digest, int64, error)
	// PutBytes is Put of a content that is in memory.
	PutBytes(ctx context.Context, content []byte) (Digest, error)
	// Has reports whether the object is in the store or in the batch. What the
	// store has counts from now on as used, which keeps a collection from taking
	// it for the time that the lock needs to name it.
	Has(ctx context.Context, d Digest) (bool, error)
	// Missing returns the indexes of those digests, in order, of which Has would
	// say that they are not there, and counts the others as used. Many at a time
	// cost a fraction of what they cost one by one. What the store can see to be
	// damaged is missing.
	Missing(ctx context.Context, list []Digest) ([]int, error)
	// Commit makes durable all that was put and all that was said to be there.
	// After an error some of it may be in the store, and no lock may name it.
	Commit(ctx context.Context) error
	// Close lets go of what was not committed.
	Close() error
}

// MissingError says that a Store does not have an object.
type MissingError struct{ Digest Digest }

func (e *MissingError) Error() string { return fmt.Sprintf("object %s is missing", e.Digest) }

// CorruptError says that what a Store has for Digest is not its content.
type CorruptError struct {
	Digest Digest
	// Err is what is wrong with it.
	Err error
	// Quarantine is where the damaged file was moved to, and empty where it was
	// left: the store is read-only, or it is no store of files.
	Quarantine string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("object %s is corrupt: %v", e.Digest, e.Err)
}

// Unwrap returns e.Err.
func (e *CorruptError) Unwrap() error { return e.Err }

// ErrSize reports an object that is larger than its reader accepts, or of
// another size than it was said to be.
var ErrSize = errors.New("object has another size than expected")

// ReadAll returns the content of d if it has at most limit bytes, and an error
// wrapping ErrSize if it has more. It reads at most one byte beyond limit, so
// an object that decompresses to very much costs no more than limit.
func ReadAll(ctx context.Context, s Store, d Digest, limit int64) ([]byte, error) {
	r, err := s.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, limit))
	if err != nil {
		return nil, err
	}
	if n < limit {
		return b.Bytes(), nil
	}
	// Only the end of the content tells that it was exactly limit bytes, and right.
	switch _, err := io.ReadFull(r, make([]byte, 1)); err {
	case io.EOF:
		return b.Bytes(), nil
	case nil:
		return nil, fmt.Errorf("object %s: %w: more than %d bytes", d, ErrSize, limit)
	default:
		return nil, err
	}
}

// VerifyReader returns a reader of r's content that keeps the promises of
// Store.Open: it fails with a *CorruptError before the end of content that does
// not hash to d. size is the size that the content must have, and -1 where it
// is not known. For implementations of Store; its Close closes r.
func VerifyReader(r io.ReadCloser, d Digest, size int64) io.ReadCloser {
	return &verifier{r: r, closer: r, hash: NewHasher(), want: d, size: size}
}

// verifier hashes what it passes on. See VerifyReader.
type verifier struct {
	ctx    context.Context // nil: not cancelled
	r      io.Reader
	closer io.Closer
	hash   *Hasher
	want   Digest
	size   int64 // -1: not known
	n      int64
	err    error // returned by every later Read

	// corrupt, if set, replaces the error for content that is not right.
	corrupt func(reason error) error
	// failed, if set, tells an error of the medium, which says nothing about
	// the content, from one of a decoder, which does.
	failed func() error
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if v.ctx != nil && v.ctx.Err() != nil {
		v.err = v.ctx.Err()
		return 0, v.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if left := v.size - v.n; v.size >= 0 && int64(len(p)) > left {
		p = p[:max(left, 1)] // one byte beyond the end shows content that is too long
	}
	n, err := v.r.Read(p)
	if v.size >= 0 && v.n+int64(n) > v.size {
		return 0, v.fail(fmt.Errorf("it has more than %d bytes", v.size))
	}
	v.hash.Write(p[:n])
	v.n += int64(n)
	switch {
	case err == io.EOF:
		if err := v.finish(); err != nil {
			return 0, err
		}
		v.err = io.EOF
	case err != nil:
		return 0, v.broken(err)
	case v.n == v.size && n > 0:
		// The last bytes are held back until the end is known to be right: a
		// caller that reads exactly size bytes never asks for io.EOF.
		if err := v.atEnd(); err != nil {
			return 0, err
		}
		v.err = io.EOF
		return n, nil
	}
	return n, v.err
}

// atEnd expects the end of the content and checks the hash.
func (v *verifier) atEnd() error {
	var one [1]byte
	switch n, err := io.ReadFull(v.r, one[:]); {
	case n > 0:
		return v.fail(fmt.Errorf("it has more than %d bytes", v.size))
	case err != io.EOF:
		return v.broken(err)
	}
	return v.finish()
}

func (v *verifier) finish() error {
	if v.size >= 0 && v.n != v.size {
		return v.fail(fmt.Errorf("it has %d bytes, want %d", v.n, v.size))
	}
	if got := v.hash.Digest(); got != v.want {
		return v.fail(fmt.Errorf("its content hashes to %s", got))
	}
	return nil
}

// broken handles an error of the underlying reader that is not io.EOF.
func (v *verifier) broken(err error) error {
	if v.failed == nil {
		v.err = err
		return err
	}
	if v.err = v.failed(); v.err == nil {
		return v.fail(err)
	}
	return v.err
}

func (v *verifier) fail(reason error) error {
	if v.corrupt != nil {
		v.err = v.corrupt(reason)
	} else {
		v.err = &CorruptError{Digest: v.want, Err: reason}
	}
	return v.err
}

func (v *verifier) Close() error {
	if v.err == nil || v.err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure and not the end
		v.err = errClosed
	}
	return v.closer.Close()
}

var errClosed = errors.New("read of a closed object")
