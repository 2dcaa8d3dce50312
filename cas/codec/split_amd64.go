package codec

// The loops of splitQuads, joinQuads, splitPairs and joinPairs for n·16 values. Those of
// quads read and write two bytes beyond these.
//
//go:noescape
func splitQuadsBlocks(src, rest, top *byte, n int)

//go:noescape
func joinQuadsBlocks(dst, rest, top *byte, n int)

//go:noescape
func splitPairsBlocks(src, rest, top *byte, n int)

//go:noescape
func joinPairsBlocks(dst, rest, top *byte, n int)

// splitQuads takes the last byte of every four of src to top and the others to rest.
func splitQuads(src, rest, top []byte) {
	if n := (len(top) - 1) / 16; n > 0 { // not the last value: it is followed by nothing
		_, _ = src[:4*len(top)], rest[:3*len(top)]
		splitQuadsBlocks(&src[0], &rest[0], &top[0], n)
		src, rest, top = src[64*n:], rest[48*n:], top[16*n:]
	}
	splitQuadsGeneric(src, rest, top)
}

// joinQuads is the inverse of splitQuads.
func joinQuads(dst, rest, top []byte) {
	if n := (len(top) - 1) / 16; n > 0 {
		_, _ = dst[:4*len(top)], rest[:3*len(top)]
		joinQuadsBlocks(&dst[0], &rest[0], &top[0], n)
		dst, rest, top = dst[64*n:], rest[48*n:], top[16*n:]
	}
	joinQuadsGeneric(dst, rest, top)
}

// splitPairs takes the last byte of every two of src to top and the other to rest.
func splitPairs(src, rest, top []byte) {
	if n := len(top) / 16; n > 0 {
		_, _ = src[:2*len(top)], rest[:len(top)]
		splitPairsBlocks(&src[0], &rest[0], &top[0], n)
		src, rest, top = src[32*n:], rest[16*n:], top[16*n:]
	}
	splitPairsGeneric(src, rest, top)
}

// joinPairs is the inverse of splitPairs.
func joinPairs(dst, rest, top []byte) {
	if n := len(top) / 16; n > 0 {
		_, _ = dst[:2*len(top)], rest[:len(top)]
		joinPairsBlocks(&dst[0], &rest[0], &top[0], n)
		dst, rest, top = dst[32*n:], rest[16*n:], top[16*n:]
	}
	joinPairsGeneric(dst, rest, top)
}
