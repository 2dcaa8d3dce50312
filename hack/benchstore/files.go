package main

import (
	"fmt"
	"path/filepath"
	"time"
)

// glances is how often in a round a status is looked at.
const glances = 5

// smallFiles keeps a folder of many files.
func (b *bench) smallFiles() error {
	const path = "data"
	source := filepath.Join(b.dir, "source")
	if err := (folder{files: b.files, perFolder: 100, size: lognormal}).write(source); err != nil {
		return err
	}
	want, err := fingerprint(source)
	if err != nil {
		return err
	}
	bytes, err := stored(source)
	if err != nil {
		return err
	}
	contenders, notes := present(append([]contender{packing(path, source), b.newKept(path), git(path)}, b.peers(path)...))
	t := newTable(fmt.Sprintf("Small files: %d of %s", b.files, megabytes(float64(bytes))), contenders)
	t.notes = append(notes,
		"physical: tar and fsync of the archive; add again and status: find, which looks at each file; restore: cp -R.",
		"restore of git-annex: git checkout, which brings links, and git annex unlock, which brings the bytes.",
		"git, without anything for large data, is no peer: it is what a status is compared with.")
	add := t.row("add", seconds, limit{most: 0.4, than: best})
	size := t.row("stored", megabytes)
	again := t.row("add again, nothing changed", seconds, limit{most: 0.4, than: best})
	status := t.row("status, nothing changed", seconds, limit{most: 1, than: "git"})
	restore := t.row("restore over nothing", seconds, limit{most: 0.5, than: best})
	links := t.row("restore, links only", seconds)

	err = b.inTurn(t, b.rounds, contenders, path, func(turn *trial) {
		turn.place(source)
		turn.age()
		turn.keep(add)
		turn.measureStore(size, 0)
		turn.run(turn.settle)
		turn.keep(again)
		turn.run(turn.status)
		for range glances {
			turn.time(status, turn.status)
		}
		if turn.links != nil {
			turn.drop()
			turn.time(links, turn.links)
		}
		turn.drop()
		turn.time(restore, turn.restore(turn.version))
		turn.check(want)
	})
	t.print(b.out)
	return err
}

// age waits until no file was changed just now, since a program that trusts times
// has to look twice at those.
func (t *trial) age() {
	t.do(func() error {
		select {
		case <-time.After(2 * time.Second):
			return nil
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
	})
}
