//go:build unix

package core

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// checkOwner refuses to write to the store of another user, unless it is a
// group's that this user is in: files of several owners in a folder that only
// one of them can write is a store that nobody can look after.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &CacheError{Dir: dir, Err: reason(err)}
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	groups, err := os.Getgroups()
	if err == nil && info.Mode().Perm()&0o020 != 0 && slices.Contains(append(groups, os.Getegid()), int(stat.Gid)) {
		return nil
	}
	return &CacheError{Dir: dir, Foreign: true}
}
