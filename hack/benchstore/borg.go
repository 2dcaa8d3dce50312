package main

import "fmt"

func borg(path string) contender {
	archive := func(n int) string { return fmt.Sprintf("repository::%d", n) }
	return contender{
		name: "borg", peer: true, syncs: data, verifies: true,
		version: []string{"borg", "--version"}, install: "apt-get install borgbackup",
		setup:   commands{{"borg", "init", "-e", "none", "repository"}},
		add:     func(n int) commands { return commands{{"borg", "create", archive(n), path}} },
		restore: func(n int) commands { return commands{{"borg", "extract", archive(n)}} },
		store:   "repository",
	}
}
