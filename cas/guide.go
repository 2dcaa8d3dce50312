package cas

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/kept-dev/kept/cas/chunk"
)

// VersionOf returns r, and says that what it yields may be another version of an
// object. A store that has this one finds sooner what they have in common. It makes no
// other difference: any digest is as good, also the zero one.
func VersionOf(d Digest, r io.Reader) io.Reader {
	if d.IsZero() {
		return r
	}
	return &version{r, d}
}

type version struct {
	io.Reader
	of Digest
}

const (
	// guideParts bounds the memory of a guide: to what 16 GiB have, some 20 MB.
	guideParts = 1 << 18
	// patience is how many chunks in a row may be strange and each be looked for in the
	// other content; after them one in as many is. Looking for it means to hash it at
	// once, and not beside others.
	patience = 16
)

// guide guesses the chunks of a content from those of another version. A guess is never
// believed: bytes with the digest of a chunk are that chunk, and so would have been cut
// where it was. What is saved is to look for that place.
type guide struct {
	parts   []part
	after   map[uint64]uint32 // the number of the part after a chunk, by the beginning of its digest
	next    int               // the part that is expected
	strange int               // chunks in a row that the other content does not have
}

// guideBy returns a guide by an object, without parts where the store has none of it.
func (b *batch) guideBy(ctx context.Context, d Digest) *guide {
	g := &guide{}
	at, found, err := b.l.set.Find(d)
	if err != nil || !found {
		return g
	}
	// Not to be had is not to be used: what is damaged is found by who needs it.
	_ = b.l.eachChunk(ctx, at, func(p part) error {
		if len(g.parts) == guideParts {
			return io.EOF
		}
		g.parts = append(g.parts, p)
		return nil
	})
	// The last one of a content ends where that does, and not where it would be cut.
	g.parts = g.parts[:max(0, len(g.parts)-1)]
	g.after = make(map[uint64]uint32, len(g.parts))
	for i, p := range g.parts {
		g.after[prefix(p.key)] = uint32(i + 1)
	}
	return g
}

func prefix(d Digest) uint64 { return binary.BigEndian.Uint64(d[:]) }

// cut returns the length of the first chunk of b, as chunk.Next does, and the digest where
// it came to know it.
func (g *guide) cut(b []byte) (n int, d Digest) {
	if len(g.parts) == 0 {
		return chunk.Next(b), Digest{}
	}
	if g.next < len(g.parts) {
		p := g.parts[g.next]
		if p.size <= int64(len(b)) && Sum(b[:p.size]) == p.key {
			g.next++
			return int(p.size), p.key
		}
		g.next = len(g.parts)
	}
	n = chunk.Next(b)
	if g.strange++; g.strange > patience && g.strange%patience != 0 {
		return n, Digest{}
	}
	d = Sum(b[:n])
	if i := g.after[prefix(d)]; i > 0 {
		g.next, g.strange = int(i), 0
	}
	return n, d
}
