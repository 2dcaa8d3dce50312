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
// content may be cut in any way and is the same content.
package chunk

// The sizes of chunks, in bytes. Only the last of a content is shorter than Min.
const (
	Min     = 32 << 10
	Average = 64 << 10
	Max     = 256 << 10
)

// A cut is after a byte at which the hash has no bit of the mask. Before Average
// bytes more bits are asked than after, which gathers the sizes around it.
const (
	maskBefore = uint64(1)<<63 | (1<<16-1)<<47
	maskAfter  = uint64(1<<14-1) << 50
)

// gear gives every byte 64 random bits, by SplitMix64 from state 0.
var gear = func() (table [256]uint64) {
	var state uint64
	for i := range table {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		table[i] = z ^ z>>31
	}
	return table
}()

// Next returns the length of the first chunk of b, which is at least Max bytes
// long or all that is left of the content.
func Next(b []byte) int {
	if len(b) <= Min {
		return len(b)
	}
	b = b[:min(len(b), Max)]
	var h uint64
	// The hash of a byte depends on the 64 up to it, which it forgets one by one.
	for _, c := range b[Min-64 : Min] {
		h = h<<1 + gear[c]
	}
	middle := min(len(b), Average)
	for i, c := range b[Min:middle] {
		if h = h<<1 + gear[c]; h&maskBefore == 0 {
			return Min + i + 1
		}
	}
	for i, c := range b[middle:] {
		if h = h<<1 + gear[c]; h&maskAfter == 0 {
			return middle + i + 1
		}
	}
	return len(b)
}
