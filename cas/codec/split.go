package codec

// split takes the coded lanes of the values in src to planes, from value at on,
// and the others to rest.
func split(stride int, mask uint8, src, rest []byte, planes *planeBuffers, at int) {
	n := len(src) / stride
	switch {
	case stride == 4 && mask == 0b1000:
		splitQuads(src, rest, planes[3][at:at+n])
		return
	case stride == 2 && mask == 0b10:
		splitPairs(src, rest, planes[1][at:at+n])
		return
	case stride == 8 && mask == 0b11000000:
		splitDoubles(src, rest, planes[6][at:at+n], planes[7][at:at+n])
		return
	}
	k, to := kept(stride, mask), 0
	for lane := range stride {
		if mask>>lane&1 != 0 {
			gather(planes[lane][at:at+n], 1, src[lane:], stride)
			continue
		}
		gather(rest[to:], k, src[lane:], stride)
		to++
	}
}

// join is the inverse of split.
func join(stride int, mask uint8, dst, rest []byte, planes *planeBuffers, at int) {
	n := len(dst) / stride
	switch {
	case stride == 4 && mask == 0b1000:
		joinQuads(dst, rest, planes[3][at:at+n])
		return
	case stride == 2 && mask == 0b10:
		joinPairs(dst, rest, planes[1][at:at+n])
		return
	case stride == 8 && mask == 0b11000000:
		joinDoubles(dst, rest, planes[6][at:at+n], planes[7][at:at+n])
		return
	}
	k, from := kept(stride, mask), 0
	for lane := range stride {
		if mask>>lane&1 != 0 {
			gather(dst[lane:], stride, planes[lane][at:at+n], 1)
			continue
		}
		gather(dst[lane:], stride, rest[from:], k)
		from++
	}
}

// gather copies every from-th byte of src to every to-th byte of dst.
func gather(dst []byte, to int, src []byte, from int) {
	if to == 1 && from == 1 {
		copy(dst, src)
		return
	}
	for i, j := 0, 0; i < len(dst) && j < len(src); i, j = i+to, j+from {
		dst[i] = src[j]
	}
}

// The values of the common masks are moved eight at a time. What is written
// beyond a value is overwritten by the next, so these loops end some values early.

const (
	low3  = 0xffffff
	high3 = low3 << 24
)

func splitQuadsGeneric(src, rest, top []byte) {
	i := 0
	for ; i+11 <= len(top); i += 8 {
		s := src[4*i : 4*i+32 : 4*i+32]
		r := rest[3*i : 3*i+26 : 3*i+26]
		a, b, c, d := le.Uint64(s), le.Uint64(s[8:]), le.Uint64(s[16:]), le.Uint64(s[24:])
		le.PutUint64(r, a&low3|a>>8&high3)
		le.PutUint64(r[6:], b&low3|b>>8&high3)
		le.PutUint64(r[12:], c&low3|c>>8&high3)
		le.PutUint64(r[18:], d&low3|d>>8&high3)
		t := a>>24&0xff | a>>56<<8 | b>>24&0xff<<16 | b>>56<<24 |
			c>>24&0xff<<32 | c>>56<<40 | d>>24&0xff<<48 | d>>56<<56
		le.PutUint64(top[i:], t)
	}
	for ; i < len(top); i++ {
		copy(rest[3*i:3*i+3], src[4*i:])
		top[i] = src[4*i+3]
	}
}

func joinQuadsGeneric(dst, rest, top []byte) {
	i := 0
	for ; i+11 <= len(top); i += 8 {
		s := dst[4*i : 4*i+32 : 4*i+32]
		r := rest[3*i : 3*i+26 : 3*i+26]
		t := le.Uint64(top[i:])
		a, b, c, d := le.Uint64(r), le.Uint64(r[6:]), le.Uint64(r[12:]), le.Uint64(r[18:])
		le.PutUint64(s, a&low3|a&high3<<8|t&0xff<<24|t>>8<<56)
		le.PutUint64(s[8:], b&low3|b&high3<<8|t>>16&0xff<<24|t>>24<<56)
		le.PutUint64(s[16:], c&low3|c&high3<<8|t>>32&0xff<<24|t>>40<<56)
		le.PutUint64(s[24:], d&low3|d&high3<<8|t>>48&0xff<<24|t>>56<<56)
	}
	for ; i < len(top); i++ {
		copy(dst[4*i:4*i+3], rest[3*i:])
		dst[4*i+3] = top[i]
	}
}

// pack returns the even bytes of v in its low half.
func pack(v uint64) uint64 {
	v &= 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return (v | v>>16) & 0xffffffff
}

// spaced is the inverse of pack.
func spaced(v uint64) uint64 {
	v = (v | v<<16) & 0x0000ffff0000ffff
	return (v | v<<8) & 0x00ff00ff00ff00ff
}

func splitPairsGeneric(src, rest, top []byte) {
	i := 0
	for ; i+8 <= len(top); i += 8 {
		s := src[2*i : 2*i+16 : 2*i+16]
		a, b := le.Uint64(s), le.Uint64(s[8:])
		le.PutUint64(rest[i:], pack(a)|pack(b)<<32)
		le.PutUint64(top[i:], pack(a>>8)|pack(b>>8)<<32)
	}
	for ; i < len(top); i++ {
		rest[i], top[i] = src[2*i], src[2*i+1]
	}
}

func joinPairsGeneric(dst, rest, top []byte) {
	i := 0
	for ; i+8 <= len(top); i += 8 {
		s := dst[2*i : 2*i+16 : 2*i+16]
		r, t := le.Uint64(rest[i:]), le.Uint64(top[i:])
		le.PutUint64(s, spaced(r&0xffffffff)|spaced(t&0xffffffff)<<8)
		le.PutUint64(s[8:], spaced(r>>32)|spaced(t>>32)<<8)
	}
	for ; i < len(top); i++ {
		dst[2*i], dst[2*i+1] = rest[i], top[i]
	}
}

// splitDoubles takes the last two bytes of every eight of src to low and high and the others to rest.
func splitDoubles(src, rest, low, high []byte) {
	low = low[:len(high)]
	for i := range high {
		v := le.Uint64(src)
		low[i], high[i] = byte(v>>48), byte(v>>56)
		if len(rest) >= 8 {
			le.PutUint64(rest, v)
		} else {
			copy(rest, src[:6])
		}
		src, rest = src[8:], rest[6:]
	}
}

// joinDoubles is the inverse of splitDoubles.
func joinDoubles(dst, rest, low, high []byte) {
	low = low[:len(high)]
	for i := range high {
		var v uint64
		if len(rest) >= 8 {
			v = le.Uint64(rest) & (1<<48 - 1)
		} else {
			v = uint64(le.Uint32(rest)) | uint64(le.Uint16(rest[4:]))<<32
		}
		le.PutUint64(dst, v|uint64(low[i])<<48|uint64(high[i])<<56)
		dst, rest = dst[8:], rest[6:]
	}
}
