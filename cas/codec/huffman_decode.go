package codec

import (
	"encoding/binary"
	"math/bits"
)

// An entry of the table says which bytes the next bits begin with: up to six, as many as
// they decide. Bits 48 to 55 are how many bits these take, those above how many bytes there are.
type entry uint64

// huffmanDecoder decodes one lane of a block.
type huffmanDecoder struct {
	lengths [256]uint8
	codes   [256]code
	single  [tableSize]uint16 // the first byte, and its length in the high half
	table   [tableSize]entry
	fewer   [tableSize]entry // tables for i bits, from 1<<i on, to fill that one
}

// read decodes the first lane of b into plane and returns what follows.
func (h *huffmanDecoder) read(b, plane []byte) (rest []byte, err error) {
	if len(b) < 1 {
		return nil, errShort
	}
	switch kind, b := b[0], b[1:]; {
	case kind == blockRaw && len(b) >= len(plane):
		copy(plane, b)
		return b[len(plane):], nil
	case kind == blockConstant && len(b) >= 1:
		fill(plane, b[0])
		return b[1:], nil
	case kind == blockHuffman:
		return h.readStreams(b, plane)
	case kind > blockHuffman:
		return nil, errBlock
	}
	return nil, errShort
}

func (h *huffmanDecoder) readStreams(b, plane []byte) (rest []byte, err error) {
	b, err = readLengths(b, &h.lengths)
	if err != nil {
		return nil, err
	}
	var size [4]int
	for i := range size {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)) {
			return nil, errBlock
		}
		size[i], b = int(n), b[k:]
	}
	var dst, src [4][]byte
	quarter := (len(plane) + 3) / 4
	for i := range 4 {
		if size[i] > len(b) {
			return nil, errShort
		}
		src[i], b = b[:size[i]], b[size[i]:]
		dst[i], plane = plane[:min(quarter, len(plane))], plane[min(quarter, len(plane)):]
	}
	assign(&h.lengths, &h.codes)
	h.fillSingle()
	var at [4]int
	var bit [4]uint64
	if quarter > tableSize { // else the table costs more than it saves
		h.fillTable()
		at, bit = h.decode(&dst, &src)
	}
	for i := range 4 {
		if !h.finish(dst[i][at[i]:], src[i], bit[i]) {
			return nil, errBlock
		}
	}
	return b, nil
}

func (h *huffmanDecoder) fillSingle() {
	for v, l := range h.lengths {
		if l == 0 {
			continue
		}
		e := uint16(v) | uint16(l)<<8
		for i := int(h.codes[v].bits()); i < tableSize; i += 1 << l {
			h.single[i] = e
		}
	}
}

// fillTable fills the table, by way of those that fewer bits decide: what a code is followed by
// is an entry of the one for as many bits as it leaves.
func (h *huffmanDecoder) fillTable() {
	var room [256]uint8
	symbols := coded(&h.lengths, &room)
	for bits := 1; bits <= maxLength; bits++ {
		table := h.table[:]
		if bits < maxLength {
			table = h.fewer[1<<bits : 2<<bits]
			clear(table) // where longer codes begin, nothing is decided
		}
		for _, v := range symbols {
			length := int(h.lengths[v])
			if length > bits {
				continue
			}
			first := entry(v) | entry(length)<<48 | 1<<56
			at := int(h.codes[v].bits())
			for _, rest := range h.fewer[1<<(bits-length) : 2<<(bits-length)] {
				table[at] = first + h.after(rest)
				at += 1 << length
			}
		}
	}
}

// after returns what an entry adds to one that has one byte, which is all of it or, where it has
// six, all but the last.
func (h *huffmanDecoder) after(e entry) entry {
	if e>>56 == 6 {
		e -= 1<<56 + entry(h.lengths[uint8(e>>40)])<<48
	}
	return e&^(1<<48-1) + e<<8&(1<<48-1)
}

// perLoad is how often the table is looked into for each eight bytes of a stream:
// 56 bits of them are left after those of the first byte that were used before and the highest, which
// is set to mark how far the others were shifted.
const perLoad = 5

// reach is what the bytes of one load may be written to. It is more than they are,
// so that no offset that fits into a byte leaves it.
const reach = 256 + 8

// decodeGeneric is decode without assembly.
func (h *huffmanDecoder) decodeGeneric(dst, src *[4][]byte) (at [4]int, bit [4]uint64) {
	const mask = tableSize - 1
	table := &h.table
	dst0, dst1, dst2, dst3 := dst[0], dst[1], dst[2], dst[3]
	src0, src1, src2, src3 := src[0], src[1], src[2], src[3]
	var o0, o1, o2, o3 int
	var bit0, bit1, bit2, bit3 uint64
	for o0+reach <= len(dst0) && o1+reach <= len(dst1) && o2+reach <= len(dst2) && o3+reach <= len(dst3) {
		p0, p1, p2, p3 := int(bit0>>3), int(bit1>>3), int(bit2>>3), int(bit3>>3)
		if p0+8 > len(src0) || p1+8 > len(src1) || p2+8 > len(src2) || p3+8 > len(src3) {
			break
		}
		v0, v1 := (le.Uint64(src0[p0:])|1<<63)>>(bit0&7), (le.Uint64(src1[p1:])|1<<63)>>(bit1&7)
		v2, v3 := (le.Uint64(src2[p2:])|1<<63)>>(bit2&7), (le.Uint64(src3[p3:])|1<<63)>>(bit3&7)
		d0, d1 := (*[reach]byte)(dst0[o0:]), (*[reach]byte)(dst1[o1:])
		d2, d3 := (*[reach]byte)(dst2[o2:]), (*[reach]byte)(dst3[o3:])
		var n0, n1, n2, n3 uint8
		for range perLoad {
			e0, e1, e2, e3 := table[v0&mask], table[v1&mask], table[v2&mask], table[v3&mask]
			le.PutUint64(d0[n0:][:8], uint64(e0))
			le.PutUint64(d1[n1:][:8], uint64(e1))
			le.PutUint64(d2[n2:][:8], uint64(e2))
			le.PutUint64(d3[n3:][:8], uint64(e3))
			v0 >>= e0 >> 48 & 63
			v1 >>= e1 >> 48 & 63
			v2 >>= e2 >> 48 & 63
			v3 >>= e3 >> 48 & 63
			n0 += uint8(e0 >> 56)
			n1 += uint8(e1 >> 56)
			n2 += uint8(e2 >> 56)
			n3 += uint8(e3 >> 56)
		}
		o0, bit0 = o0+int(n0), bit0&^7+uint64(bits.LeadingZeros64(v0))
		o1, bit1 = o1+int(n1), bit1&^7+uint64(bits.LeadingZeros64(v1))
		o2, bit2 = o2+int(n2), bit2&^7+uint64(bits.LeadingZeros64(v2))
		o3, bit3 = o3+int(n3), bit3&^7+uint64(bits.LeadingZeros64(v3))
	}
	return [4]int{o0, o1, o2, o3}, [4]uint64{bit0, bit1, bit2, bit3}
}

// finish decodes a stream to its end, from a bit on, and reports whether that is where it has to be.
func (h *huffmanDecoder) finish(dst, src []byte, bit uint64) bool {
	for i := range dst {
		p := int(bit >> 3)
		var v uint64
		if p+4 <= len(src) {
			v = uint64(le.Uint32(src[p:]))
		} else if p < len(src) {
			for k, c := range src[p:] {
				v |= uint64(c) << (8 * k)
			}
		}
		s := h.single[v>>(bit&7)&(tableSize-1)]
		dst[i] = byte(s)
		bit += uint64(s >> 8)
	}
	return (bit+7)>>3 == uint64(len(src)) && (bit&7 == 0 || src[len(src)-1]>>(bit&7) == 0)
}
