package disk

import (
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// anonTemp is a file without a name: when its writer is killed, nothing is left.
type anonTemp struct{ *os.File }

// openTemp falls back to a named file where the file system has no anonymous
// ones, or where they could not be given a name because /proc is not mounted.
func openTemp(dir string) (Temp, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, objectPerm)
	switch err {
	case nil:
	case unix.EOPNOTSUPP, unix.EISDIR, unix.EINVAL, unix.ENOSYS: // EISDIR: a kernel that does not know the flag
		return openNamedTemp(dir)
	default:
		return nil, &fs.PathError{Op: "create temporary file", Path: dir, Err: err}
	}
	t := anonTemp{os.NewFile(uintptr(fd), dir)}
	var st unix.Stat_t
	if unix.Lstat(t.proc(), &st) != nil {
		t.Discard()
		return openNamedTemp(dir)
	}
	return t, nil
}

func (t anonTemp) proc() string { return "/proc/self/fd/" + strconv.Itoa(int(t.Fd())) }

func (t anonTemp) WriteBlock(p []byte, offset int64) (int, error) {
	return writeBlock(t.File, p, offset)
}

func (t anonTemp) Publish(name string) error {
	err := unix.Linkat(unix.AT_FDCWD, t.proc(), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: t.Name(), New: name, Err: err}
	}
	share(name, objectPerm)
	t.File.Close() // it was synced: nothing is left that could fail
	return nil
}

func (t anonTemp) Discard() { t.File.Close() }
