package codec

import "math/bits"

// streams is where four streams are. The assembly knows its layout.
type streams struct {
	dst, src      [4]*byte
	v             [4]uint64 // the bits of src that are left, below a 1
	written, read [4]int    // bytes of dst and src
}

// decodeRounds makes as many rounds as it is told, of perLoad looks into the table for each
// stream. A round reads eight bytes of src and advances by at most seven; it advances dst by at most 6·perLoad
// and writes at most two bytes more.
//
//go:noescape
func decodeRounds(s *streams, table *[tableSize]entry, rounds int)

// decode decodes all but the ends of four streams side by side, and returns where it stopped in
// each: the byte of dst and the bit of src.
func (h *huffmanDecoder) decode(dst, src *[4][]byte) (at [4]int, bit [4]uint64) {
	for {
		rounds := len(dst[0])
		for i := range 4 {
			rounds = min(rounds,
				(len(dst[i])-at[i]-2)/(6*perLoad),
				(len(src[i])-int(bit[i]>>3)-1)/7)
		}
		if rounds < 1 {
			return at, bit
		}
		var s streams
		for i := range 4 {
			s.dst[i], s.src[i] = &dst[i][at[i]], &src[i][bit[i]>>3]
			s.v[i] = 1 << 63 >> (bit[i] & 7)
		}
		decodeRounds(&s, &h.table, rounds)
		for i := range 4 {
			at[i] += s.written[i]
			bit[i] = bit[i]&^7 + 8*uint64(s.read[i]) + uint64(bits.LeadingZeros64(s.v[i]))
		}
	}
}

// writeQuads writes the codes of quads·4 bytes of src. It returns how many whole bytes that
// made, and the n bits after them; it writes up to seven bytes more.
//
//go:noescape
func writeQuads(dst, src *byte, pairs *[1 << 16]code, quads int) (written int, acc, n uint64)

// writePairs writes a stream.
func (h *huffmanEncoder) writePairs(dst, src []byte) {
	quads := (len(src) - margin) / 4
	if quads < 1 {
		h.finish(dst, src, 0, 0)
		return
	}
	p, acc, n := writeQuads(&dst[0], &src[0], h.pairs, quads)
	h.finish(dst[p:], src[4*quads:], acc, n)
}
