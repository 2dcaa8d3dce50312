package main

import "path/filepath"

// starts is how many pairs a round has: a start is over in milliseconds.
const starts = 20

// start measures commands that do nothing.
func (b *bench) start() error {
	const path = "data.csv"
	source := filepath.Join(b.dir, "source.csv")
	if err := writeStream(source, salesHeader, sales(1), 1<<20); err != nil {
		return err
	}
	t := &table{title: "Start", subject: "kept", columns: []string{"git --version", "kept"}}
	limit := limit{most: 3, than: "git --version"}
	version, status := t.row("kept version", seconds, limit), t.row("kept status, nothing changed", seconds, limit)
	err := b.inTurn(t, 1, []contender{b.newKept(path)}, path, func(turn *trial) {
		turn.place(source)
		turn.age()
		turn.run(turn.add(1))
		turn.run(turn.settle)
		for range b.rounds * starts {
			for _, r := range []*row{version, status} {
				turn.name = "git --version"
				turn.time(r, commands{{"git", "--version"}})
				turn.name = "kept"
				if r == version {
					turn.time(r, commands{{b.kept, "version"}})
				} else {
					turn.time(r, turn.status)
				}
			}
		}
	})
	t.print(b.out)
	return err
}
