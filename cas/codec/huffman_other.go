//go:build !amd64

package codec

// decode decodes all but the ends of four streams side by side, and returns where it stopped in
// each: the byte of dst and the bit of src.
func (h *huffmanDecoder) decode(dst, src *[4][]byte) (at [4]int, bit [4]uint64) {
	return h.decodeGeneric(dst, src)
}

// writePairs writes a stream.
func (h *huffmanEncoder) writePairs(dst, src []byte) { h.writePairsGeneric(dst, src) }
