package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// trial is one contender's turn in one round, in a repository of its own. Its
// methods do nothing after the first error, which is in err.
type trial struct {
	*bench
	contender
	err error
	dir string
	// path is what is kept, below dir.
	path string
	// version counts what was added.
	version int
}

// inTurn lets every contender take its turn, in every round. One whose turn fails
// takes no other, and the table says so.
func (b *bench) inTurn(table *table, rounds int, all []contender, path string, turn func(*trial)) error {
	out := map[string]bool{}
	for round := range rounds {
		for _, c := range all {
			if out[c.name] {
				continue
			}
			t := &trial{bench: b, contender: c, dir: filepath.Join(b.dir, c.name), path: path}
			// What it cached in another turn is of a repository that is gone.
			cache := filepath.Join(os.Getenv("HOME"), ".cache")
			t.do(func() error { return errors.Join(removeAll(cache), removeAll(t.dir), os.Mkdir(t.dir, 0o777)) })
			t.run(c.setup)
			turn(t)
			if err := b.ctx.Err(); err != nil {
				return err
			}
			if t.err != nil {
				out[c.name] = true
				t.err = fmt.Errorf("%s failed in round %d and was left out from then on: %w", c.name, round+1, t.err)
				fmt.Fprintln(b.log, t.err)
				b.failed = append(b.failed, t.err)
				table.notes = append(table.notes, strings.ReplaceAll(t.err.Error(), "\n", " "))
			}
			if b.keep {
				continue
			}
			if err := removeAll(t.dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *trial) do(f func() error) {
	if t.err == nil {
		t.err = f()
	}
}

// run runs commands untimed.
func (t *trial) run(list commands) {
	t.do(func() error {
		_, err := run(t.ctx, t.dir, list)
		return err
	})
}

// data is where the data is in the working tree.
func (t *trial) data() string { return filepath.Join(t.dir, t.path) }

// drop removes the data from the working tree.
func (t *trial) drop() { t.do(func() error { return removeAll(t.data()) }) }

// place makes the data in the working tree a copy of source.
func (t *trial) place(source string) {
	t.drop()
	t.run(commands{{"cp", "-R", source, t.data()}})
}

// time adds to r what commands cost when what they read is in memory and
// nothing is waiting to be written. Commands that are nil are not measured.
func (t *trial) time(r *row, list commands) {
	t.do(func() error {
		if list == nil {
			return nil
		}
		for _, name := range []string{t.data(), filepath.Join(t.dir, t.store)} {
			if err := warm(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		if _, err := run(t.ctx, t.dir, commands{{"sync"}}); err != nil {
			return err
		}
		if err := t.touchMemory(); err != nil {
			return err
		}
		c, err := run(t.ctx, t.dir, list)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Fprintf(t.log, "%s\t%s\twall %.3f s\tcpu %.3f s\tmemory %d MB\tothers %.2f s\n",
			r.name, t.name, c.wall.Seconds(), c.cpu.Seconds(), c.memory/1e6, c.others.Seconds())
		r.add(t.name, sample{value: c.wall.Seconds(), cost: c})
		return nil
	})
}

// touchMemory has another process use memory and free it, so that no sample pays for memory
// that a virtual machine has yet to get from its host. This process must stay small: see maxResident.
func (t *trial) touchMemory() error {
	self, err := os.Executable()
	if err == nil {
		_, err = run(t.ctx, t.dir, commands{{self, "-touch"}})
	}
	return err
}

// keep times the add of the next version.
func (t *trial) keep(r *row) {
	t.version++
	t.time(r, t.add(t.version))
}

// measureStore adds to r the bytes in the store beyond those that were there
// before, and returns what is there now.
func (t *trial) measureStore(r *row, before int64) (now int64) {
	t.do(func() (err error) {
		now, err = stored(filepath.Join(t.dir, t.store))
		if err == nil {
			fmt.Fprintf(t.log, "%s\t%s\t%d bytes\n", r.name, t.name, now-before)
			r.add(t.name, sample{value: float64(now - before)})
		}
		return err
	})
	return now
}

// check compares the data in the working tree with a fingerprint.
func (t *trial) check(want string) {
	t.do(func() error {
		got, err := fingerprint(t.data())
		if err == nil && got != want {
			err = errors.New("what was restored is not what was kept")
		}
		return err
	})
}
