package cas

import (
	"context"

	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/pack"
)

// Fault is asked before every operation that changes the disk. An error that
// it returns is the operation's result; a write writes half of its bytes first.
type Fault func(op string) error

// OpenLocalOn is OpenLocal on another disk.
func OpenLocalOn(fsys disk.FS, dir string) (*Local, error) { return openLocal(fsys, dir) }

// Place returns where the bytes of d lie, of a content that was cut those of
// its last chunk: the file, and their offset and size, or those of their group
// where that is not stored as it is.
func (l *Local) Place(d Digest) (file string, offset, size int64, err error) {
	at, err := l.find(d)
	if err != nil {
		return "", 0, 0, err
	}
	if at.Kind == pack.Manifest {
		var last part
		if err := l.eachChunk(context.Background(), at, func(p part) error { last = p; return nil }); err != nil {
			return "", 0, 0, err
		}
		return l.Place(last.key)
	}
	p, err := l.set.Open(at.Pack)
	if err != nil {
		return "", 0, 0, err
	}
	g := p.Groups()[at.Group]
	if codec.Method(g.Method) == codec.Raw {
		return l.set.Path(at.Pack), g.Offset + int64(at.At), int64(at.Len), nil
	}
	return l.set.Path(at.Pack), g.Offset, int64(g.Stored), nil
}

// Walk calls fn for all that the store has a name for.
func (l *Local) Walk(fn func(d Digest, size int64) error) error {
	return l.set.Each(nil, func(at pack.Location) error { return fn(at.Key, at.Size) })
}

// Forget drops what is kept decoded.
func (l *Local) Forget() { l.cache = newGroupCache() }

// ParseTreeLimit is ParseTree with another limit than MaxEntries.
func ParseTreeLimit(data []byte, limit int) (Tree, error) { return parseTree(data, limit) }
