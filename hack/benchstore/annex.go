package main

import "slices"

// annex moves a file into its store and leaves a symbolic link, and a checkout
// brings that back. Unlock puts the bytes there, as everybody else does.
func annex(path string) contender {
	links := commands{{"git", "checkout", "--", path}}
	return contender{
		name: "git-annex", peer: true, syncs: database,
		version: []string{"git-annex", "version"}, install: "apt-get install git-annex",
		setup:   slices.Concat(emptyRepository, commands{{"git", "annex", "init", "-q"}}),
		add:     always(commands{{"git", "annex", "add", path}}),
		settle:  commands{{"git", "commit", "-q", "-m", "change"}},
		links:   links,
		restore: always(slices.Concat(links, commands{{"git", "annex", "unlock", path}})),
		relock:  commands{{"git", "annex", "lock", path}},
		status:  commands{{"git", "status"}},
		store:   ".git/annex/objects",
	}
}
