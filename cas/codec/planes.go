package codec

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/kept-dev/kept/internal/reuse"
)

// A group of the Planes method is
//
//	1 byte   stride: 1, 2, 4 or 8
//	1 byte   mask: bit i says that lane i is coded
//	uvarint  number of sections
//	  uvarint  length of a section << 3 | bytes before its first value
//	rest     of each section: the bytes before its first value, the lanes of each
//	         value that are not coded, the bytes after its last value
//	blocks   of each 256 Ki values, the coded lanes, lowest first
//
// A section is a run or a part of one: values need not begin where a run begins.
type section struct {
	length int
	skip   int // bytes before the first value
}

// values returns the number of values and the bytes after the last.
func (s section) values(stride int) (n, tail int) {
	n = (s.length - s.skip) / stride
	return n, s.length - s.skip - n*stride
}

// blockValues is the number of values in a block, of which each coded lane has
// codes of its own.
const blockValues = 256 << 10

type planesEncoder struct {
	stride   int
	mask     uint8 // of lanes to code
	constant uint8 // of lanes that hardly vary
	sections []section
	planes   planeBuffers
	huffman  huffmanEncoder
}

// phaseSize is how often a run is looked at for where its values begin: what
// holds arrays of odd sizes may move them.
const phaseSize = 256 << 10

// prepare finds the sections of plain, whose runs have these ends, and which lanes to code.
func (p *planesEncoder) prepare(stride int, plain []byte, ends []int) {
	p.stride = stride
	p.sections = p.sections[:0]
	k := bits.TrailingZeros(uint(stride))
	var sum [8]float64
	start := 0
	for _, end := range ends {
		run := plain[start:end]
		start = end
		for first := true; len(run) > 0; first = false {
			piece := run
			if len(piece) >= 2*phaseSize {
				piece = piece[:phaseSize]
			}
			run = run[len(piece):]
			var l lanes
			l.sample(piece)
			m := l.measure()
			c := l.concentration(&m, k)
			skip := phase(stride, &c)
			for i := range stride {
				sum[i] += c[(skip+i)%stride] * float64(len(piece))
			}
			if n := len(p.sections); !first && p.sections[n-1].skip == skip {
				p.sections[n-1].length += len(piece)
				continue
			}
			p.sections = append(p.sections, section{len(piece), min(skip, len(piece))})
		}
	}
	p.mask, p.constant = 0, 0
	for i := range stride {
		if sum[i] > uneven*float64(len(plain)) {
			p.mask |= 1 << i
		}
		if sum[i] > 0.99*float64(len(plain)) {
			p.constant |= 1 << i
		}
	}
}

// phase returns how many bytes are before the first value, so that lanes with
// few values come last in it, as they do in little-endian numbers.
func phase(stride int, c *[8]float64) (best int) {
	most := 0.0
	for skip := range stride {
		score := 0.0
		for i := range stride {
			score += c[(skip+i)%stride] * float64(i*i)
		}
		if score > most*1.02 {
			best, most = skip, score
		}
	}
	return best
}

// mayRepeat reports whether it is worth looking for values that repeat. Floats do not:
// they have lanes of noise, and one or two of sign and exponent, three where
// a mantissa ends in the middle of a byte. Lanes that are constant do not matter.
func (p *planesEncoder) mayRepeat() bool {
	floats := 1
	if p.stride == 8 {
		floats = 3
	}
	return kept(p.stride, p.mask) == 0 || bits.OnesCount8(p.mask&^p.constant) > floats
}

// kept returns the number of lanes that are not coded.
func kept(stride int, mask uint8) int { return stride - bits.OnesCount8(mask) }

// append appends the stored form of what p was prepared for.
func (p *planesEncoder) append(out, plain []byte) []byte {
	// Nothing may move what the rest is written to while blocks are appended.
	room := 2 + (1+len(p.sections))*binary.MaxVarintLen64
	for _, s := range p.sections {
		room += s.length + s.length/blockValues + 8
	}
	out = grow(out, room)[:len(out)]
	out = append(out, byte(p.stride), p.mask)
	out = binary.AppendUvarint(out, uint64(len(p.sections)))
	for _, s := range p.sections {
		out = binary.AppendUvarint(out, uint64(s.length)<<3|uint64(s.skip))
	}
	k := kept(p.stride, p.mask)
	values, restLength := 0, 0
	for _, s := range p.sections {
		n, tail := s.values(p.stride)
		values += n
		restLength += s.skip + tail + n*k
	}
	at := len(out)
	out = grow(out, restLength)
	rest := out[at:]
	p.planes.size(min(values, blockValues), p.mask)

	filled := 0 // values in the planes
	for _, s := range p.sections {
		src := plain[:s.length]
		plain = plain[s.length:]
		n, tail := s.values(p.stride)
		copy(rest, src[:s.skip])
		rest, src = rest[s.skip:], src[s.skip:]
		for n > 0 {
			m := min(n, blockValues-filled)
			split(p.stride, p.mask, src[:m*p.stride], rest[:m*k], &p.planes, filled)
			src, rest = src[m*p.stride:], rest[m*k:]
			n -= m
			if filled += m; filled == blockValues {
				out = p.appendBlock(out, filled)
				filled = 0
			}
		}
		copy(rest, src)
		rest = rest[tail:]
	}
	if filled > 0 {
		out = p.appendBlock(out, filled)
	}
	return out
}

func (p *planesEncoder) appendBlock(out []byte, n int) []byte {
	for lane := range p.stride {
		if p.mask>>lane&1 != 0 {
			out = p.huffman.append(out, p.planes[lane][:n])
		}
	}
	return out
}

// grow returns b with n more bytes of any content.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		b = append(make([]byte, 0, (len(b)+n)*5/4), b...)
	}
	return b[:len(b)+n]
}

// planeBuffers are the coded lanes of a block.
type planeBuffers [8][]byte

func (p *planeBuffers) size(values int, mask uint8) {
	for lane := range p {
		if mask>>lane&1 != 0 && cap(p[lane]) < values {
			p[lane] = make([]byte, values)
		}
		p[lane] = p[lane][:cap(p[lane])]
	}
}

type planesDecoder struct {
	planes  planeBuffers
	huffman huffmanDecoder
}

var planesDecoders = reuse.Stack[*planesDecoder]{New: func() *planesDecoder { return new(planesDecoder) }}

func decodePlanes(stored, plain []byte) error {
	p := planesDecoders.Get()
	defer planesDecoders.Put(p)
	return p.decode(stored, plain)
}

var (
	errHeader = errors.New("its header is damaged")
	errShort  = errors.New("it ends too early")
	errLong   = errors.New("it has bytes after its end")
)

func (p *planesDecoder) decode(stored, plain []byte) error {
	if len(stored) < 2 {
		return errShort
	}
	stride, mask := int(stored[0]), stored[1]
	if bits.OnesCount(uint(stride)) != 1 || stride > 8 || mask == 0 || int(mask)>>stride != 0 {
		return errHeader
	}
	sections, values, restLength, stored, err := readSections(stored[2:], stride, mask, len(plain))
	if err != nil {
		return err
	}
	if restLength > len(stored) {
		return errShort
	}
	rest, stored := stored[:restLength], stored[restLength:]
	p.planes.size(min(values, blockValues), mask)

	at, ready := 0, 0 // values of the planes that are used, and that there are
	k := kept(stride, mask)
	for len(sections) > 0 {
		s := sections.next()
		n, tail := s.values(stride)
		copy(plain, rest[:s.skip])
		rest, plain = rest[s.skip:], plain[s.skip:]
		for n > 0 {
			if at == ready {
				at, ready = 0, min(values, blockValues)
				values -= ready
				if stored, err = p.readBlock(stored, mask, ready); err != nil {
					return err
				}
			}
			m := min(n, ready-at)
			join(stride, mask, plain[:m*stride], rest[:m*k], &p.planes, at)
			plain, rest = plain[m*stride:], rest[m*k:]
			n -= m
			at += m
		}
		copy(plain, rest[:tail])
		rest, plain = rest[tail:], plain[tail:]
	}
	if len(stored) > 0 {
		return errLong
	}
	return nil
}

// A sectionReader reads sections one after the other. They were checked.
type sectionReader []byte

func (r *sectionReader) next() section {
	v, n := binary.Uvarint(*r)
	*r = (*r)[n:]
	return section{int(v >> 3), int(v & 7)}
}

// readSections checks sections, which are together size bytes long, and returns
// them, how many values they have, how large the rest is, and what follows. They
// stay where they are: a list of them would be many times as large.
func readSections(b []byte, stride int, mask uint8, size int) (r sectionReader, values, rest int, after []byte, err error) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, 0, 0, nil, errHeader
	}
	b = b[n:]
	r = b
	for range count {
		v, n := binary.Uvarint(b)
		if n <= 0 || v>>3 == 0 || v>>3 > uint64(size) {
			return nil, 0, 0, nil, errHeader
		}
		s := section{int(v >> 3), int(v & 7)}
		if s.skip > s.length || s.skip >= stride {
			return nil, 0, 0, nil, errHeader
		}
		b = b[n:]
		size -= s.length
		m, tail := s.values(stride)
		values += m
		rest += s.skip + tail
	}
	if size != 0 {
		return nil, 0, 0, nil, errHeader
	}
	return r[:len(r)-len(b)], values, rest + values*kept(stride, mask), b, nil
}

func (p *planesDecoder) readBlock(b []byte, mask uint8, n int) (rest []byte, err error) {
	for lane := range p.planes {
		if mask>>lane&1 == 0 {
			continue
		}
		if b, err = p.huffman.read(b, p.planes[lane][:n]); err != nil {
			return nil, err
		}
	}
	return b, nil
}
