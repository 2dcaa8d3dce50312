package codec

import (
	"bytes"
	"testing"
)

// TestAssembly compares what may be assembly with what is Go.
func TestAssembly(t *testing.T) {
	r := newRand()
	for n := range 200 {
		src := noise(r, 4*n)
		for _, width := range []int{2, 4} {
			split, splitGo, join, joinGo := splitPairs, splitPairsGeneric, joinPairs, joinPairsGeneric
			if width == 4 {
				split, splitGo, join, joinGo = splitQuads, splitQuadsGeneric, joinQuads, joinQuadsGeneric
			}
			// The bytes after the ends have to stay as they are.
			run := func(f func(a, b, c []byte), a, b, c []byte) [3][]byte {
				out := [3][]byte{}
				for i, p := range [][]byte{a, b, c} {
					out[i] = append(bytes.Clone(p), "end of piece"...)
				}
				f(out[0][:len(a)], out[1][:len(b)], out[2][:len(c)])
				return out
			}
			same := func(what string, a, b [3][]byte) {
				t.Helper()
				for i := range a {
					if !bytes.Equal(a[i], b[i]) {
						t.Errorf("%s of %d values of %d bytes: differs in %d", what, n, width, i)
					}
				}
			}
			src := src[:n*width]
			rest, top := make([]byte, n*(width-1)), make([]byte, n)
			was := run(splitGo, src, rest, top)
			same("split", run(split, src, rest, top), was)
			rest, top = was[1][:len(rest)], was[2][:len(top)]
			dst := make([]byte, len(src))
			back := run(joinGo, dst, rest, top)
			same("join", run(join, dst, rest, top), back)
			if !bytes.Equal(back[0][:len(src)], src) {
				t.Errorf("%d values of %d bytes come back as others", n, width)
			}
		}
	}
}

// TestStreams compares the ways to write and to read the four streams, for codes of few and of
// many bytes, skewed and not.
func TestStreams(t *testing.T) {
	r := newRand()
	var e huffmanEncoder
	var d huffmanDecoder
	for round := range 300 {
		symbols, n := 2+r.IntN(min(255, 2+round)), 5+r.IntN(20000)
		if round%3 == 0 {
			n += 100000
		}
		skew := r.Float64() * 4
		plain := bytesOf(n, func() byte {
			f := 1.0
			for range int(skew) + 1 {
				f *= r.Float64()
			}
			return byte(f * float64(symbols) * 1.0)
		})
		size, distinct := e.prepare(plain)
		if distinct == 1 {
			continue
		}
		e.fillPairs()
		var dst, src [4][]byte
		quarter := (n + 3) / 4
		for i := range 4 {
			src[i] = plain[min(i*quarter, n):min(i*quarter+quarter, n)]
			dst[i] = make([]byte, size[i], size[i]+8)
			e.write(dst[i], src[i])
			for name, write := range map[string]func(a, b []byte){"pairs": e.writePairs, "pairs in Go": e.writePairsGeneric} {
				other := make([]byte, size[i], size[i]+8)
				if write(other, src[i]); !bytes.Equal(other, dst[i]) || !bytes.Equal(other[size[i]:size[i]+8], make([]byte, 8)) {
					t.Fatalf("%s: stream %d of %d bytes differs", name, i, n)
				}
			}
		}
		d.lengths = e.lengths
		assign(&d.lengths, &d.codes)
		d.fillSingle()
		d.fillTable()
		for name, decode := range map[string]func(a, b *[4][]byte) ([4]int, [4]uint64){"decode": d.decode, "in Go": d.decodeGeneric} {
			var got [4][]byte
			for i := range got {
				got[i] = make([]byte, len(src[i]))
			}
			at, bit := decode(&got, &dst)
			for i := range got {
				if !d.finish(got[i][at[i]:], dst[i], bit[i]) || !bytes.Equal(got[i], src[i]) {
					t.Fatalf("%s: stream %d of %d bytes, %d different, comes back as another", name, i, n, distinct)
				}
			}
		}
	}
}
