//go:build !amd64

package codec

// splitQuads takes the last byte of every four of src to top and the others to rest.
func splitQuads(src, rest, top []byte) { splitQuadsGeneric(src, rest, top) }

// joinQuads is the inverse of splitQuads.
func joinQuads(dst, rest, top []byte) { joinQuadsGeneric(dst, rest, top) }

// splitPairs takes the last byte of every two of src to top and the other to rest.
func splitPairs(src, rest, top []byte) { splitPairsGeneric(src, rest, top) }

// joinPairs is the inverse of splitPairs.
func joinPairs(dst, rest, top []byte) { joinPairsGeneric(dst, rest, top) }
