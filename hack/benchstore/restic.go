package main

func restic(path string) contender {
	command := func(args ...string) []string { return append([]string{"restic", "-r", "repository"}, args...) }
	return contender{
		name: "restic", peer: true, syncs: data, verifies: true,
		version: []string{"restic", "version"}, install: "apt-get install restic",
		setup:   commands{command("init")},
		add:     always(commands{command("backup", path)}),
		restore: always(commands{command("restore", "latest", "--target", ".")}),
		store:   "repository",
	}
}
