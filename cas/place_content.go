package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/kept-dev/kept/cas/chunk"
)

// wanted is what is to be placed.
type wanted struct {
	store  Store
	old    Digest // of what the file at the path is believed to have; zero: nothing known
	digest Digest
	size   int64
	perm   fs.FileMode
}

// fill writes the content to f, which will replace the file name in dir.
func (s *Session) fill(ctx context.Context, f placeFile, c wanted, dir *folder, name string) error {
	done, err := s.patch(ctx, f, c, dir, name)
	if done || err != nil {
		return err
	}
	return copyObject(ctx, f, c.store, c.digest, c.size)
}

// ranger is a Store that tells of which parts it keeps its contents.
type ranger interface {
	Ranges(ctx context.Context, d Digest) ([]Range, error)
}

// patch makes f share the blocks of the file that it will replace, writes what
// is different, and verifies all of it. It reports false where it could not, and
// f is empty then: what was at the path is not what it was believed to be, the
// file system shares no blocks, or the store has an object in another state than
// its manifest says. The copy that follows either succeeds or tells why.
func (s *Session) patch(ctx context.Context, f placeFile, c wanted, dir *folder, name string) (bool, error) {
	changed := s.changed(ctx, c)
	if changed == nil {
		return false, ctx.Err()
	}
	beside := s.p.beside.Load()
	if err := s.p.ops.clone(f, dir, name); err != nil {
		if !beside && isCrossDevice(err) {
			return false, err // another try beside the target may do
		}
		if !errors.Is(err, errNotAFile) {
			s.p.noClone.Store(true)
		}
		return false, nil
	}
	err := rewrite(ctx, f, c, changed)
	if err == nil || ctx.Err() != nil {
		return err == nil, err
	}
	return false, f.Truncate(0)
}

// errNotAFile says that there is no file from which to share blocks.
var errNotAFile = errors.New("not a file")

// changed returns the ranges of c that its old content does not have at the same
// place, or nil where sharing blocks is of no use. It is never nil for content
// that has something in common with the old one.
func (s *Session) changed(ctx context.Context, c wanted) []Range {
	store, ok := c.store.(ranger)
	if !ok || c.old.IsZero() || c.size <= chunk.Max || s.p.noClone.Load() {
		return nil
	}
	is, err := store.Ranges(ctx, c.old)
	if err != nil {
		return nil
	}
	will, err := store.Ranges(ctx, c.digest)
	if err != nil {
		return nil
	}
	changed := make([]Range, 0, len(will))
	size := int64(0)
	for _, r := range will {
		for len(is) > 0 && is[0].Offset < r.Offset {
			is = is[1:]
		}
		if len(is) == 0 || is[0] != r {
			changed = append(changed, r)
		}
		size += r.Size
	}
	if size != c.size || len(changed) == len(will) {
		return nil
	}
	return changed
}

// rewrite makes f, which has the old content, have the new one.
func rewrite(ctx context.Context, f placeFile, c wanted, changed []Range) error {
	if err := f.Truncate(c.size); err != nil {
		return err
	}
	for _, r := range changed {
		if err := copyObject(ctx, io.NewOffsetWriter(f, r.Offset), c.store, r.Digest, r.Size); err != nil {
			return err
		}
	}
	h := NewHasher()
	if err := copyBuffered(h, contextReader{ctx, io.NewSectionReader(f, 0, c.size)}); err != nil {
		return err
	}
	if got := h.Digest(); got != c.digest {
		return fmt.Errorf("%w: it hashes to %s", errNotAFile, got)
	}
	return nil
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

// copyObject writes the content of d to w if it has the size given.
func copyObject(ctx context.Context, w io.Writer, s Store, d Digest, size int64) error {
	r, err := s.Open(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	bounded := &boundedWriter{w: w, size: size}
	if err := copyBuffered(bounded, r); err != nil {
		return fmt.Errorf("object %s: %w", d, err)
	}
	if bounded.at < size {
		return fmt.Errorf("object %s: %w: %d bytes, want %d", d, ErrSize, bounded.at, size)
	}
	return nil
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// copyBuffered is io.Copy without a buffer for every file.
func copyBuffered(w io.Writer, r io.Reader) error {
	if from, ok := r.(io.WriterTo); ok {
		_, err := from.WriteTo(w)
		return err
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	_, err := io.CopyBuffer(w, r, *buf)
	return err
}

// pieceSize is how much is written at once, and what no write goes across a multiple of.
// Linux looks for memory of the size of a write in one piece, if the file system can use it, and for
// 128 KiB or more it may look several times as long as the writing takes
// (docs/decisions/0014-direct-writes.md).
const pieceSize = 64 << 10

// boundedWriter writes at most size bytes, in pieces.
type boundedWriter struct {
	w        io.Writer
	at, size int64
}

func (b *boundedWriter) Write(p []byte) (n int, err error) {
	if int64(len(p)) > b.size-b.at {
		return 0, fmt.Errorf("%w: more bytes than it was said to have", ErrSize)
	}
	for n < len(p) && err == nil {
		end := min(len(p), n+int(pieceSize-b.at%pieceSize))
		var m int
		m, err = b.w.Write(p[n:end])
		n += m
		b.at += int64(m)
	}
	return n, err
}
