package main

import (
	"fmt"
	"path/filepath"
)

// minSize is what the smallest useful weights have.
const minSize = 8 << 20

// weights keeps one large file in two versions.
func (b *bench) weights() error {
	const path = "model.safetensors"
	first, second := filepath.Join(b.dir, "first.safetensors"), filepath.Join(b.dir, "second.safetensors")
	if err := writeWeights(first, b.size, float32s); err != nil {
		return err
	}
	if err := writeEdited(second, first); err != nil {
		return err
	}
	want, err := fingerprint(first)
	if err != nil {
		return err
	}
	wantSecond, err := fingerprint(second)
	if err != nil {
		return err
	}
	contenders, notes := present(append([]contender{copying(path), b.newKept(path)}, b.peers(path)...))
	t := newTable(fmt.Sprintf("Weights: %d MiB of float32", b.size>>20), contenders)
	t.notes = append(notes,
		"physical: b3sum, cp and fsync of the copy (`sync FILE`); restore and switch: cp; stored: the file itself.",
		"restore of git-annex: git checkout, which brings links, and git annex unlock, which brings the bytes.")
	add := t.row("add", seconds, limit{most: 0.4, than: best}, limit{most: 1.5, than: physical})
	size := t.row("stored", megabytes)
	restore := t.row("restore over nothing", seconds, limit{most: 0.7, than: best})
	links := t.row("restore, links only", seconds)
	addSecond := t.row("add of a second version, 1 % others", seconds, limit{most: 0.3, than: best})
	sizeSecond := t.row("stored for the second version", megabytes, limit{most: 0.02, than: physical})
	checkout := t.row("git checkout of the first version, with hooks", seconds)
	fromStore := t.row("kept restore after a checkout without hooks", seconds)

	err = b.inTurn(t, b.rounds, contenders, path, func(turn *trial) {
		turn.place(first)
		turn.keep(add)
		now := turn.measureStore(size, 0)
		turn.run(turn.settle)
		if turn.links != nil {
			turn.drop()
			turn.time(links, turn.links)
		}
		turn.drop()
		turn.time(restore, turn.restore(1))
		turn.check(want)
		turn.run(turn.relock)
		turn.place(second)
		turn.keep(addSecond)
		switch turn.name {
		case physical: // the copy was replaced; both versions would be kept
			turn.measureStore(sizeSecond, 0)
			turn.time(checkout, turn.restore(2))
			turn.time(fromStore, turn.restore(2))
			return
		case "kept":
			turn.measureStore(sizeSecond, now)
			turn.run(turn.settle)
			turn.time(checkout, commands{{"git", "checkout", "-q", "HEAD~1"}})
			turn.check(want)
			turn.run(commands{{"git", "-c", "core.hooksPath=/dev/null", "checkout", "-q", "main"}})
			turn.time(fromStore, turn.restore(2))
			turn.check(wantSecond)
		default:
			turn.measureStore(sizeSecond, now)
		}
	})
	t.print(b.out)
	return err
}
