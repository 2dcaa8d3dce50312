package main

import "slices"

// git is no peer, since it is not made for such data; it is what a status is
// compared with.
func git(path string) contender {
	return contender{
		name: "git", syncs: nothing, verifies: true, version: []string{"git", "--version"}, install: "apt-get install git",
		setup:   emptyRepository,
		add:     always(commands{{"git", "add", path}}),
		settle:  commands{{"git", "commit", "-q", "-m", "change"}},
		restore: always(commands{{"git", "checkout", "--", path}}),
		status:  commands{{"git", "status"}},
		store:   ".git/objects",
	}
}

func lfs(path string) contender {
	c := git(path)
	c.name, c.peer, c.verifies = "git-lfs", true, false
	c.version, c.install = []string{"git-lfs", "version"}, "apt-get install git-lfs"
	c.setup = slices.Concat(emptyRepository, commands{
		{"git", "lfs", "install", "--local"},
		{"git", "lfs", "track", path, path + "/**"},
	}, commit)
	c.store = ".git/lfs/objects"
	return c
}
