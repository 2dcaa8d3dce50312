package cas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kept-dev/kept/cas/pack"
)

// Open implements Store. What is found damaged is moved out of the way, so that
// it is missing from then on and a Put of its content stores it again.
func (l *Local) Open(ctx context.Context, d Digest) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	at, err := l.find(d)
	if err != nil {
		return nil, err
	}
	if at.Kind == pack.Manifest {
		return l.openContent(ctx, at)
	}
	b, err := l.read(at)
	if err != nil {
		return nil, err
	}
	return &blobReader{ctx: ctx, r: bytes.NewReader(b)}, nil
}

// blobReader reads a content that was verified as a whole.
type blobReader struct {
	ctx context.Context
	r   *bytes.Reader // nil when closed
}

func (b *blobReader) Read(p []byte) (int, error) {
	if b.r == nil {
		return 0, errClosed
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

func (b *blobReader) WriteTo(w io.Writer) (int64, error) {
	if b.r == nil {
		return 0, errClosed
	}
	return b.r.WriteTo(w)
}

func (b *blobReader) Close() error {
	b.r = nil
	return nil
}

// read returns the bytes of an entry: those of a blob are verified, those of a
// manifest only by the checksum of its group, since its key is another
// content's. The bytes belong to the cache.
func (l *Local) read(at pack.Location) ([]byte, error) {
	b, err := l.readOnce(at)
	if err == nil {
		return b, nil
	}
	// A collection may have moved it to another pack, and an index may be wrong.
	if changed, look := l.look(err); changed || look != nil {
		again, err := l.find(at.Key)
		if err == nil {
			err = look
		}
		if err != nil {
			return nil, err
		}
		if b, err = l.readOnce(again); err == nil {
			return b, nil
		}
		at = again
	}
	if reason := damage(err); reason != nil {
		corrupt := l.quarantine(at.Key, at.Pack, reason)
		// The damage may be that of a neighbour: then this one was salvaged.
		if saved, err := l.find(at.Key); err == nil && saved.Pack != at.Pack {
			if b, err := l.readOnce(saved); err == nil {
				return b, nil
			}
		}
		return nil, corrupt
	}
	return nil, fmt.Errorf("read object %s: %w", Digest(at.Key), err)
}

// look looks at the store again after a failed read, where that can help.
func (l *Local) look(err error) (changed bool, failed error) {
	if isGone(err) {
		if _, err := l.set.Refresh(); err != nil {
			return false, err
		}
		return true, nil
	}
	if damage(err) != nil {
		return true, l.set.Verify()
	}
	return false, nil
}

func (l *Local) readOnce(at pack.Location) ([]byte, error) {
	plain, err := l.cache.get(groupName{at.Pack, at.Group}, func() ([]byte, error) { return l.decode(at.Pack, at.Group) })
	if err != nil {
		return nil, err
	}
	if uint64(at.At)+uint64(at.Len) > uint64(len(plain)) {
		return nil, &damageError{errors.New("it is said to lie behind the end of its group")}
	}
	b := plain[at.At : at.At+at.Len : at.At+at.Len]
	if at.Kind == pack.Blob && Sum(b) != at.Key {
		return nil, &damageError{fmt.Errorf("its content hashes to %s", Sum(b))}
	}
	return b, nil
}

// decode reads a group and returns its plain bytes.
func (l *Local) decode(name pack.Name, n uint32) ([]byte, error) {
	p, err := l.set.Open(name)
	if err != nil {
		return nil, err
	}
	stored := storedBuffers.get()
	defer func() { storedBuffers.put(stored) }()
	g, b, err := p.ReadGroup(n, stored)
	if err != nil {
		return nil, err
	}
	stored = b
	plain := make([]byte, g.Plain)
	if err := decodeGroup(g, b, plain); err != nil {
		return nil, err
	}
	return plain, nil
}

// damageError says that what was read is not what was written.
type damageError struct{ reason error }

func (e *damageError) Error() string { return e.reason.Error() }

// damage returns what is wrong with the bytes, if an error says that.
func damage(err error) error {
	var mine *damageError
	var packs *pack.DamageError
	switch {
	case errors.As(err, &mine):
		return mine.reason
	case errors.As(err, &packs):
		return packs
	}
	return nil
}

// eachChunk calls fn for every chunk of a content, in order.
func (l *Local) eachChunk(ctx context.Context, at pack.Location, fn func(part) error) error {
	root, err := l.node(at)
	if err != nil {
		return err
	}
	if root.size != at.Size {
		return &CorruptError{Digest: at.Key, Err: fmt.Errorf("its manifest is of %d bytes, want %d", root.size, at.Size)}
	}
	return l.walkNode(ctx, root, fn)
}

func (l *Local) walkNode(ctx context.Context, n *node, fn func(part) error) error {
	for _, p := range n.parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n.level == 0 {
			if err := fn(p); err != nil {
				return err
			}
			continue
		}
		at, err := l.find(p.key)
		if err != nil {
			return err
		}
		child, err := l.node(at)
		if err != nil {
			return err
		}
		if child.level != n.level-1 || child.size != p.size {
			return &CorruptError{Digest: p.key, Err: errManifest}
		}
		if err := l.walkNode(ctx, child, fn); err != nil {
			return err
		}
	}
	return nil
}

func (l *Local) node(at pack.Location) (*node, error) {
	b, err := l.read(at)
	if err != nil {
		return nil, err
	}
	n, err := parseNode(b)
	if err != nil {
		return nil, &CorruptError{Digest: at.Key, Err: err}
	}
	return n, nil
}

// Range is a part of a content: Size bytes from Offset whose hash is Digest.
type Range struct {
	Digest       Digest
	Offset, Size int64
}

// Ranges returns the parts of which the store keeps the content of d, in order.
// Two contents have the same bytes where they have the same ranges.
func (l *Local) Ranges(ctx context.Context, d Digest) ([]Range, error) {
	at, err := l.find(d)
	if err != nil {
		return nil, err
	}
	if at.Kind == pack.Blob {
		return []Range{{Digest: d, Size: at.Size}}, nil
	}
	var ranges []Range
	offset := int64(0)
	err = l.eachChunk(ctx, at, func(p part) error {
		ranges = append(ranges, Range{p.key, offset, p.size})
		offset += p.size
		return nil
	})
	return ranges, err
}
