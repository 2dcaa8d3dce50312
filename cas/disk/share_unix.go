//go:build unix

package disk

import (
	"io/fs"
	"os"
	"path/filepath"
)

// shared returns the permissions of a folder that its owner has given to a
// group, as "git init --shared=group" does: the group may write, and what is made
// in it belongs to the group.
func shared(dir string) (fs.FileMode, bool) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, false
	}
	mode := info.Mode()
	return mode.Perm(), mode.IsDir() && mode&fs.ModeSetgid != 0 && mode.Perm()&0o020 != 0
}

// Shared reports whether a folder is its group's.
func Shared(dir string) bool {
	_, is := shared(dir)
	return is
}

// share gives the group what was just made in a folder that is its own: the
// process's umask is about the user's other files. What it can't change is
// somebody else's, who has done it.
func share(name string, perm fs.FileMode) {
	dir, is := shared(filepath.Dir(name))
	if !is {
		return
	}
	perm |= perm >> 3 & 0o070 // the group may do what the owner may
	perm = perm&0o770 | perm>>3&dir&0o007
	if perm&0o100 != 0 {
		perm |= fs.ModeSetgid
	}
	_ = os.Chmod(name, perm)
}

// ShareFile is for a file that was made by somebody else than an FS.
func ShareFile(name string) { share(name, 0o600) }
