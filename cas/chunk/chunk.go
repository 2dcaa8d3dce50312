// Package chunk cuts content where the content says so: a byte inserted or
// removed moves the cuts beside it and no others, so two versions of a file have
// most of their chunks in common.
//
//	for len(b) > 0 {
//		n := chunk.Next(b)    // b: at least Max bytes, or all that is left
//		keep(b[:n])
//		b = b[n:]
//	}
//
// Where the cuts fall decides what is shared between files, nothing else: a
// content may be cut in any way and is the same content. Stores share chunks
// only as far as they cut alike, so the cuts are frozen: docs/spec/chunks.md,
// and why they are as they are in docs/decisions/0008-chunks.md.
package chunk

// The sizes of chunks, in bytes. Only the last of a content is shorter than
// Min, only one in which no cut was found is Max.
const (
	Min     = 32 << 10
	Average = 64 << 10
	Max     = 256 << 10
)

// window is how many bytes a hash depends on: each shifts those before it by a
// bit, until they are gone.
const window = 64

// Next returns the length of the first chunk of b, which has at least Max bytes
// or is all that is left of the content. Of a shorter b it returns the same, or
// len(b) where the chunk does not end in b.
func Next(b []byte) int { return frozen.next(b) }

var frozen = cutter{Min, Average, Max}

// cutter makes chunks of other sizes than the frozen ones, to measure them.
type cutter struct{ min, average, max int }

func (c cutter) next(b []byte) int {
	if len(b) <= c.min {
		return len(b)
	}
	b = b[:min(len(b), c.max)]
	var h uint64
	for _, v := range b[c.min-window : c.min] {
		h = h<<1 + gear[v]
	}
	// A hash is below limit once in average bytes. Cuts that are six times as
	// frequent in what is longer than average gather the sizes around it.
	limit := ^uint64(0)/uint64(c.average) + 1
	middle := min(len(b), c.average)
	n, h := scan(b[c.min:middle], h, limit)
	if n > 0 {
		return c.min + n
	}
	if n, _ = scan(b[middle:], h, 6*limit); n > 0 {
		return middle + n
	}
	return len(b)
}

// scan returns the length of b up to the first byte whose hash is below limit,
// or 0 if there is none, and the hash of the last byte it saw. h is the hash of
// the byte before b.
//
// It is the loop at the end, unrolled. What takes the time is that each hash
// waits for the one before, so every second one is made of the last but one.
func scan(b []byte, h, limit uint64) (int, uint64) {
	size := len(b)
	for len(b) >= 8 {
		v := (*[8]byte)(b)
		g := gear[v[0]]
		if h<<1+g < limit {
			return size - len(b) + 1, h<<1 + g
		}
		if h = h<<2 + (g<<1 + gear[v[1]]); h < limit {
			return size - len(b) + 2, h
		}
		g = gear[v[2]]
		if h<<1+g < limit {
			return size - len(b) + 3, h<<1 + g
		}
		if h = h<<2 + (g<<1 + gear[v[3]]); h < limit {
			return size - len(b) + 4, h
		}
		g = gear[v[4]]
		if h<<1+g < limit {
			return size - len(b) + 5, h<<1 + g
		}
		if h = h<<2 + (g<<1 + gear[v[5]]); h < limit {
			return size - len(b) + 6, h
		}
		g = gear[v[6]]
		if h<<1+g < limit {
			return size - len(b) + 7, h<<1 + g
		}
		if h = h<<2 + (g<<1 + gear[v[7]]); h < limit {
			return size - len(b) + 8, h
		}
		b = b[8:]
	}
	for i, v := range b {
		if h = h<<1 + gear[v]; h < limit {
			return size - len(b) + i + 1, h
		}
	}
	return 0, h
}

// gear gives every byte 64 random bits: the first 256 numbers of SplitMix64
// with the seed 0.
var gear [256]uint64

func init() { // takes microseconds
	var state uint64
	for i := range gear {
		state, gear[i] = splitMix64(state)
	}
}

// splitMix64 is the generator of Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014.
func splitMix64(state uint64) (next, number uint64) {
	next = state + 0x9e3779b97f4a7c15
	z := next
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return next, z ^ z>>31
}
