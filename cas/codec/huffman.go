package codec

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// A lane of a block is stored as one byte, and then
//
//	blockRaw       its bytes
//	blockConstant  the one byte that they all are
//	blockHuffman   the lengths of the codes, four sizes (uvarint), four streams
//
// The codes are those of RFC 1951, section 3.2.2, of at most maxLength bits, and packed
// as there: into each byte from its lowest bit on, the first bit of a code
// first. The bits left over in the last byte of a stream are 0. Each stream has a quarter of the
// lane, rounded up; the last ones what is left. Four streams are there to be
// worked on at once: a core can do more than one symbol at a time, but only where the next does not have to
// wait for the length of the last.
//
// The lengths are given for ranges of bytes, those of all others are 0: one byte
// the number of ranges, two bytes the first and the last byte of each, ascending,
// then four bits for each byte of each range, the low half of a byte first.
const (
	blockRaw      = 0
	blockConstant = 1
	blockHuffman  = 2
)

// maxLength bounds the codes, so that one look into a table of 16 KiB decodes at least one.
const (
	maxLength = 11
	tableSize = 1 << maxLength
)

var (
	errBlock = errors.New("a block of it is damaged")
	le       = binary.LittleEndian
)

// A code is its length, in the low eight bits, and its bits above that, the first one
// lowest. There is room for the codes of two bytes.
type code uint32

func (c code) bits() uint64   { return uint64(c >> 8) }
func (c code) length() uint64 { return uint64(uint8(c)) }

// huffmanEncoder codes one lane of a block.
type huffmanEncoder struct {
	counts  [4][256]uint32 // by stream
	lengths [256]uint8
	codes   [256]code
	pairs   *[1 << 16]code // of two bytes, for those that there are; the first is the low one
	tree    treeBuilder
}

// append appends the stored form of a lane of at least one byte. It needs room for
// len(plane)+1 bytes in out, and leaves out where it is then.
func (h *huffmanEncoder) append(out, plane []byte) []byte {
	size, symbols := h.prepare(plane)
	if symbols == 1 {
		return append(out, blockConstant, plane[0])
	}
	var table [1 + 2*256 + 128]byte
	lengths := appendLengths(table[:0], &h.lengths)
	total := len(lengths) + 4*binary.MaxVarintLen32
	for _, n := range size {
		total += n
	}
	if !worth(len(plane), total) {
		return append(append(out, blockRaw), plane...)
	}
	out = append(append(out, blockHuffman), lengths...)
	for _, n := range size {
		out = binary.AppendUvarint(out, uint64(n))
	}
	usePairs := symbols*symbols <= len(plane)/8
	if usePairs {
		h.fillPairs()
	}
	var src, dst [4][]byte
	quarter := (len(plane) + 3) / 4
	for i := range 4 {
		at := len(out)
		out = grow(out, size[i])
		dst[i] = out[at:]
		src[i], plane = plane[:min(quarter, len(plane))], plane[min(quarter, len(plane)):]
	}
	for i := range 4 {
		if usePairs {
			h.writePairs(dst[i], src[i])
		} else {
			h.write(dst[i], src[i])
		}
	}
	return out
}

// prepare makes the codes for a lane and returns the sizes of the streams and how many different
// bytes there are.
func (h *huffmanEncoder) prepare(plane []byte) (size [4]int, symbols int) {
	h.count(plane)
	var sum [256]uint32
	for v := range sum {
		sum[v] = h.counts[0][v] + h.counts[1][v] + h.counts[2][v] + h.counts[3][v]
	}
	if symbols = h.tree.build(&sum, &h.lengths); symbols == 1 {
		return size, symbols
	}
	assign(&h.lengths, &h.codes)
	for i := range size {
		n := 0
		for v, length := range h.lengths {
			n += int(h.counts[i][v]) * int(length)
		}
		size[i] = (n + 7) / 8
	}
	return size, symbols
}

// count counts the bytes of each quarter. Going through them side by side, no
// count has to wait for the one before, which is often of the same byte.
func (h *huffmanEncoder) count(plane []byte) {
	h.counts = [4][256]uint32{}
	q := (len(plane) + 3) / 4
	c := &h.counts
	i := 0
	if 4*q == len(plane) {
		p0, p1, p2, p3 := plane[:q], plane[q:2*q], plane[2*q:3*q], plane[3*q:]
		for ; i+8 <= q; i += 8 {
			w0, w1, w2, w3 := le.Uint64(p0[i:]), le.Uint64(p1[i:]), le.Uint64(p2[i:]), le.Uint64(p3[i:])
			for range 8 {
				c[0][uint8(w0)]++
				c[1][uint8(w1)]++
				c[2][uint8(w2)]++
				c[3][uint8(w3)]++
				w0, w1, w2, w3 = w0>>8, w1>>8, w2>>8, w3>>8
			}
		}
	}
	for k := range 4 {
		from, to := min(k*q+i, len(plane)), min(k*q+q, len(plane))
		for _, v := range plane[from:to] {
			c[k][v]++
		}
	}
}

// coded returns the bytes that have a code, in room.
func coded(lengths, room *[256]uint8) []uint8 {
	n := 0
	for v, length := range lengths {
		if length > 0 {
			room[n] = uint8(v)
			n++
		}
	}
	return room[:n]
}

func (h *huffmanEncoder) fillPairs() {
	if h.pairs == nil {
		h.pairs = new([1 << 16]code)
	}
	var room [256]uint8
	used := coded(&h.lengths, &room)
	for _, b := range used {
		cb := h.codes[b]
		row := h.pairs[int(b)<<8:][:256]
		for _, a := range used {
			ca := h.codes[a]
			row[a] = ca + cb>>8<<(8+ca.length()) + cb&0xff
		}
	}
}

// A stream is written eight bytes at a time, of which the last ones are
// overwritten; margin symbols, of a bit or more, keep that off the next stream.
const margin = 64

// writePairsGeneric is writePairs without assembly.
func (h *huffmanEncoder) writePairsGeneric(dst, src []byte) {
	var acc, n uint64
	pairs := h.pairs
	p := 0
	for len(src) >= margin {
		x := le.Uint32(src)
		a, b := pairs[uint16(x)], pairs[x>>16]
		acc |= (a.bits() | b.bits()<<(a&63)) << (n & 63)
		n += a.length() + b.length()
		le.PutUint64(dst[p:], acc)
		p += int(n >> 3)
		acc >>= n & 56
		n &= 7
		src = src[4:]
	}
	h.finish(dst[p:], src, acc, n)
}

// write writes a stream whose bytes are too many for a table of pairs.
func (h *huffmanEncoder) write(dst, src []byte) {
	var acc, n uint64
	p, i := 0, 0
	for end := len(src) - margin; i < end; i += 4 {
		x := le.Uint32(src[i:])
		a, b, c, d := h.codes[uint8(x)], h.codes[uint8(x>>8)], h.codes[uint8(x>>16)], h.codes[x>>24]
		ab := a.bits() | b.bits()<<(a.length()&63)
		cd := c.bits() | d.bits()<<(c.length()&63)
		l := a.length() + b.length()
		acc |= (ab | cd<<(l&63)) << (n & 63)
		n += l + c.length() + d.length()
		le.PutUint64(dst[p:], acc)
		p += int(n >> 3)
		acc >>= n & 56
		n &= 7
	}
	h.finish(dst[p:], src[i:], acc, n)
}

// finish writes the end of a stream byte by byte.
func (h *huffmanEncoder) finish(dst, src []byte, acc, n uint64) {
	p := 0
	for _, v := range src {
		c := h.codes[v]
		acc |= c.bits() << n
		for n += c.length(); n >= 8; n -= 8 {
			dst[p] = byte(acc)
			acc >>= 8
			p++
		}
	}
	if n > 0 {
		dst[p] = byte(acc)
	}
}

// treeBuilder finds the lengths of codes.
type treeBuilder struct {
	leaves [256]uint64 // count << 8 | byte
	counts [512]uint64 // of leaves, then of inner nodes
	parent [512]uint16
}

// build sets the lengths of the codes for bytes with the given counts and returns how many bytes have one.
func (t *treeBuilder) build(counts *[256]uint32, lengths *[256]uint8) int {
	n := 0
	for v, count := range counts {
		lengths[v] = 0
		if count > 0 {
			t.leaves[n] = uint64(count)<<8 | uint64(v)
			n++
		}
	}
	if n < 2 {
		return n
	}
	leaves := t.leaves[:n]
	slices.Sort(leaves)
	for i, leaf := range leaves {
		t.counts[i] = leaf >> 8
	}
	// Both the leaves and the inner nodes are ascending: the two smallest are in front of one of them.
	leaf, node := 0, n
	for next := n; next < 2*n-1; next++ {
		t.counts[next] = 0
		for range 2 {
			least := leaf
			if leaf == n || node < next && t.counts[node] < t.counts[leaf] {
				least = node
				node++
			} else {
				leaf++
			}
			t.counts[next] += t.counts[least]
			t.parent[least] = uint16(next)
		}
	}
	// A node is before its parent: lengths follow from the end on.
	depth := &t.counts
	depth[2*n-2] = 0
	for i := 2*n - 3; i >= 0; i-- {
		depth[i] = depth[t.parent[i]] + 1
	}
	for i, leaf := range leaves {
		lengths[uint8(leaf)] = uint8(min(depth[i], maxLength))
	}
	limit(leaves, lengths)
	return n
}

// limit makes codes that were cut to maxLength decodable again: it lengthens
// others until all fit, the rarest first, and then gives back what was too much.
func limit(leaves []uint64, lengths *[256]uint8) {
	used := 0 // in units of the longest code
	for _, leaf := range leaves {
		used += tableSize >> lengths[uint8(leaf)]
	}
	for used > tableSize {
		for _, leaf := range leaves {
			if l := &lengths[uint8(leaf)]; *l < maxLength && used > tableSize {
				used -= tableSize >> (*l + 1)
				*l++
			}
		}
	}
	for used < tableSize {
		for _, leaf := range slices.Backward(leaves) {
			if l := &lengths[uint8(leaf)]; used+tableSize>>*l <= tableSize {
				used += tableSize >> *l
				*l--
			}
		}
	}
}

// assign gives each byte its code, by the order of lengths, then of bytes.
func assign(lengths *[256]uint8, codes *[256]code) {
	var count, next [maxLength + 2]uint16
	for _, l := range lengths {
		count[l]++
	}
	count[0] = 0
	for l := 1; l <= maxLength; l++ {
		next[l+1] = (next[l] + count[l]) << 1
	}
	for v, l := range lengths {
		if l == 0 {
			codes[v] = 0
			continue
		}
		codes[v] = code(bits.Reverse16(next[l])>>(16-l))<<8 | code(l)
		next[l]++
	}
}

// appendLengths writes the lengths in ranges, of which a new one is begun where
// that is shorter than to write down the absent bytes between.
func appendLengths(b []byte, lengths *[256]uint8) []byte {
	at := len(b)
	b = append(b, 0)
	last := -1
	for v, l := range lengths {
		if l == 0 {
			continue
		}
		if last >= 0 && v-last <= 5 {
			b[len(b)-1] = byte(v)
		} else {
			b[at]++
			b = append(b, byte(v), byte(v))
		}
		last = v
	}
	half := 0
	for r := at + 1; r < at+1+2*int(b[at]); r += 2 {
		for v := int(b[r]); v <= int(b[r+1]); v++ {
			if half ^= 1; half == 1 {
				b = append(b, lengths[v])
			} else {
				b[len(b)-1] |= lengths[v] << 4
			}
		}
	}
	return b
}

// readLengths reads what appendLengths wrote and returns what follows. The codes
// are such that each sequence of bits means something.
func readLengths(b []byte, lengths *[256]uint8) (rest []byte, err error) {
	*lengths = [256]uint8{}
	if len(b) < 1 || len(b) < 1+2*int(b[0]) {
		return nil, errShort
	}
	ranges, b := b[1:1+2*int(b[0])], b[1+2*int(b[0]):]
	half, previous, used := 0, -1, 0
	for ; len(ranges) > 0; ranges = ranges[2:] {
		first, last := int(ranges[0]), int(ranges[1])
		if first <= previous || last < first {
			return nil, errBlock
		}
		previous = last
		for v := first; v <= last; v++ {
			if half>>1 >= len(b) {
				return nil, errShort
			}
			l := b[half>>1] >> (half & 1 * 4) & 15
			half++
			if l > maxLength {
				return nil, errBlock
			}
			if lengths[v] = l; l > 0 {
				used += tableSize >> l
			}
		}
	}
	if used != tableSize {
		return nil, errBlock
	}
	return b[(half+1)>>1:], nil
}

func fill(b []byte, c byte) {
	if len(b) == 0 {
		return
	}
	b[0] = c
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}
