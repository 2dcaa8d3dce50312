// Package blake3 computes BLAKE3-256 at the speed of the processor, on the caller's goroutine.
//
// Two libraries do the work. zeebo/blake3 is the fastest on little input and where there is no
// AVX-512. With it, sixteen chunks at a time go through lukechampine.com/blake3/guts, which is 1.4
// times as fast on large input; what that library puts above it starts a goroutine for every 16 KiB.
package blake3

import (
	"math/bits"

	"github.com/klauspost/cpuid/v2"
	"github.com/zeebo/blake3"
	"lukechampine.com/blake3/guts"
)

// Size is the length of a hash, in bytes.
const Size = 32

// batchSize is what the sixteen lanes take at once.
const batchSize = guts.MaxSIMD * guts.ChunkSize

// wide says that the processor has sixteen lanes.
var wide = cpuid.CPU.Supports(cpuid.AVX512F)

// Sum256 returns the hash of b.
func Sum256(b []byte) [Size]byte {
	if !wide || len(b) < 2*batchSize {
		return blake3.Sum256(b)
	}
	var h Hasher
	h.Write(b)
	return h.Sum256()
}

// Hasher computes the hash of what is written to it. The zero Hasher has seen no bytes.
type Hasher struct {
	narrow *blake3.Hasher // in use where the processor is not wide

	// The tree of section 2.1 of the BLAKE3 paper, whose leaves are batches here. Bit i of batches
	// says that subtrees[i], of 2^i batches, waits for one of the same height on its right.
	batches  uint64
	subtrees [64][8]uint32
	// last is the batch that is not full, or is the last one if no more comes: the root is hashed
	// differently from all other nodes.
	last [batchSize]byte
	n    int
}

// Write adds p; it never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	if !wide {
		if h.narrow == nil {
			h.narrow = blake3.New()
		}
		return h.narrow.Write(p)
	}
	size := len(p)
	for len(p) > 0 {
		switch {
		case h.n == batchSize:
			h.push(&h.last)
			h.n = 0
		case h.n == 0 && len(p) > batchSize:
			h.push((*[batchSize]byte)(p))
			p = p[batchSize:]
		default:
			n := copy(h.last[h.n:], p)
			h.n += n
			p = p[n:]
		}
	}
	return size, nil
}

// push adds a batch that is not the last, and joins the subtrees that become complete.
func (h *Hasher) push(batch *[batchSize]byte) {
	node := h.batch(batch, batchSize)
	h.batches++
	height := bits.TrailingZeros64(h.batches)
	for i := range height {
		node = join(h.subtrees[i], node)
	}
	h.subtrees[height] = guts.ChainingValue(node)
}

// batch returns the root of the tree of n bytes that follow the batches.
func (h *Hasher) batch(b *[batchSize]byte, n int) guts.Node {
	return guts.CompressBuffer(b, n, &guts.IV, h.batches*guts.MaxSIMD, 0)
}

// join returns the parent of two nodes.
func join(left [8]uint32, right guts.Node) guts.Node {
	return guts.ParentNode(left, guts.ChainingValue(right), &guts.IV, 0)
}

// Sum256 returns the hash of all that was written so far.
func (h *Hasher) Sum256() [Size]byte {
	switch {
	case h.narrow != nil:
		return [Size]byte(h.narrow.Sum(nil))
	case h.batches == 0:
		return blake3.Sum256(h.last[:h.n])
	}
	node := h.batch(&h.last, h.n)
	for rest := h.batches; rest != 0; rest &= rest - 1 {
		node = join(h.subtrees[bits.TrailingZeros64(rest)], node)
	}
	node.Flags |= guts.FlagRoot
	sum := guts.WordsToBytes(guts.CompressNode(node))
	return [Size]byte(sum[:])
}
