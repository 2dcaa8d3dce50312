package chunk

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var measured = flag.String("versions", "", "folder of folders, each with the versions of one file, for BenchmarkVersions")

// BenchmarkVersions says how much of each version of a content is new to a
// store that has those before it, for several sizes of chunks. It is where the
// figures of docs/decisions/0008-chunks.md come from:
//
//	go test -run - -bench Versions -benchtime 1x ./cas/chunk
//
// KiB is the size of a chunk on the average, %new the part of a version that is
// new, the first not counted, and x-last all that is stored for all versions as
// a multiple of the last. Nothing is compressed.
func BenchmarkVersions(b *testing.B) {
	kinds := generated()
	if *measured != "" {
		kinds = files(b, *measured)
	}
	for _, kind := range kinds {
		for _, average := range []int{16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10} {
			c := cutter{min: average / 2, average: average, max: 4 * average}
			b.Run(fmt.Sprintf("%s/%dK", kind.name, average>>10), func(b *testing.B) {
				for b.Loop() {
					measure(b, c, kind.versions)
				}
			})
		}
	}
}

func measure(b *testing.B, c cutter, versions iter.Seq[[]byte]) {
	var (
		seed                               = maphash.MakeSeed()
		stored                             = map[uint64]bool{}
		chunks, all, first, fresh, last, n int
		spent                              time.Duration
	)
	for version := range versions {
		start := time.Now()
		lengths := c.cuts(version)
		spent += time.Since(start)
		for rest := version; len(lengths) > 0; lengths = lengths[1:] {
			chunk := rest[:lengths[0]]
			rest = rest[len(chunk):]
			if sum := maphash.Bytes(seed, chunk); !stored[sum] {
				stored[sum] = true
				fresh += len(chunk)
			}
			chunks++
		}
		if n++; n == 1 {
			first, fresh = fresh, 0
		} else {
			last = len(version)
		}
		all += len(version)
	}
	later := all // the bytes of all versions but the first
	for version := range versions {
		later -= len(version)
		break
	}
	b.ReportMetric(float64(all)/float64(chunks)/1024, "KiB")
	b.ReportMetric(100*float64(fresh)/float64(later), "%new")
	b.ReportMetric(float64(first+fresh)/float64(last), "x-last")
	b.ReportMetric(float64(all)/1e6/spent.Seconds(), "MB/s")
	b.ReportMetric(0, "ns/op")
}

// kind is a kind of file, in versions of which one is made of the other.
type kind struct {
	name     string
	versions iter.Seq[[]byte]
}

func files(b *testing.B, folder string) (kinds []kind) {
	names, err := filepath.Glob(filepath.Join(folder, "*", "*"))
	if err != nil || len(names) == 0 {
		b.Fatalf("no versions in %q: %v", folder, err)
	}
	for len(names) > 0 {
		dir := filepath.Dir(names[0])
		n := slices.IndexFunc(names, func(name string) bool { return filepath.Dir(name) != dir })
		if n < 0 {
			n = len(names)
		}
		of := names[:n]
		names = names[n:]
		kinds = append(kinds, kind{filepath.Base(dir), func(yield func([]byte) bool) {
			for _, name := range of {
				version, err := os.ReadFile(name)
				if err != nil {
					b.Fatal(err)
				}
				if !yield(version) {
					return
				}
			}
		}})
	}
	return kinds
}

func generated() []kind {
	const size = 256 << 20
	model := weights(1, size)
	rows := bytes.SplitAfter(table(1, 100_000_000), []byte("\n"))
	rows = rows[:len(rows)-1] // the last is a part of one
	const days = 20
	// On day i the table has 60 % of its rows, and 2 % more each day.
	until := func(i int) int { return len(rows)*3/5 + len(rows)*2/5*i/(days-1) }
	return []kind{
		{"weights, 1% in 10 runs and 1 MiB inserted", pair(model, func(r *rand.Rand) []byte {
			edited := rewrite(r, model, 10, size/1000)
			return slices.Insert(edited, size/2, weights(2, 1<<20)...)
		})},
		{"weights, 1% in 256 runs", pair(model, func(r *rand.Rand) []byte { return rewrite(r, model, 256, size/25600) })},
		{"weights, one step of training", pair(model, func(r *rand.Rand) []byte { return step(r, model) })},
		{"table, 20 days, rows appended", func(yield func([]byte) bool) {
			for i := range days {
				if !yield(slices.Concat(rows[:until(i)]...)) {
					return
				}
			}
		}},
		{"table, 20 days, rows appended and 10 edited", func(yield func([]byte) bool) {
			r := rand.New(rand.NewPCG(3, 3))
			rows := slices.Clone(rows)
			for i := range days {
				for range 10 {
					id := r.IntN(until(i))
					rows[id] = row(r, id)
				}
				if !yield(slices.Concat(rows[:until(i)]...)) {
					return
				}
			}
		}},
		{"table, 20 days, rows appended and all sorted by place and price", func(yield func([]byte) bool) {
			order := slices.Clone(rows)
			slices.SortFunc(order, func(a, b []byte) int { return bytes.Compare(byPlace(a), byPlace(b)) })
			for i := range days {
				limit := until(i)
				version := slices.DeleteFunc(slices.Clone(order), func(row []byte) bool { return id(row) >= limit })
				if !yield(slices.Concat(version...)) {
					return
				}
			}
		}},
		{"tar of 3,000 files, one replaced", pair(archive(-1), func(*rand.Rand) []byte { return archive(1500) })},
		{"zip of 40 tensors, one replaced", pair(checkpoint(-1), func(*rand.Rand) []byte { return checkpoint(20) })},
	}
}

// pair is a content and one that edit makes of it.
func pair(content []byte, edit func(r *rand.Rand) []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		_ = yield(content) && yield(edit(rand.New(rand.NewPCG(4, 4))))
	}
}

// rewrite returns content with runs of new weights in it.
func rewrite(r *rand.Rand, content []byte, runs, size int) []byte {
	content = slices.Clone(content)
	for range runs {
		copy(content[4*r.IntN((len(content)-size)/4):], weights(r.Uint64(), size))
	}
	return content
}

// step returns the weights after an update by about a thousandth of each.
func step(r *rand.Rand, content []byte) []byte {
	content = slices.Clone(content)
	for at := 0; at < len(content); at += 4 {
		w := math.Float32frombits(binary.LittleEndian.Uint32(content[at:]))
		binary.LittleEndian.PutUint32(content[at:], math.Float32bits(w*(1+float32(r.NormFloat64())/1000)))
	}
	return content
}

// id returns the first field of a row.
func id(row []byte) (n int) {
	for _, digit := range row[:bytes.IndexByte(row, ',')] {
		n = 10*n + int(digit-'0')
	}
	return n
}

// byPlace returns a row from its third field on.
func byPlace(row []byte) []byte {
	row = row[bytes.IndexByte(row, ',')+1:]
	return row[bytes.IndexByte(row, ',')+1:]
}

// archive is a tar of small files of which one may be a new one.
func archive(replaced int) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range 3000 {
		r := rand.New(rand.NewPCG(uint64(i), 5))
		if i == replaced {
			r = rand.New(rand.NewPCG(uint64(i), 6))
		}
		content := random(r.Uint64(), int(20_000*math.Exp(r.NormFloat64()-0.5)))
		w.WriteHeader(&tar.Header{Name: fmt.Sprintf("images/%05d.jpg", i), Mode: 0o644, Size: int64(len(content))})
		w.Write(content)
	}
	w.Close()
	return b.Bytes()
}

// checkpoint is a file as PyTorch writes it: a zip of tensors, not compressed,
// each at a multiple of 64 bytes.
func checkpoint(replaced int) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range 40 {
		seed := uint64(i)
		if i == replaced {
			seed += 1000
		}
		h := &zip.FileHeader{Name: fmt.Sprintf("archive/data/%d", i), Method: zip.Store}
		w.Flush()
		pad := 63 - (b.Len()+30+len(h.Name)+4+63)%64
		h.Extra = append([]byte{'F', 'B', byte(pad), 0}, make([]byte, pad)...)
		f, _ := w.CreateHeader(h)
		f.Write(weights(seed, 1<<20+i<<16))
	}
	w.Close()
	return b.Bytes()
}
