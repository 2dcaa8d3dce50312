package main

// copying is what the machine can do with a file at best, durably: hash it, copy
// it, wait for the disk (coreutils' sync FILE is one fsync). Its restore is cp.
func copying(path string) contender {
	return contender{
		name: physical, syncs: data, version: []string{"b3sum", "--version"}, install: "apt-get install b3sum",
		add:     always(commands{{"b3sum", path}, {"cp", path, "copy"}, {"sync", "copy"}}),
		restore: always(commands{{"cp", "copy", path}}),
		store:   "copy",
	}
}

// packing is what the machine can do with many files at best: one file of all of
// them, and wait for the disk; a copy of each to restore them; a look at each to
// see that nothing changed. keep is a copy of path elsewhere.
func packing(path, keep string) contender {
	look := commands{{"find", path, "-type", "f", "-printf", "%s %T@\n"}}
	return contender{
		name: physical, syncs: data, version: []string{"tar", "--version"}, install: "apt-get install tar",
		add: func(n int) commands {
			if n > 1 {
				return look
			}
			return commands{{"tar", "-cf", "copy", path}, {"sync", "copy"}}
		},
		restore: always(commands{{"cp", "-R", keep, path}}),
		status:  look,
		store:   path,
	}
}
