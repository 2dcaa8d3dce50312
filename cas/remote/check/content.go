package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"

	"github.com/kept-dev/kept/cas/remote"
)

const (
	mib = 1 << 20
	// several is more than one part of what any client sends in parts.
	several = 17*mib + 5
)

// content returns size bytes that are not those of another seed.
func content(seed uint64, size int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// put keeps a file, and fails or skips the case if it can't.
func (e *env) put(ctx context.Context, name string, b []byte) error {
	return skipReadOnly(e.writer().Put(ctx, name, readAt{b}, int64(len(b))))
}

// canPut skips the case where Remote itself does not put.
func (e *env) canPut(ctx context.Context) error {
	return skipReadOnly(e.Remote.Put(ctx, e.name("can-put"), readAt{nil}, 0))
}

func skipReadOnly(err error) error {
	if errors.Is(err, remote.ErrReadOnly) || errors.Is(err, remote.ErrUnsupported) {
		return &skip{ReadOnly}
	}
	return err
}

// get reads a range.
func get(ctx context.Context, r remote.Remote, name string, offset, length int64) ([]byte, error) {
	body, err := r.Get(ctx, name, offset, length)
	if err != nil {
		if body != nil {
			return nil, fmt.Errorf("get gave a reader and an error: %w", err)
		}
		return nil, err
	}
	b, err := io.ReadAll(body)
	return b, errors.Join(err, body.Close())
}

// want reads the whole file and compares.
func want(ctx context.Context, r remote.Remote, name string, b []byte) error {
	return wantRange(ctx, r, name, 0, -1, b)
}

func wantRange(ctx context.Context, r remote.Remote, name string, offset, length int64, b []byte) error {
	got, err := get(ctx, r, name, offset, length)
	if err != nil {
		return fmt.Errorf("get from %d, length %d: %w", offset, length, err)
	}
	if !bytes.Equal(got, b) {
		return fmt.Errorf("get from %d, length %d: %s", offset, length, difference(got, b))
	}
	return nil
}

// wantOne reads the whole file, which must be one of these, and returns which.
func wantOne(ctx context.Context, r remote.Remote, name string, contents ...[]byte) (int, error) {
	got, err := get(ctx, r, name, 0, -1)
	if err != nil {
		return 0, fmt.Errorf("get: %w", err)
	}
	for i, b := range contents {
		if bytes.Equal(got, b) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%d bytes, which are none of the %d contents that were put whole", len(got), len(contents))
}

// wantMissing asks in each way, and wants to hear that there is no such file.
func wantMissing(ctx context.Context, r remote.Remote, name string) error {
	_, err := r.Stat(ctx, name)
	if err := wantError("stat", name, err, fs.ErrNotExist); err != nil {
		return err
	}
	_, err = get(ctx, r, name, 0, -1)
	return wantError("get", name, err, fs.ErrNotExist)
}

func wantSize(ctx context.Context, r remote.Remote, name string, size int) error {
	got, err := r.Stat(ctx, name)
	if err != nil {
		return err
	}
	if got != int64(size) {
		return fmt.Errorf("stat says %d bytes, want %d", got, size)
	}
	return nil
}

// wantError wants an *remote.Error about this file that wraps target, if it is not nil.
func wantError(op, name string, err, target error) error {
	e := new(remote.Error)
	switch {
	case err == nil:
		return fmt.Errorf("%s: no error, want one", op)
	case target != nil && !errors.Is(err, target):
		return fmt.Errorf("%s: the error is not %q: %w", op, target.Error(), err)
	case !errors.As(err, &e):
		return fmt.Errorf("%s: the error is a %T and no *remote.Error: %w", op, err, err)
	case e.Op != op || e.Name != name:
		return fmt.Errorf("%s: the error is about %q of %q: %w", op, e.Op, e.Name, err)
	case e.Remote == "":
		return fmt.Errorf("%s: the error does not name the remote: %w", op, err)
	}
	return nil
}

func difference(got, want []byte) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d bytes, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			return fmt.Sprintf("byte %d of %d is %#02x, want %#02x", i, len(got), got[i], want[i])
		}
	}
	return "equal"
}

// readAt is a body that can be read at an offset and nothing else.
type readAt struct{ b []byte }

func (r readAt) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(r.b).ReadAt(p, off)
}

var errBody = errors.New("the body can't be read on")

// failing is a body that calls fail when it is read at or behind at; a nil error
// goes on.
type failing struct {
	b    []byte
	at   int64
	fail func() error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= f.at {
		return readAt{f.b}.ReadAt(p, off)
	}
	if err := f.fail(); err != nil {
		n := max(0, f.at-off)
		return copy(p[:n], f.b[off:]), err
	}
	return readAt{f.b}.ReadAt(p, off)
}
