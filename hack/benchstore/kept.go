package main

import "slices"

func (b *bench) newKept(path string) contender {
	return contender{
		name: "kept", syncs: data, verifies: true, version: []string{b.kept, "version"}, install: "make build",
		setup:   slices.Concat(emptyRepository, commands{{b.kept, "init"}}, commit),
		add:     always(commands{{b.kept, "add", path}}),
		settle:  commit,
		restore: always(commands{{b.kept, "restore"}}),
		status:  commands{{b.kept, "status"}},
		store:   ".git/kept/store",
	}
}
