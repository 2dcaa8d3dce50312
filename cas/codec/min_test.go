package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"github.com/klauspost/compress/huff0"
	"github.com/zeebo/blake3"
	"os"
	"testing"
	"time"
)

func least(name string, size int, d time.Duration, f func()) {
	best := time.Hour
	for start := time.Now(); time.Since(start) < d; {
		t := time.Now()
		f()
		best = min(best, time.Since(t))
	}
	fmt.Printf("%-34s %9.1f us  %8.0f MB/s  %.3f s/GiB\n", name, float64(best.Nanoseconds())/1e3, float64(size)/best.Seconds()/1e6, best.Seconds()*float64(1<<30)/float64(size))
}
func TestMin(t *testing.T) {
	if os.Getenv("MIN") == "" {
		t.Skip()
	}
	d := 700 * time.Millisecond
	src := kindNamed("float32").make(newRand(), benchSize)
	dst, rest, top := make([]byte, benchSize), make([]byte, benchSize/4*3), make([]byte, benchSize/4)
	splitQuads(src, rest, top)
	var enc huffmanEncoder
	var dec huffmanDecoder
	var coded []byte
	n := len(top)
	least("blake3 64K", 64<<10, d, func() { blake3.Sum256(src[:64<<10]) })
	least("copy", benchSize, d, func() { copy(dst, src) })
	least("compare", benchSize, d, func() { bytes.Equal(src, dst) })
	least("split", benchSize, d, func() { splitQuads(src, rest, top) })
	least("join", benchSize, d, func() { joinQuads(dst, rest, top) })
	least("huff enc (x4 for GiB)", n*4, d, func() { coded = enc.append(coded[:0], top) })
	least("  count", n*4, d, func() { enc.count(top) })
	least("  prepare", n*4, d, func() { enc.prepare(top) })
	least("  fillPairs", n*4, d, func() { enc.fillPairs() })
	least("huff dec", n*4, d, func() { dec.read(coded, dst[:n]) })
	{
		var ds, ss [4][]byte
		q := n / 4
		b, _ := readLengths(coded[1:], &dec.lengths)
		var sz [4]int
		for i := range sz {
			v, k := binary.Uvarint(b)
			sz[i] = int(v)
			b = b[k:]
		}
		for i := range sz {
			ss[i] = b[:sz[i]]
			b = b[sz[i]:]
			ds[i] = dst[i*q : i*q+q]
		}
		least("  decodeGeneric", n*4, d, func() { dec.decodeGeneric(&ds, &ss) })
		least("  decode", n*4, d, func() { dec.decode(&ds, &ss) })
	}
	least("  fillTable", n*4, d, func() { dec.fillSingle(); dec.fillTable() })
	hs := &huff0.Scratch{Reuse: huff0.ReusePolicyNone}
	var o []byte
	least("klauspost enc", 128<<12, d, func() { o, _, _ = huff0.Compress4X(top[:128<<10], hs) })
	o = bytes.Clone(o)
	ds := &huff0.Scratch{}
	least("klauspost dec", 128<<12, d, func() { _, r, _ := huff0.ReadTable(o, ds); ds.Decoder().Decompress4X(dst[:0:128<<10], r) })
	var pe planesEncoder
	least("prepare planes", benchSize, d, func() { pe.prepare(4, [][]byte{src}) })
	var l lanes
	l.sample(src)
	least("  sample", 64<<10, d, func() { l = lanes{}; l.sample(src[:64<<10]) })
	least("  entropy", 64<<10, d, func() { l.measure() })
	least("  text", 64<<10, d, func() { l.text() })
	least("probe 64K", 64<<10, d, func() { Probe(src[:64<<10]) })
	for _, name := range []string{"float32", "bfloat16", "float16", "float64", "float32 from bfloat16", "int8 weights", "int32 tokens", "int64 tokens", "float32 sparse", "float32 of 256 values", "nothing but zeros", "csv", "noise"} {
		b := kindNamed(name).make(newRand(), benchSize)
		e := NewEncoder()
		runs := [][]byte{b}
		c := Probe(b)
		var m Method
		var st []byte
		least("encode "+name, benchSize, d, func() { m, st, _ = e.Encode(c, runs) })
		st = bytes.Clone(st)
		least("decode "+name, benchSize, d, func() { Decode(m, st, dst) })
	}
}
