package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// days is how many versions of a growing file there are. The first has four
// fifths of the last one's bytes, each later one a hundredth more.
const days = 20

// kind is data whose stored size is measured.
type kind struct {
	name string
	// write writes the versions of a file into a folder and returns their paths, in order.
	write  func(dir string) ([]string, error)
	limits []limit
}

// sizes measures stored bytes: no clock, one round.
func (b *bench) sizes() error {
	const path = "data"
	size := b.size / 8
	contenders, notes := present([]contender{b.newKept(path), restic(path), borg(path)})
	t := newTable("Stored sizes", contenders)
	t.columns = append([]string{physical, "zstd -3"}, t.columns...)
	t.notes = append(notes,
		"physical: the data as it is, which is also what git-lfs, git-annex and DVC keep: each distinct file whole. Where there are versions, their sum.",
		"zstd -3: of each file for itself; of versions, all of them one after the other with --long=27.")
	of := func(most float64, than string) []limit { return []limit{{most: most, than: than}} }
	single := func(write func(name string) error) func(string) ([]string, error) {
		return func(dir string) ([]string, error) {
			name := filepath.Join(dir, "version")
			return []string{name}, write(name)
		}
	}
	floats := func(e element) func(string) ([]string, error) {
		return single(func(name string) error { return writeWeights(name, size, e) })
	}
	kinds := []kind{
		{"float32", floats(float32s), of(0.86, physical)},
		{"bfloat16", floats(bfloat16s), of(0.70, physical)},
		{"float16", floats(float16s), nil},
		{"float64", floats(float64s), nil},
		{"float32 that was bfloat16", floats(upcasts), nil},
		{"CSV", single(func(name string) error { return writeStream(name, salesHeader, sales(1), size) }), of(1, "zstd -3")},
		{"reviews (generated text)", single(func(name string) error { return writeStream(name, "rating\ttext\n", reviews(1), size) }), nil},
		{"gzip members", single(func(name string) error { return writeMembers(name, size) }), nil},
		{"zeros", single(func(name string) error { return writeStream(name, "", zeros{}, size) }), nil},
	}
	growing := func(dir string) ([]string, error) { return growingSales(dir, size*100/128) }
	formats := []kind{{"growing CSV", growing, of(1.5, "the last alone")}}
	if b.arrow == "" {
		t.notes = append(t.notes, "Parquet was skipped: hack/bench-store.sh fetches pyarrow, -arrow names it")
	} else {
		for _, f := range []struct{ name, option string }{
			{"the same as Parquet", "default"},
			{"the same as Parquet, content-defined pages", "content-defined"},
		} {
			formats = append(formats, kind{f.name, func(dir string) ([]string, error) {
				names, err := growing(dir)
				if err != nil {
					return nil, err
				}
				_, err = run(b.ctx, "", commands{append([]string{b.arrow, "hack/benchstore/parquet.py", f.option}, names...)})
				return names, err
			}, nil})
		}
	}
	for _, f := range formats {
		last := kind{f.name + ", the last version alone", func(dir string) ([]string, error) {
			names, err := f.write(dir)
			if err != nil {
				return nil, err
			}
			return names[len(names)-1:], nil
		}, nil}
		f.name += fmt.Sprintf(", %d daily versions", days)
		kinds = append(kinds, last, f)
	}
	var previous *row
	for _, k := range kinds {
		for i := range k.limits {
			if alone := previous; k.limits[i].than == "the last alone" {
				k.limits[i].of = func() float64 { return alone.median("kept", value) }
			}
		}
		r := t.row(k.name, megabytes, k.limits...)
		if err := b.measureSizes(t, r, k, contenders, path); err != nil {
			return err
		}
		previous = r
	}
	t.print(b.out)
	return nil
}

// measureSizes fills a row: every version is kept, the last one comes back.
func (b *bench) measureSizes(t *table, r *row, k kind, contenders []contender, path string) (err error) {
	dir := filepath.Join(b.dir, "versions")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeAll(dir)) }()
	names, err := k.write(dir)
	if err != nil {
		return err
	}
	var plain int64
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		plain += info.Size()
	}
	r.add(physical, sample{value: float64(plain)})
	want, err := fingerprint(names[len(names)-1])
	if err != nil {
		return err
	}
	if err := b.compress(r, names); err != nil {
		return err
	}
	return b.inTurn(t, 1, contenders, path, func(turn *trial) {
		for i, name := range names {
			turn.place(name)
			turn.run(turn.add(i + 1))
			turn.run(turn.settle)
		}
		turn.measureStore(r, 0)
		turn.drop()
		turn.run(turn.restore(len(names)))
		turn.check(want)
	})
}

// compress adds what zstd makes of all the files in one stream.
func (b *bench) compress(r *row, names []string) error {
	if _, err := exec.LookPath("zstd"); err != nil {
		return nil
	}
	packed := filepath.Join(b.dir, "packed.zst")
	defer os.Remove(packed)
	script := `to=$1; shift; cat "$@" | zstd -q -3 > "$to"`
	if len(names) > 1 {
		script = `to=$1; shift; cat "$@" | zstd -q -3 --long=27 > "$to"`
	}
	if _, err := run(b.ctx, "", commands{append([]string{"sh", "-c", script, "sh", packed}, names...)}); err != nil {
		return err
	}
	size, err := stored(packed)
	r.add("zstd -3", sample{value: float64(size)})
	return err
}

// growingSales writes the daily versions of a file that has size bytes in the end:
// each begins with the whole one before.
func growingSales(dir string, size int64) ([]string, error) {
	name := func(day int64) string { return filepath.Join(dir, fmt.Sprintf("version%03d", day)) }
	if err := writeStream(name(days), salesHeader, sales(5), size); err != nil {
		return nil, err
	}
	all, err := os.OpenFile(name(days), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	var names []string
	for day := range int64(days) {
		end, err := lineEnd(all, size*(100-days+day+1)/100)
		if err != nil {
			return nil, err
		}
		names = append(names, name(day+1))
		if day+1 == days {
			return names, all.Truncate(end)
		}
		if err := writeStream(name(day+1), "", io.NewSectionReader(all, 0, end), end); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// lineEnd returns the end of the last whole line before offset end.
func lineEnd(f io.ReaderAt, end int64) (int64, error) {
	tail := make([]byte, min(end, 1<<10))
	if _, err := f.ReadAt(tail, end-int64(len(tail))); err != nil && err != io.EOF {
		return 0, err
	}
	return end - int64(len(tail)) + int64(bytes.LastIndexByte(tail, '\n')) + 1, nil
}
