package main

import "slices"

func (b *bench) newDVC(path string) contender {
	command := func(args ...string) []string { return append([]string{b.dvc, "-m", "dvc"}, args...) }
	return contender{
		name: "DVC", peer: true, syncs: database,
		version: command("--version"), install: "hack/bench-store.sh fetches it",
		setup:   slices.Concat(emptyRepository, commands{command("init", "-q"), command("config", "core.analytics", "false")}, commit),
		add:     always(commands{command("add", path)}),
		settle:  commit,
		restore: always(commands{command("checkout")}),
		status:  commands{command("status")},
		store:   ".dvc/cache",
	}
}
