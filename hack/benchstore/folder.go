package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// folder is many small files: half of them noise, as pictures are to a store,
// half text, in folders below one.
type folder struct {
	files, perFolder int
	// size returns the bytes of the next file.
	size func(*rand.Rand) int64
}

// averageSize is of the small files, in bytes.
const averageSize = 19_940

// lognormal sizes are those of real collections: many small files, a few large.
func lognormal(r *rand.Rand) int64 { return 1 + int64(averageSize*math.Exp(r.NormFloat64()-0.5)) }

func (f folder) write(dir string) error {
	random := rand.New(rand.NewPCG(1, 3))
	random2, text := noise(4), sales(4)
	buffer := make([]byte, 0, 1<<20)
	for i := range f.files {
		sub := filepath.Join(dir, fmt.Sprintf("%04d", i/f.perFolder))
		if i%f.perFolder == 0 {
			if err := os.MkdirAll(sub, 0o777); err != nil {
				return err
			}
		}
		source, extension := random2, "jpg"
		if i%2 == 1 {
			source, extension = io.Reader(text), "csv"
		}
		size := f.size(random)
		if int64(cap(buffer)) < size {
			buffer = make([]byte, size)
		}
		if _, err := io.ReadFull(source, buffer[:size]); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("%07d.%s", i, extension)), buffer[:size], 0o666); err != nil {
			return err
		}
	}
	return nil
}
