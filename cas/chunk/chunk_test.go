package chunk

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/zeebo/blake3"
)

// cuts returns the lengths of the chunks of b.
func (c cutter) cuts(b []byte) (lengths []int) {
	for len(b) > 0 {
		n := c.next(b)
		lengths = append(lengths, n)
		b = b[n:]
	}
	return lengths
}

// specified is cutter.next as docs/spec/chunks.md says it.
func specified(c cutter, b []byte) int {
	var h uint64
	limit := ^uint64(0)/uint64(c.average) + 1
	for i, v := range b {
		h = h<<1 + gear[v]
		n := i + 1
		if n == c.max || n > c.min && n <= c.average && h < limit || n > c.average && h < 6*limit {
			return n
		}
	}
	return len(b)
}

// TestFrozen holds the cuts to those that stores out there were cut by. If it
// fails, the code is wrong and not the file.
func TestFrozen(t *testing.T) {
	inputs := map[string][]byte{
		"nothing":              nil,
		"random 0 32768":       random(0, Min),
		"random 0 32769":       random(0, Min+1),
		"random 0 1048576":     random(0, 1<<20),
		"random 1 1048576":     random(1, 1<<20),
		"random 2 1000003":     random(2, 1_000_003),
		"zero 1048576":         make([]byte, 1<<20),
		"lines 1048576":        lines(1 << 20),
		"random 3 100000 x 10": bytes.Repeat(random(3, 100_000), 10),
		"random 4 1000 x 1000": bytes.Repeat(random(4, 1000), 1000),
	}
	golden, err := os.ReadFile("testdata/cuts.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		sum := blake3.Sum256(inputs[name])
		lengths := strings.Trim(fmt.Sprint(frozen.cuts(inputs[name])), "[]")
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s: %x: %s", name, sum[:8], lengths)))
	}
	want := slices.DeleteFunc(strings.Split(strings.TrimSpace(strings.ReplaceAll(string(golden), "\r\n", "\n")), "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "#")
	})
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSizes(t *testing.T) {
	const size = 32 << 20
	for _, test := range []struct {
		name  string
		b     []byte
		apart float64 // how far the mean may be from Average, as a part of it
	}{
		{"random", random(7, size), 0.03},
		{"weights", weights(7, size), 0.03},
		{"table", table(7, size), 0.03},
		{"lines", lines(size), 0.05},
	} {
		lengths := frozen.cuts(test.b)
		mean := float64(size) / float64(len(lengths))
		if mean < Average*(1-test.apart) || mean > Average*(1+test.apart) {
			t.Errorf("%s: chunks of %.0f bytes, want %d", test.name, mean, Average)
		}
		for i, n := range lengths[:len(lengths)-1] {
			if n <= Min || n >= Max {
				t.Errorf("%s: chunk %d has %d bytes", test.name, i, n)
			}
		}
	}
}

// TestConstant: content without cuts, such as a file with holes, is the same
// chunk of Max bytes many times.
func TestConstant(t *testing.T) {
	for v := range 256 {
		b := bytes.Repeat([]byte{byte(v)}, 2*Max)
		if n := Next(b); n != Max {
			t.Errorf("a chunk of bytes %#x has %d bytes, want %d", v, n, Max)
		}
	}
}

// TestEdit changes a content at one place. The chunks before it stay, and so do
// those after the next place where the cuts of both fall together.
func TestEdit(t *testing.T) {
	const size, edits = 4 << 20, 64
	for name, b := range map[string][]byte{"random": random(8, size), "weights": weights(8, size), "table": table(8, size)} {
		r := rand.New(rand.NewPCG(1, 1))
		old := map[[32]byte]bool{}
		each(b, func(_ int, chunk []byte) { old[blake3.Sum256(chunk)] = true })
		fresh := 0
		for range edits {
			at, insert := r.IntN(size-5000), random(r.Uint64(), r.IntN(5000))
			remove := r.IntN(5000)
			edited := slices.Concat(b[:at], insert, b[at+remove:])
			each(edited, func(start int, chunk []byte) {
				if old[blake3.Sum256(chunk)] {
					return
				}
				fresh += len(chunk)
				if start+len(chunk) < at {
					t.Errorf("%s: an edit at %d changed the chunk before it at %d", name, at, start)
				}
				if start > at+20*Average {
					t.Errorf("%s: an edit at %d changed the chunk at %d", name, at, start)
				}
			})
		}
		if each := fresh / edits; each > 2*Average {
			t.Errorf("%s: an edit costs %d bytes, want no more than two chunks", name, each)
		}
	}
}

func each(b []byte, fn func(start int, chunk []byte)) {
	start := 0
	for _, n := range frozen.cuts(b) {
		fn(start, b[start:start+n])
		start += n
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte(nil), uint64(0), uint(0))
	f.Add([]byte("a"), uint64(1), uint(70_000))
	f.Add(random(1, 3000), uint64(2), uint(1<<20))
	f.Add(lines(3000), uint64(3), uint(300_000))
	f.Fuzz(func(t *testing.T, seen []byte, seed uint64, size uint) {
		check(t, cutter{min: 64, average: 128, max: 512}, seen, seed)
		// Large inputs: what is seen, at random places in random content.
		large := random(seed, int(size%(Max+Max/4)))
		for at := 0; len(seen) > 0 && at < len(large); {
			at += copy(large[at:], seen)
			seed, _ = splitMix64(seed)
			at += int(seed % 50_000)
		}
		check(t, frozen, large, seed)
	})
}

// check compares the cuts of b with the specification and with those that it
// gets when it arrives in pieces.
func check(t *testing.T, c cutter, b []byte, seed uint64) {
	lengths := c.cuts(b)
	rest := b
	for i, n := range lengths {
		if n > c.max || n <= c.min && i < len(lengths)-1 {
			t.Fatalf("chunk %d of %d has %d bytes", i, len(lengths), n)
		}
		if want := specified(c, rest); n != want {
			t.Fatalf("chunk %d has %d bytes, want %d", i, n, want)
		}
		rest = rest[n:]
	}
	if len(rest) != 0 {
		t.Fatalf("%d bytes are in no chunk", len(rest))
	}
	var pieces []int
	r := rand.New(rand.NewPCG(seed, 3))
	for from, to := 0, 0; from < len(b); {
		to = min(len(b), to+1+r.IntN(c.average))
		if to < len(b) && to-from < c.max && c.next(b[from:to]) == to-from {
			continue // the end of this chunk is not in there yet
		}
		n := c.next(b[from:to])
		pieces = append(pieces, n)
		from += n
	}
	if !slices.Equal(pieces, lengths) {
		t.Fatalf("in pieces it is cut into %v, at once into %v", pieces, lengths)
	}
}

func BenchmarkNext(b *testing.B) {
	const size = 16 << 20
	for _, test := range []struct {
		name string
		data []byte
	}{{"random", random(9, size)}, {"weights", weights(9, size)}, {"table", table(9, size)}, {"zero", make([]byte, size)}} {
		b.Run(test.name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				for rest := test.data; len(rest) > 0; {
					rest = rest[Next(rest):]
				}
			}
		})
	}
}
