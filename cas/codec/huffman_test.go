package codec

import (
	"math/rand/v2"
	"testing"
)

// TestTable compares every entry of the table with what looking for one byte after the other gives.
func TestTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var counts [256]uint32
		weight := 1 << 30
		for range 2 + r.IntN(255) {
			counts[r.Uint32()&255] += uint32(max(1, weight))
			if round%2 == 0 { // codes of every length from one bit on
				weight /= 2
			} else {
				weight = r.IntN(1000)
			}
		}
		var tree treeBuilder
		var h huffmanDecoder
		if tree.build(&counts, &h.lengths) < 2 {
			continue
		}
		assign(&h.lengths, &h.codes)
		h.fillSingle()
		h.fillTable()
		for i, got := range h.table {
			if want := h.entryOf(i); got != want {
				t.Fatalf("round %d: the entry of %011b is %#x, want %#x", round, i, got, want)
			}
		}
	}
}

// entryOf finds the bytes of an entry one by one.
func (h *huffmanDecoder) entryOf(bits int) (e entry) {
	length, count := 0, 0
	for ; count < 6; count++ {
		s := h.single[bits>>length]
		if length+int(s>>8) > maxLength {
			break
		}
		e |= entry(uint8(s)) << (8 * count)
		length += int(s >> 8)
	}
	return e | entry(length)<<48 | entry(count)<<56
}
