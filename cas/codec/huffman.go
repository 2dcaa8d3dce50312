package codec

import (
	"bytes"

	"github.com/klauspost/compress/huff0"
)

// huffmanEncoder codes one lane of a block.
type huffmanEncoder struct{ scratch huff0.Scratch }

// append appends the stored form of a lane, which has at most blockValues bytes.
func (h *huffmanEncoder) append(out, plane []byte) []byte {
	h.scratch.Reuse = huff0.ReusePolicyNone
	coded, _, err := huff0.Compress4X(plane, &h.scratch)
	switch {
	case err == nil && len(coded)+3 < len(plane):
		n := len(coded)
		out = append(out, blockHuffman, byte(n), byte(n>>8), byte(n>>16))
		return append(out, coded...)
	case len(plane) > 0 && bytes.Count(plane, plane[:1]) == len(plane):
		return append(out, blockConstant, plane[0])
	}
	return append(append(out, blockRaw), plane...)
}

// huffmanDecoder decodes one lane of a block.
type huffmanDecoder struct{ scratch huff0.Scratch }

// read decodes the first lane of b into plane and returns what follows.
func (h *huffmanDecoder) read(b, plane []byte) (rest []byte, err error) {
	if len(b) < 1 {
		return nil, errShort
	}
	kind, b := b[0], b[1:]
	size := 0
	switch kind {
	case blockRaw:
		size = len(plane)
	case blockConstant:
		size = 1
	case blockHuffman:
		if len(b) < 3 {
			return nil, errShort
		}
		size = int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		b = b[3:]
	default:
		return nil, errBlock
	}
	if size > len(b) {
		return nil, errShort
	}
	coded, b := b[:size], b[size:]
	switch kind {
	case blockRaw:
		copy(plane, coded)
	case blockConstant:
		fill(plane, coded[0])
	case blockHuffman:
		_, streams, err := huff0.ReadTable(coded, &h.scratch)
		if err != nil {
			return nil, err
		}
		if _, err := h.scratch.Decoder().Decompress4X(plane[:0:len(plane)], streams); err != nil {
			return nil, err
		}
	}
	return b, nil
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
