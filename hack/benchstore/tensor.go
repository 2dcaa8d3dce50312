package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
)

// element is a kind of number that weights are stored as.
type element struct {
	// name is what safetensors calls it.
	name  string
	width int64
	put   func(b []byte, x float64)
}

var (
	float64s  = element{"F64", 8, func(b []byte, x float64) { binary.LittleEndian.PutUint64(b, math.Float64bits(x)) }}
	float32s  = element{"F32", 4, func(b []byte, x float64) { binary.LittleEndian.PutUint32(b, math.Float32bits(float32(x))) }}
	float16s  = element{"F16", 2, func(b []byte, x float64) { binary.LittleEndian.PutUint16(b, half(float32(x))) }}
	bfloat16s = element{"BF16", 2, func(b []byte, x float64) { binary.LittleEndian.PutUint16(b, brain(float32(x))) }}
	// upcasts are what a model that was trained in bfloat16 is often saved as.
	upcasts = element{"F32", 4, func(b []byte, x float64) { binary.LittleEndian.PutUint32(b, uint32(brain(float32(x)))<<16) }}
)

// brain rounds to bfloat16: to the nearest, ties to even.
func brain(x float32) uint16 {
	bits := math.Float32bits(x)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// half rounds to an IEEE 754 binary16, for |x| < 65520: to the nearest, ties to even.
func half(x float32) uint16 {
	sign := uint16(math.Float32bits(x) >> 16 & 0x8000)
	magnitude := math.Abs(float64(x))
	if magnitude < 0x1p-14 { // subnormal: multiples of 2^-24
		return sign | uint16(math.RoundToEven(magnitude*0x1p24))
	}
	fraction, exponent := math.Frexp(magnitude) // in [0.5, 1)
	return sign | uint16(exponent+13)<<10 + uint16(math.RoundToEven((fraction*2-1)*1024))
}

// layerSize is the number of weights that share a standard deviation.
const layerSize = 1 << 22

// numbers returns endless weights: normally distributed around 0, by layer with
// another standard deviation, as those of trained networks roughly are. Real
// ones are less random, so what is gained here is gained on them.
func numbers(seed uint64, e element) *stream {
	random := rand.New(rand.NewPCG(seed, 0))
	count, sigma := 0, 0.0
	return &stream{next: func(b []byte) []byte {
		if count%layerSize == 0 {
			sigma = 0.005 * math.Pow(20, random.Float64())
		}
		count++
		at := len(b)
		b = append(b, make([]byte, e.width)...)
		e.put(b[at:], sigma*random.NormFloat64())
		return b
	}}
}

// writeWeights writes a file in the form of safetensors with size bytes of weights.
func writeWeights(name string, size int64, e element) error {
	type tensor struct {
		Type    string   `json:"dtype"`
		Shape   []int64  `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	tensors := map[string]tensor{}
	size -= size % e.width
	for at := int64(0); at < size; at += layerSize * e.width {
		end := min(at+layerSize*e.width, size)
		tensors[fmt.Sprintf("layers.%d.weight", len(tensors))] = tensor{e.name, []int64{(end - at) / e.width}, [2]int64{at, end}}
	}
	header, err := json.Marshal(tensors)
	if err != nil {
		return err
	}
	return create(name, func(w *bufio.Writer) error {
		if err := binary.Write(w, binary.LittleEndian, uint64(len(header))); err != nil {
			return err
		}
		if _, err := w.Write(header); err != nil {
			return err
		}
		return copyN(w, numbers(1, e), size)
	})
}

// editRuns is the number of places that the second version of a file differs in.
const editRuns = 10

// writeEdited writes the second version of a float32 file: in ten runs a
// hundredth of its bytes are others, and in the middle a thousandth is new.
func writeEdited(name, first string) error {
	f, err := os.Open(first)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	run := size / 100 / editRuns / 4 * 4
	fresh := numbers(2, float32s)
	return create(name, func(w *bufio.Writer) error {
		at := int64(0)
		for i := range int64(editRuns) {
			if i == editRuns/2 {
				if err := copyN(w, f, size/2-at); err != nil {
					return err
				}
				at = size / 2
				if err := copyN(w, fresh, size/1024/4*4); err != nil {
					return err
				}
			}
			start := size * (2*i + 1) / (2 * editRuns)
			if err := copyN(w, f, start-at); err != nil {
				return err
			}
			if err := copyN(w, fresh, run); err != nil {
				return err
			}
			if at, err = f.Seek(start+run, io.SeekStart); err != nil {
				return err
			}
		}
		_, err := io.Copy(w, f)
		return err
	})
}

func copyN(w io.Writer, r io.Reader, n int64) error {
	_, err := io.CopyN(w, r, n)
	return err
}

// create makes a file of what write writes.
func create(name string, write func(*bufio.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
