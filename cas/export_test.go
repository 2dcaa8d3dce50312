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

// SetSizes makes packs and the nodes of manifests smaller than they are, so that
// little content takes many.
func (l *Local) SetSizes(pack int64, parts int) { l.packSize, l.nodeParts = pack, parts }

// PutParts keeps a content as the parts given, as if it had been cut into them.
func (l *Local) PutParts(ctx context.Context, parts [][]byte) (Digest, error) {
	b := l.Batch().(*batch)
	defer b.Close()
	s := &stream{b: b, whole: NewHasher()}
	s.manifest = manifest{most: l.nodeParts, keep: func(node []byte) (Digest, error) { return b.putBlob(ctx, node) }}
	if err := b.start(ctx); err != nil {
		return Digest{}, err
	}
	for _, content := range parts {
		d, err := b.putBlob(ctx, content)
		if err == nil {
			err = s.manifest.add(0, part{d, int64(len(content))})
		}
		if err != nil {
			return Digest{}, err
		}
		s.whole.Write(content)
		s.size += int64(len(content))
	}
	d := s.whole.Digest()
	if err := b.putManifest(d, s); err != nil {
		return Digest{}, err
	}
	return d, b.Commit(ctx)
}

// Stored returns the file that has d, the method of its group, and where in the
// file that lies. With nodes set it is where the inner nodes of d's manifest lie.
func (l *Local) Stored(d Digest, nodes bool) (file string, method codec.Method, at [][2]int64, err error) {
	first, err := l.find(d)
	if err != nil {
		return "", 0, nil, err
	}
	p, err := l.set.Open(first.Pack)
	if err != nil {
		return "", 0, nil, err
	}
	seen := map[uint32]bool{}
	add := func(n uint32) {
		if g := p.Groups()[n]; !seen[n] {
			seen[n], method = true, codec.Method(g.Method)
			at = append(at, [2]int64{g.Offset, g.Offset + int64(g.Stored)})
		}
	}
	if !nodes {
		add(first.Group)
		return l.set.Path(first.Pack), method, at, nil
	}
	err = l.eachKey(context.Background(), first, func(p part) error {
		at, err := l.find(p.key)
		if at.Size != p.size { // a node, and not as long as what it stands for
			add(at.Group)
		}
		return err
	})
	return l.set.Path(first.Pack), method, at, err
}

// OpenForeignOn is OpenForeign on another disk, from which nothing is to be written to.
func OpenForeignOn(fsys disk.FS, dir string) (*Local, error) {
	l, err := openLocal(fsys, dir)
	if err == nil {
		l.foreign = true
	}
	return l, err
}

// Forget drops what is kept decoded.
func (l *Local) Forget() { l.cache = newGroupCache() }

// ParseTreeLimit is ParseTree with another limit than MaxEntries.
func ParseTreeLimit(data []byte, limit int) (Tree, error) { return parseTree(data, limit) }
