package codec

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// kinds are data of all sorts, size bytes of each.
var kinds []kind

func init() { kinds = allKinds } // which name each other

var allKinds = []kind{
	{"nothing but zeros", Values1, func(r *rand.Rand, size int) []byte { return make([]byte, size) }},
	{"noise", Incompressible, noise},
	{"gzip", Incompressible, func(r *rand.Rand, size int) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		for b.Len() < size {
			if _, err := w.Write(text(r, 100000)); err != nil {
				panic(err)
			}
			if err := w.Flush(); err != nil {
				panic(err)
			}
		}
		return b.Bytes()[:size]
	}},
	{"text", Text, text},
	{"csv", Text, table},
	{"json", Text, jsonLines},
	{"float32", Values4, func(r *rand.Rand, size int) []byte {
		return values4(size, func() uint32 { return math.Float32bits(float32(r.NormFloat64() * 0.02)) })
	}},
	{"float32 big-endian", Values4, func(r *rand.Rand, size int) []byte {
		b := make([]byte, 0, size+4)
		for len(b) < size {
			b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(r.NormFloat64()*0.02)))
		}
		return b[:size]
	}},
	{"float32 from bfloat16", Values4, func(r *rand.Rand, size int) []byte {
		return values4(size, func() uint32 { return math.Float32bits(float32(r.NormFloat64()*0.02)) & 0xffff0000 })
	}},
	{"float32 of 256 values", Values4, func(r *rand.Rand, size int) []byte {
		var few [256]uint32
		for i := range few {
			few[i] = math.Float32bits(float32(r.NormFloat64()))
		}
		return values4(size, func() uint32 { return few[r.IntN(256)] })
	}},
	{"float32 sparse", Values8, func(r *rand.Rand, size int) []byte {
		return values4(size, func() uint32 {
			if r.IntN(10) > 0 {
				return 0
			}
			return math.Float32bits(float32(r.NormFloat64()))
		})
	}},
	{"bfloat16", Values2, func(r *rand.Rand, size int) []byte {
		return values2(size, func() uint16 { return uint16(math.Float32bits(float32(r.NormFloat64()*0.02)) >> 16) })
	}},
	{"float16", Values2, func(r *rand.Rand, size int) []byte {
		return values2(size, func() uint16 { return float16(r.NormFloat64() * 0.02) })
	}},
	{"float64", Values8, func(r *rand.Rand, size int) []byte {
		return values8(size, func() uint64 { return math.Float64bits(r.NormFloat64() * (1 + r.Float64()/1024)) })
	}},
	{"float64 pickled", Values8, func(r *rand.Rand, size int) []byte {
		head := "\x80\x04\x95\xa8\x00\x00\x00\x00\x00\x00\x00\x8c\x15numpy.core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy"
		return append([]byte(head), kindNamed("float64").make(r, size)...)[:size]
	}},
	{"float64 from float32", Values8, func(r *rand.Rand, size int) []byte {
		return values8(size, func() uint64 { return math.Float64bits(float64(float32(r.NormFloat64()))) })
	}},
	{"int64 tokens", Values8, func(r *rand.Rand, size int) []byte {
		return values8(size, func() uint64 { return uint64(token(r)) })
	}},
	{"int32 tokens", Values4, func(r *rand.Rand, size int) []byte {
		return values4(size, func() uint32 { return uint32(token(r)) })
	}},
	{"uint16 tokens", Values2, func(r *rand.Rand, size int) []byte {
		return values2(size, func() uint16 { return uint16(token(r)) })
	}},
	{"int64 counter", Values8, func(r *rand.Rand, size int) []byte {
		n := uint64(0)
		return values8(size, func() uint64 { n += uint64(r.IntN(3)); return n })
	}},
	{"int8 weights", Values1, func(r *rand.Rand, size int) []byte {
		return bytesOf(size, func() byte { return byte(int8(max(-127, min(127, r.NormFloat64()*30)))) })
	}},
	{"int4 weights", Values1, func(r *rand.Rand, size int) []byte {
		four := func() byte { return byte(int8(max(-7, min(7, math.Round(r.NormFloat64()*2.5))))) & 15 }
		return bytesOf(size, func() byte { return four() | four()<<4 })
	}},
	{"uint8 image", Values1, func(r *rand.Rand, size int) []byte {
		i := 0
		return bytesOf(size, func() byte {
			i++
			x, y := float64(i/3%512), float64(i/3/512)
			return byte(128 + 60*math.Sin(x/40+float64(i%3)) + 50*math.Cos(y/30) + r.NormFloat64()*4)
		})
	}},
}

type kind struct {
	name  string
	class Class // that Probe finds
	make  func(r *rand.Rand, size int) []byte
}

func kindNamed(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic(name)
}

func bytesOf(size int, next func() byte) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = next()
	}
	return b
}

func values2(size int, next func() uint16) []byte {
	b := make([]byte, 0, size+2)
	for len(b) < size {
		b = binary.LittleEndian.AppendUint16(b, next())
	}
	return b[:size]
}

func values4(size int, next func() uint32) []byte {
	b := make([]byte, 0, size+4)
	for len(b) < size {
		b = binary.LittleEndian.AppendUint32(b, next())
	}
	return b[:size]
}

func values8(size int, next func() uint64) []byte {
	b := make([]byte, 0, size+8)
	for len(b) < size {
		b = binary.LittleEndian.AppendUint64(b, next())
	}
	return b[:size]
}

// float16 rounds x, whose magnitude is that of weights, to IEEE's binary16.
func float16(x float64) uint16 {
	b := math.Float32bits(float32(x))
	sign := uint16(b >> 16 & 0x8000)
	e := int(b>>23&0xff) - 127 + 15
	m := b&0x7fffff | 0x800000
	if e <= 0 { // subnormal
		if e < -10 {
			return sign
		}
		return sign | uint16(m>>(14-e))
	}
	return sign | uint16(e)<<10 | uint16(m>>13&0x3ff)
}

// token draws from a vocabulary of 50,000 as a text does.
func token(r *rand.Rand) int { return min(49999, int(math.Exp(r.Float64()*math.Log(50000)))) }

func noise(r *rand.Rand, size int) []byte {
	return bytesOf(size, func() byte { return byte(r.Uint32()) })
}

var words = strings.Fields(`the of and to in a is that for it as was with be by on not he his but at are this have
	from or had an they which one you were all her she there would their we him been has when who will more no if out so
	said what up its about into than them can only other new some could time these two may then do first any my now such
	like our over man me even most made after also did many before must through back years where much your way well down
	should because each just those people how too little state good very make world still own see men work long get here
	between both life being under never day same another know while last might us great old year off come since against`)

func text(r *rand.Rand, size int) []byte {
	var b []byte
	for len(b) < size {
		b = append(b, words[min(len(words)-1, int(math.Exp(r.Float64()*math.Log(float64(len(words))))))]...)
		if r.IntN(12) == 0 {
			b = append(b, '.')
		}
		b = append(b, ' ')
	}
	return b[:size]
}

func table(r *rand.Rand, size int) []byte {
	b := []byte("id,date,price,amount,category,comment\n")
	for id := 1; len(b) < size; id++ {
		b = fmt.Appendf(b, "%d,2024-%02d-%02d,%.2f,%d,%s,%s\n", id, 1+r.IntN(12), 1+r.IntN(28),
			math.Exp(r.NormFloat64()+3), r.IntN(1000), words[r.IntN(8)], bytes.TrimSpace(text(r, 10+r.IntN(40))))
	}
	return b[:size]
}

func jsonLines(r *rand.Rand, size int) []byte {
	var b []byte
	for id := 1; len(b) < size; id++ {
		b = fmt.Appendf(b, `{"id": %d, "score": %.6f, "label": %q, "tokens": [%d, %d, %d]}`+"\n", id, r.Float64(),
			words[r.IntN(20)], token(r), token(r), token(r))
	}
	return b[:size]
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// limits are what the sizes of weights are promised to be.
var limits = map[string]float64{"float32": 0.86, "bfloat16": 0.70, "float32 from bfloat16": 0.36, "nothing but zeros": 0.001}

func TestKinds(t *testing.T) {
	e := NewEncoder()
	for _, kind := range kinds {
		b := kind.make(newRand(), 1<<20)
		class := Probe(b)
		if class != kind.class {
			t.Errorf("%s: probed %d, want %d", kind.name, class, kind.class)
		}
		method, stored := roundTrip(t, e, class, [][]byte{b})
		ratio := float64(len(stored)) / float64(len(b))
		t.Logf("%-24s class %d method %d ratio %.3f", kind.name, class, method, ratio)
		if limit, ok := limits[kind.name]; ok && ratio > limit {
			t.Errorf("%s: stored at %.3f of its size, want at most %.2f", kind.name, ratio, limit)
		}
		// A buffer that has to be made is not where what is in it was written.
		roundTrip(t, NewEncoder(), class, [][]byte{b[3:70001], b[70001:]})
	}
}

func roundTrip(t *testing.T, e *Encoder, class Class, runs [][]byte) (Method, []byte) {
	t.Helper()
	var ends []int
	var want []byte
	for _, run := range runs {
		want = append(want, run...)
		ends = append(ends, len(want))
	}
	method, stored, err := e.Encode(class, want, ends)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) > len(want) {
		t.Errorf("%d bytes were stored as %d", len(want), len(stored))
	}
	got := make([]byte, len(want))
	if err := Decode(method, stored, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("it came back as something else")
	}
	return method, stored
}

// TestRuns forces every class on runs of all lengths and kinds.
func TestRuns(t *testing.T) {
	r := newRand()
	pool := make([][]byte, len(kinds))
	for i, kind := range kinds {
		pool[i] = kind.make(r, 1<<20)
	}
	lengths := []func() int{
		func() int { return r.IntN(17) },
		func() int { return r.IntN(300) },
		func() int { return r.IntN(20000) },
		func() int { return r.IntN(700000) },
	}
	e := NewEncoder()
	for range 60 {
		one, length, count := r.IntN(2*len(kinds)), r.IntN(len(lengths)), 1
		if length < 3 {
			count = r.IntN(40)
		}
		var runs [][]byte
		for range count {
			from := pool[r.IntN(len(pool))]
			if one < len(pool) {
				from = pool[one]
			}
			n := lengths[length]()
			at := r.IntN(len(from) - n)
			runs = append(runs, from[at:at+n])
		}
		for class := range Classes {
			roundTrip(t, e, class, runs)
		}
	}
}

// TestDefectiveDecoder pretends that what was encoded does not come back.
func TestDefectiveDecoder(t *testing.T) {
	b := bytes.Repeat(kindNamed("float32").make(newRand(), 1000), 10)
	for class := Text; class < Classes; class++ {
		for name, decode := range map[string]func(Method, []byte, []byte) error{
			"one bit": func(m Method, stored, plain []byte) error {
				err := Decode(m, stored, plain)
				plain[9999] ^= 1
				return err
			},
			"an error": func(Method, []byte, []byte) error { return errBlock },
		} {
			e := NewEncoder()
			e.decode = decode
			if method, _, err := e.Encode(class, b, []int{5000, len(b)}); err == nil {
				t.Errorf("class %d, %s: encoded with method %d and no error", class, name, method)
			}
		}
	}
}

// TestNoCopy holds that what is stored as it is is not copied.
func TestNoCopy(t *testing.T) {
	b := noise(newRand(), 1000)
	method, stored, err := NewEncoder().Encode(Incompressible, b, []int{300, len(b)})
	if err != nil || method != Raw || &stored[0] != &b[0] || len(stored) != len(b) {
		t.Errorf("method %d, %d bytes, %v", method, len(stored), err)
	}
}

// TestManyReaders decodes in many goroutines. The race detector sees what they share.
func TestManyReaders(t *testing.T) {
	type group struct {
		method        Method
		stored, plain []byte
	}
	var groups []group
	e := NewEncoder()
	for _, kind := range kinds {
		b := kind.make(newRand(), 100000)
		method, stored := roundTrip(t, e, Probe(b), [][]byte{b})
		groups = append(groups, group{method, bytes.Clone(stored), b})
	}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			plain := make([]byte, 100000)
			for j := range 2 * len(groups) {
				g := groups[(i+j)%len(groups)]
				if err := Decode(g.method, g.stored, plain); err != nil || !bytes.Equal(plain, g.plain) {
					t.Errorf("it came back as something else: %v", err)
				}
			}
		})
	}
	wait.Wait()
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"noise", "csv", "float32", "float64", "int64 tokens"} {
		b := kindNamed(name).make(newRand(), 300000)
		method, stored := roundTrip(t, NewEncoder(), Probe(b), [][]byte{b})
		plain := make([]byte, len(b))
		// A collection empties the pools; it is not in every run of one decode.
		if n := testing.AllocsPerRun(50, func() { _ = Decode(method, stored, plain) }); n > 1 && !raceDetector {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	b := kindNamed("bfloat16").make(newRand(), 40000)
	for class, want := range map[Class]Method{Values2: Planes, Text: Zstd, Incompressible: Raw} {
		src := b
		if class == Text {
			src = text(newRand(), 40000)
		}
		method, stored := roundTrip(t, NewEncoder(), class, [][]byte{src})
		if method != want {
			t.Fatalf("class %d: method %d, want %d", class, method, want)
		}
		for name, c := range map[string]struct{ stored, plain []byte }{
			"a longer group":       {stored, make([]byte, 40001)},
			"a shorter group":      {stored, make([]byte, 39999)},
			"a group of no bytes":  {stored, nil},
			"what is cut short":    {stored[:len(stored)-1], make([]byte, 40000)},
			"what goes on":         {append(bytes.Clone(stored), 0), make([]byte, 40000)},
			"what is not there":    {nil, make([]byte, 40000)},
			"two groups in one":    {append(bytes.Clone(stored), stored...), make([]byte, 40000)},
			"a group cut in front": {stored[1:], make([]byte, 40000)},
		} {
			if err := Decode(method, c.stored, c.plain); err == nil {
				t.Errorf("method %d: %s was decoded", method, name)
			}
		}
	}
	if err := Decode(3, nil, nil); err == nil {
		t.Error("an unknown method was decoded")
	}
}
