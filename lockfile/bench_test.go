package lockfile

import (
	"fmt"
	"testing"

	"github.com/kept-dev/kept/cas"
)

// fiftyLines is a lock of ordinary size.
func fiftyLines(t testing.TB) []byte {
	return read(t, vectors+"/valid/stage-full.lock")
}

// bigLock has n inputs, or n params.
func bigLock(n int, inputs bool) *Lock {
	lock := New()
	s := &Stage{Command: "python train.py", Inputs: map[string]*Input{}, Params: map[string]Value{}}
	for i := range n {
		if inputs {
			path := fmt.Sprintf("data/part-%05d.parquet", i)
			s.Inputs[path] = &Input{Hash: cas.Sum([]byte(path)), Size: int64(i), Sized: true}
		} else {
			s.Params[fmt.Sprintf("layer.%05d.rate", i)] = float64(i) / 7
		}
	}
	lock.Stages["train"] = s
	return lock
}

func BenchmarkParse(b *testing.B) {
	for name, data := range map[string][]byte{
		"50lines":     fiftyLines(b),
		"10000inputs": bigLock(10_000, true).Marshal(),
		"10000params": bigLock(10_000, false).Marshal(),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := Parse(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMarshal(b *testing.B) {
	lock := bigLock(10_000, true)
	for b.Loop() {
		lock.Marshal()
	}
}

func BenchmarkMerge(b *testing.B) {
	data := bigLock(10_000, true).Marshal()
	for b.Loop() {
		if _, _, err := Merge(data, data, data, MergeOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
