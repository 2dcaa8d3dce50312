package codec

import (
	"bytes"
	"testing"

	"github.com/zeebo/blake3"
)

const benchSize = 1 << 20

func BenchmarkEncode(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			plain := kind.make(newRand(), benchSize)
			class := Probe(plain)
			e := NewEncoder()
			stored := plain
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if _, stored, err = e.Encode(class, plain, []int{benchSize}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(stored))/benchSize, "ratio")
		})
	}
}

// BenchmarkEncodeSmall encodes a group of a thousand small files.
func BenchmarkEncodeSmall(b *testing.B) {
	plain := kindNamed("float32").make(newRand(), benchSize)
	var ends []int
	for end := 1024; end <= benchSize; end += 1024 {
		ends = append(ends, end)
	}
	e := NewEncoder()
	b.SetBytes(benchSize)
	for b.Loop() {
		if _, _, err := e.Encode(Values4, plain, ends); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			plain := kind.make(newRand(), benchSize)
			method, stored, err := NewEncoder().Encode(Probe(plain), plain, []int{len(plain)})
			if err != nil {
				b.Fatal(err)
			}
			got := make([]byte, len(plain))
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				if err := Decode(method, stored, got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkProbe(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			run := kind.make(newRand(), 64<<10)
			b.SetBytes(int64(len(run)))
			b.ReportAllocs()
			for b.Loop() {
				Probe(run)
			}
		})
	}
}

// BenchmarkSteps times what a group of float32 is made of, beside hashing it.
func BenchmarkSteps(b *testing.B) {
	src := kindNamed("float32").make(newRand(), benchSize)
	dst, rest, top := make([]byte, benchSize), make([]byte, benchSize/4*3), make([]byte, benchSize/4)
	splitQuads(src, rest, top)
	var enc huffmanEncoder
	var dec huffmanDecoder
	var coded []byte
	var same bool
	for _, step := range []struct {
		name string
		size int
		do   func()
	}{
		{"split", benchSize, func() { splitQuads(src, rest, top) }},
		{"huffman encode", blockValues, func() { coded = enc.append(coded[:0], top[:blockValues]) }},
		{"huffman decode", blockValues, func() {
			if _, err := dec.read(coded, dst[:blockValues]); err != nil {
				b.Fatal(err)
			}
		}},
		{"join", benchSize, func() { joinQuads(dst, rest, top) }},
		{"compare", benchSize, func() { same = bytes.Equal(src, dst) }},
		{"blake3", 64 << 10, func() { blake3.Sum256(src[:64<<10]) }},
	} {
		b.Run(step.name, func(b *testing.B) {
			b.SetBytes(int64(step.size))
			for b.Loop() {
				step.do()
			}
		})
	}
	_ = same
}
