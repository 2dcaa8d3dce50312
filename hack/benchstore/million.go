package main

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// kilobyte is the size of each of a million files.
func kilobyte(*rand.Rand) int64 { return 1000 }

// million compares kept with itself: ten times as many files, the same time each.
func (b *bench) million() error {
	const path = "data"
	few, many := 2*b.files, 20*b.files
	if err := b.room(many); err != nil {
		return err
	}
	name := func(n int) string { return fmt.Sprintf("%d files", n) }
	t := &table{title: "A million files of 1 KB", subject: name(many), columns: []string{name(few), name(many)}}
	gibibyte := limit{most: 1, than: "1 GiB", of: func() float64 { return 1 << 30 }}
	type operation struct{ each, memory *row }
	operations := map[string]operation{}
	for _, o := range []string{"add", "status", "restore"} {
		operations[o] = operation{
			t.row(o+", time per file", seconds, limit{most: 1.2, than: name(few)}),
			t.row(o+", peak memory", megabytes, gibibyte),
		}
	}
	size := t.row("stored", megabytes)
	for range b.rounds {
		for _, count := range []int{few, many} {
			turn := func(turn *trial) {
				turn.do(func() error {
					return folder{files: count, perFolder: 1000, size: kilobyte}.write(turn.data())
				})
				want := ""
				turn.do(func() (err error) {
					want, err = fingerprint(turn.data())
					return err
				})
				turn.age()
				for _, o := range []struct {
					name string
					list commands
				}{{"add", turn.add(1)}, {"status", turn.status}, {"restore", turn.restore(1)}} {
					if o.name == "restore" {
						turn.drop()
					}
					whole := &row{name: o.name + " of " + name(count), samples: map[string][]sample{}}
					turn.time(whole, o.list)
					for _, s := range whole.samples[turn.name] {
						operations[o.name].memory.add(name(count), sample{value: float64(s.cost.memory)})
						operations[o.name].each.add(name(count), s.per(count))
					}
					if o.name == "add" {
						turn.run(turn.settle)
					}
				}
				turn.check(want)
				turn.do(func() error {
					bytes, err := stored(filepath.Join(turn.dir, turn.store))
					size.add(name(count), sample{value: float64(bytes)})
					return err
				})
			}
			if err := b.inTurn(t, 1, []contender{b.newKept(path)}, path, turn); err != nil {
				return err
			}
		}
	}
	t.print(b.out)
	return nil
}

// per is the sample's time divided by a number of files.
func (s sample) per(files int) sample {
	for _, d := range []*time.Duration{&s.cost.wall, &s.cost.cpu, &s.cost.others} {
		*d /= time.Duration(files)
	}
	s.value /= float64(files)
	return s
}

// room refuses to begin what the disk has no room for: a store may need a file
// per file, and each at least a block.
func (b *bench) room(files int) error {
	output, err := exec.Command("df", "-Pk", b.dir).Output()
	if err != nil {
		return err
	}
	inodes, err := exec.Command("df", "-Pi", b.dir).Output()
	if err != nil {
		return err
	}
	for _, d := range []struct {
		text string
		need int
		what string
	}{{string(output), files * 12, "KiB"}, {string(inodes), files * 3, "inodes"}} {
		lines := strings.Split(strings.TrimSpace(d.text), "\n")
		fields := strings.Fields(lines[len(lines)-1])
		if len(fields) < 4 {
			continue
		}
		if free, err := strconv.Atoi(fields[3]); err == nil && free < d.need {
			return fmt.Errorf("%s has %d %s free, and %d files may need %d", b.dir, free, d.what, files, d.need)
		}
	}
	return nil
}
