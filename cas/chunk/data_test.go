package chunk

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// The kinds of content that the tests cut, each always the same for a seed.

// random is the numbers of SplitMix64, little-endian.
func random(seed uint64, size int) []byte {
	b := make([]byte, 0, size+8)
	for len(b) < size {
		var number uint64
		seed, number = splitMix64(seed)
		b = binary.LittleEndian.AppendUint64(b, number)
	}
	return b[:size]
}

// lines is the natural numbers in decimal, one on a line.
func lines(size int) []byte {
	b := make([]byte, 0, size+32)
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, "%d\n", i)
	}
	return b[:size]
}

// weights is float32 numbers, normally distributed, in layers of different widths.
func weights(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, size+4)
	for sigma := 0.02; len(b) < size; {
		if r.IntN(1<<18) == 0 {
			sigma = 0.005 + 0.05*r.Float64()
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(sigma*r.NormFloat64())))
	}
	return b[:size]
}

// row is a line of a table as a web shop or a sensor writes it.
func row(r *rand.Rand, id int) []byte {
	cities := []string{"Berlin", "Paris", "Porto", "Oslo", "Graz", "Lund"}
	return fmt.Appendf(nil, "%d,2024-%02d-%02d %02d:%02d:%02d,%s,%.2f,%d,%t\n", id,
		1+id/400_000%12, 1+id/14_000%28, id/600%24, id/10%60, r.IntN(60),
		cities[r.IntN(len(cities))], 200*r.ExpFloat64(), r.IntN(40), r.IntN(4) == 0)
}

// table is a CSV file.
func table(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, 0, size+128)
	for i := 0; len(b) < size; i++ {
		b = append(b, row(r, i)...)
	}
	return b[:size]
}
