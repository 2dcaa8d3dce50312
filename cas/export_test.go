package cas

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"testing"

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

// RootPacks returns the names and sizes of the packs that a root lists.
func RootPacks(t testing.TB, name string, b []byte) map[string]int64 {
	t.Helper()
	var d Digest
	if err := d.UnmarshalText([]byte(Prefix + filepath.Base(name))); err != nil {
		t.Fatal(err)
	}
	r, err := parseRoot(b, d)
	if err != nil {
		t.Fatal(err)
	}
	packs := map[string]int64{}
	for _, p := range r.packs {
		packs[packFile(p.name)] = p.size
	}
	return packs
}

// TableAt returns where in the bytes of a pack its table begins.
func TableAt(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b[len(b)-64:])) }

// PutFalse keeps a manifest under a name that is not that of its content, which is many times the
// same chunk: parts times at each level.
func (l *Local) PutFalse(ctx context.Context, name Digest, chunk []byte, levels, parts int) error {
	b := l.Batch().(*batch)
	defer b.Close()
	n := node{}
	p := part{Sum(chunk), int64(len(chunk))}
	below := chunk
	for level := range levels {
		if _, err := b.PutBytes(ctx, below); err != nil {
			return err
		}
		n = node{level: level, size: p.size * int64(parts)}
		for range parts {
			n.parts = append(n.parts, p)
		}
		below = n.marshal()
		p = part{Sum(below), n.size}
	}
	e := pack.Entry{Key: name, Kind: pack.Manifest, Size: n.size, Len: uint32(len(below))}
	b.manifests = append(b.manifests, content{e, below})
	return b.Commit(ctx)
}

// PutGroup keeps contents as one group, with entries for some of them alone.
func (l *Local) PutGroup(ctx context.Context, contents [][]byte, named func(i int) bool) error {
	b := l.Batch().(*batch)
	defer b.Close()
	if err := b.start(ctx); err != nil {
		return err
	}
	var plain []byte
	var entries []pack.Entry
	for i, c := range contents {
		if named(i) {
			entries = append(entries, blobEntry(Sum(c), len(plain), len(c)))
		}
		plain = append(plain, c...)
	}
	if err := b.shelf.append(codec.Raw, len(plain), plain, entries); err != nil {
		return err
	}
	return b.Commit(ctx)
}

// ParseRoot parses a root and writes it again.
func ParseRoot(b []byte, d Digest) ([]byte, error) {
	r, err := parseRoot(b, d)
	if err != nil {
		return nil, err
	}
	return r.marshal(), nil
}

// EndRoot appends the last line of a root.
func EndRoot(b []byte) []byte { return append(b, "end "+Sum(b).Hex()+"\n"...) }
