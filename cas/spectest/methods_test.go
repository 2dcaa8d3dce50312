package spectest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// decode returns the plain bytes of a group.
func decode(method uint32, stored []byte, size int) ([]byte, error) {
	plain := stored
	switch method {
	case 0:
	case 1:
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(maxGroup))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		if plain, err = d.DecodeAll(stored, nil); err != nil {
			return nil, err
		}
	case 2:
		r := &planes{b: stored}
		if plain = r.group(size); r.err != nil {
			return nil, r.err
		}
	default:
		return nil, errors.New("unknown")
	}
	if len(plain) != size {
		return nil, fmt.Errorf("it has %d bytes, want %d", len(plain), size)
	}
	return plain, nil
}

// planes reads a group of the method Planes. What is wrong is in err, after
// which it reads zeros.
type planes struct {
	b   []byte
	err error
}

func (p *planes) fail(text string) {
	if p.err == nil {
		p.err = errors.New(text)
	}
}

func (p *planes) take(n int) []byte {
	if n < 0 || n > len(p.b) {
		p.fail("it ends too early")
		p.b = nil
		return make([]byte, max(n, 0)%(maxGroup+1))
	}
	taken := p.b[:n]
	p.b = p.b[n:]
	return taken
}

func (p *planes) uvarint() int {
	v, n := binary.Uvarint(p.b)
	if n <= 0 || v > 1<<40 {
		p.fail("a number is damaged")
		return 0
	}
	p.b = p.b[n:]
	return int(v)
}

func (p *planes) group(size int) []byte {
	head := p.take(2)
	stride, mask := int(head[0]), head[1]
	if stride != 1 && stride != 2 && stride != 4 && stride != 8 || mask == 0 || int(mask) >= 1<<stride {
		p.fail("its header is damaged")
		return nil
	}
	type section struct{ length, skip, values int }
	sections := make([]section, min(p.uvarint(), len(p.b)))
	left, values, rest := size, 0, 0
	kept := stride - bits.OnesCount8(mask)
	for i := range sections {
		v := p.uvarint()
		s := section{length: v >> 3, skip: v & 7}
		if s.length == 0 || s.length > left || s.skip > s.length || s.skip >= stride {
			p.fail("a section is damaged")
			return nil
		}
		s.values = (s.length - s.skip) / stride
		left -= s.length
		values += s.values
		rest += s.length - s.values*(stride-kept)
		sections[i] = s
	}
	if left != 0 {
		p.fail("its sections have another size")
		return nil
	}
	plain := &planes{b: p.take(rest)}
	var lanes [8][]byte
	for ; values > 0 && p.err == nil; values -= min(values, 262_144) {
		for lane := range stride {
			if mask>>lane&1 == 1 {
				lanes[lane] = append(lanes[lane], p.lane(min(values, 262_144))...)
			}
		}
	}
	if len(p.b) > 0 {
		p.fail("it has bytes after its end")
	}
	if p.err != nil {
		return nil
	}
	out := make([]byte, 0, size)
	for _, s := range sections {
		out = append(out, plain.take(s.skip)...)
		for range s.values {
			for lane := range stride {
				if mask>>lane&1 == 0 {
					out = append(out, plain.take(1)...)
					continue
				}
				out = append(out, lanes[lane][0])
				lanes[lane] = lanes[lane][1:]
			}
		}
		out = append(out, plain.take(s.length-s.skip-s.values*stride)...)
	}
	return out
}

// lane reads a coded lane of n values.
func (p *planes) lane(n int) []byte {
	out := make([]byte, 0, n)
	switch p.take(1)[0] {
	case 0:
		return p.take(n)
	case 1:
		v := p.take(1)[0]
		for range n {
			out = append(out, v)
		}
	case 2:
		h := p.codes()
		var sizes [4]int
		for i := range sizes {
			sizes[i] = p.uvarint()
		}
		quarter := (n + 3) / 4
		for _, size := range sizes {
			out = h.read(p, out, p.take(size), min(quarter, n-len(out)))
		}
	default:
		p.fail("a lane is damaged")
	}
	return out
}

// huffman has the codes of each length in order, as RFC 1951 assigns them.
type huffman struct {
	count  [16]int
	symbol []byte
}

func (p *planes) codes() *huffman {
	h := &huffman{}
	var lengths [256]byte
	ranges := p.take(2 * int(p.take(1)[0]))
	var symbols []int
	for i := 0; i < len(ranges); i += 2 {
		first, last := int(ranges[i]), int(ranges[i+1])
		if last < first || i > 0 && first <= int(ranges[i-1]) {
			p.fail("the ranges of a lane are damaged")
			return h
		}
		for v := first; v <= last; v++ {
			symbols = append(symbols, v)
		}
	}
	packed := p.take((len(symbols) + 1) / 2)
	for i, v := range symbols {
		lengths[v] = packed[i/2] >> (4 * (i % 2)) & 15
	}
	if len(symbols)%2 == 1 && packed[len(packed)-1]>>4 != 0 {
		p.fail("the lengths of a lane are damaged")
	}
	used := 0
	for length := 1; length <= 15; length++ {
		for v, l := range lengths {
			if int(l) == length {
				h.count[length]++
				h.symbol = append(h.symbol, byte(v))
				used += 1 << (15 - length)
			}
		}
	}
	if used != 1<<15 || h.count[12]+h.count[13]+h.count[14]+h.count[15] > 0 {
		p.fail("the codes of a lane are damaged")
	}
	return h
}

// read appends n bytes from a stream, bit by bit.
func (h *huffman) read(p *planes, out, stream []byte, n int) []byte {
	at := 0
	for range n {
		code, first, index, length := 0, 0, 0, 1
		for ; length <= 11; length++ {
			if at >= 8*len(stream) {
				p.fail("a stream ends too early")
				return out
			}
			code |= int(stream[at/8]>>(at%8)) & 1
			at++
			if code-first < h.count[length] {
				out = append(out, h.symbol[index+code-first])
				break
			}
			index += h.count[length]
			first = (first + h.count[length]) << 1
			code <<= 1
		}
		if length > 11 {
			p.fail("a stream is damaged")
			return out
		}
	}
	if (at+7)/8 != len(stream) {
		p.fail("a stream has bytes after its end")
	}
	for ; at < 8*len(stream); at++ {
		if stream[at/8]>>(at%8)&1 != 0 {
			p.fail("a stream has bits after its end")
		}
	}
	return out
}

// TestGroups reads the groups that package codec holds its format with.
func TestGroups(t *testing.T) {
	text, err := os.ReadFile("../codec/testdata/groups.txt")
	if err != nil {
		t.Fatal(err)
	}
	groups := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")), "\n\n")
	if len(groups) < 5 {
		t.Errorf("there are %d groups", len(groups))
	}
	for _, group := range groups {
		lines := strings.Split(group, "\n")
		if len(lines) != 3 {
			t.Fatalf("a group of %d lines: %q", len(lines), lines[0])
		}
		name := lines[0]
		method, err := strconv.ParseUint(name[strings.LastIndexByte(name, ' ')+1:], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		plain, stored := unhex(t, lines[1]), unhex(t, lines[2])
		if got, err := decode(uint32(method), stored, len(plain)); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(got, plain) {
			t.Errorf("%s: got %x, want %x", name, got, plain)
		}
		if _, err := decode(uint32(method), stored[:len(stored)-1], len(plain)); err == nil {
			t.Errorf("%s: no error without its last byte", name)
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
