package main

import (
	"fmt"
	"os/exec"
	"strings"
)

// contender is a program that keeps the file or folder path of a working tree,
// with the commands that a careful user types, run in the folder of its
// repository. Nothing is tuned.
type contender struct {
	name string
	// peer is set for those that kept is compared with.
	peer bool
	// syncs is what add has on the disk (fsync) when it returns, as strace shows it.
	syncs string
	// verifies says whether restore refuses bytes of the store that were changed.
	verifies bool
	// version prints the version; it failing means that the program is missing.
	version []string
	// install says how to get it.
	install string
	// setup makes an empty repository.
	setup commands
	// add keeps the n-th version of path, counted from 1.
	add func(n int) commands
	// settle follows each add, untimed: the commit.
	settle commands
	// restore brings back the bytes of path, last kept as n-th, where nothing is.
	restore func(n int) commands
	// links brings back what is not yet the bytes, where restore takes that first.
	links commands
	// relock undoes what restore did besides, untimed.
	relock commands
	// status says whether path has changed.
	status commands
	// store is the folder whose files are the stored bytes.
	store string
}

// The values of syncs.
const (
	nothing  = "nothing"
	database = "its database, not the data"
	data     = "the data"
)

// commit records everything that is not ignored.
var commit = commands{{"git", "add", "-A"}, {"git", "commit", "-q", "-m", "change"}}

// emptyRepository has one commit, as any repository in use: git-annex asks Git
// twice per file for a branch that does not exist yet.
var emptyRepository = commands{{"git", "init", "-q"}, {"git", "commit", "-q", "--allow-empty", "-m", "first"}}

// always is an add or restore whose commands do not depend on the version.
func always(list commands) func(int) commands { return func(int) commands { return list } }

// peers returns those that kept is compared with, for path.
func (b *bench) peers(path string) []contender {
	return []contender{lfs(path), annex(path), restic(path), borg(path), b.newDVC(path)}
}

// present returns those contenders that are installed, and for the others a line
// each that says how to get them.
func present(all []contender) (here []contender, notes []string) {
	for _, c := range all {
		if c.version == nil {
			here = append(here, c)
			continue
		}
		output, err := exec.Command(c.version[0], c.version[1:]...).Output()
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s is missing and was skipped: %s", c.name, c.install))
			continue
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
		note := fmt.Sprintf("%s: %s; syncs %s", c.name, strings.TrimPrefix(line, c.name+" "), c.syncs)
		if c.verifies {
			note += ", verifies what it restores"
		}
		notes = append(notes, note)
		here = append(here, c)
	}
	return here, notes
}
