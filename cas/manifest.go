package cas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/kept-dev/kept/cas/chunk"
)

// part is one chunk of a content, or one inner node of its manifest.
type part struct {
	key  Digest
	size int64 // of the content that it stands for
}

// The layout of a manifest's node: version, level and two zero bytes, the
// number of parts and the size of the content, then key and size of each part.
const (
	manifestVersion = 1
	nodeHeader      = 16
	nodePart        = 32 + 8
	// nodeParts is the most parts that a node lists. A level more multiplies
	// what a manifest can describe by it: two are enough for a terabyte.
	nodeParts = 4096
	// maxLevel is more than 63 bits of size can need.
	maxLevel = 6
)

var errManifest = errors.New("not a manifest")

// node is the root or an inner node of a manifest. The parts of level 0 are
// chunks, those of level n are nodes of level n-1, kept as blobs.
type node struct {
	level int
	size  int64
	parts []part
}

func (n *node) marshal() []byte {
	b := make([]byte, nodeHeader, nodeHeader+nodePart*len(n.parts))
	b[0], b[1] = manifestVersion, byte(n.level)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(n.parts)))
	binary.LittleEndian.PutUint64(b[8:], uint64(n.size))
	for _, p := range n.parts {
		b = append(b, p.key[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(p.size))
	}
	return b
}

// parseNode reads what marshal writes, and nothing else: the sizes of its parts
// add up to the content's, and a chunk is as long as a chunk can be.
func parseNode(b []byte) (*node, error) {
	if len(b) < nodeHeader || b[0] != manifestVersion || b[1] > maxLevel || b[2] != 0 || b[3] != 0 {
		return nil, errManifest
	}
	n := &node{level: int(b[1]), size: int64(binary.LittleEndian.Uint64(b[8:]))}
	count := binary.LittleEndian.Uint32(b[4:])
	if count == 0 || count > nodeParts || len(b) != nodeHeader+int(count)*nodePart {
		return nil, fmt.Errorf("%w: %d parts in %d bytes", errManifest, count, len(b))
	}
	n.parts = make([]part, count)
	left := n.size
	for i := range n.parts {
		at := b[nodeHeader+i*nodePart:]
		p := part{key: Digest(at[:32]), size: int64(binary.LittleEndian.Uint64(at[32:]))}
		most := int64(math.MaxInt64)
		if n.level == 0 {
			most = chunk.Max
		}
		if p.size <= 0 || p.size > most || p.size > left {
			return nil, fmt.Errorf("%w: a part of %d bytes", errManifest, p.size)
		}
		left -= p.size
		n.parts[i] = p
	}
	if left != 0 {
		return nil, fmt.Errorf("%w: its parts are %d bytes short", errManifest, left)
	}
	return n, nil
}

// manifest gathers the parts of a content that is being cut.
type manifest struct {
	levels []node
	// most is how many parts a node gets: nodeParts.
	most int
	// keep stores a full node as a blob.
	keep func(b []byte) (Digest, error)
}

// add appends a part to a level, whose node it first hands to the level above
// when that is full.
func (m *manifest) add(level int, p part) error {
	if level == len(m.levels) {
		m.levels = append(m.levels, node{level: level})
	}
	if len(m.levels[level].parts) == m.most {
		if err := m.lift(level); err != nil {
			return err
		}
	}
	n := &m.levels[level]
	n.parts = append(n.parts, p)
	n.size += p.size
	return nil
}

// lift keeps the node of a level and makes it a part of the level above.
func (m *manifest) lift(level int) error {
	n := &m.levels[level]
	key, err := m.keep(n.marshal())
	if err != nil {
		return err
	}
	p := part{key: key, size: n.size}
	n.parts, n.size = n.parts[:0], 0
	return m.add(level+1, p)
}

// root returns the bytes of the manifest when all parts were added.
func (m *manifest) root() ([]byte, error) {
	for level := 0; level < len(m.levels)-1; level++ {
		if err := m.lift(level); err != nil {
			return nil, err
		}
	}
	return m.levels[len(m.levels)-1].marshal(), nil
}
