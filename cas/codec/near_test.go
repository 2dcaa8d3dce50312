package codec

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Numbers are smaller with what is near alone, text that comes again is not, and
// one file may be both.
func TestNearness(t *testing.T) {
	numbers := func(r *rand.Rand) []byte {
		var b []byte
		for len(b) < 512<<10 {
			b = fmt.Appendf(b, "%.6f,%d,%.2f\n", r.NormFloat64(), r.IntN(100_000), r.Float64()*100)
		}
		return b
	}
	page := text(newRand(), 200<<10)
	again := func(*rand.Rand) []byte { return append(append([]byte{}, page...), page...) }
	r := newRand()
	var file Nearness
	at := 0
	for _, part := range []struct {
		name   string
		make   func(*rand.Rand) []byte
		groups int
		want   Class
	}{
		{"the first numbers", numbers, nearFirst - 1, Text},
		{"more numbers", numbers, nearEvery, Near},
		{"pages", again, nearEvery, Text},
	} {
		for range part.groups {
			at++
			if class := file.Class(part.make(r)); class != part.want {
				t.Fatalf("group %d, %s: class %d, want %d", at, part.name, class, part.want)
			}
		}
	}
	e := NewEncoder()
	b := numbers(newRand())
	method, far := roundTrip(t, e, Text, [][]byte{b})
	if size := len(far); method != Zstd {
		t.Errorf("method %d", method)
	} else if _, near := roundTrip(t, e, Near, [][]byte{b}); len(near) >= size {
		t.Errorf("%d bytes, and %d with what is near alone", size, len(near))
	}
	roundTrip(t, e, Near, [][]byte{b[:1000], b[1000:5000], nil, b[5000:]})
}
