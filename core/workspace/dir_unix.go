//go:build linux || darwin

package workspace

import (
	"errors"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// dir is an open folder.
type dir struct {
	path string
	fd   int
}

// openDir opens a folder, and nothing in its place: no link is followed.
func openDir(path string) (*dir, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		switch err {
		case nil:
			return &dir{path: path, fd: fd}, nil
		case unix.EINTR:
		default:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func (d *dir) close() { unix.Close(d.fd) }

// stat describes number i of the listing, which was read from d.
func (d *dir) stat(l *listing, i int) (stat, error) {
	var st unix.Stat_t
	for {
		switch err := unix.Fstatat(d.fd, string(l.name(i)), &st, unix.AT_SYMLINK_NOFOLLOW); err {
		case nil:
			return statFrom(&st), nil
		case unix.EINTR:
		default:
			return stat{}, &fs.PathError{Op: "lstat", Path: d.path + "/" + string(l.name(i)), Err: err}
		}
	}
}

func statFrom(st *unix.Stat_t) stat {
	return stat{size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), inode: st.Ino, mode: fileMode(uint32(st.Mode))}
}

// fileMode is what package os makes of the mode of a file.
func fileMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFBLK:
		mode |= fs.ModeDevice
	case unix.S_IFCHR:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	}
	if m&unix.S_ISGID != 0 {
		mode |= fs.ModeSetgid
	}
	if m&unix.S_ISUID != 0 {
		mode |= fs.ModeSetuid
	}
	if m&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

func statOf(info fs.FileInfo) stat {
	s := stat{size: info.Size(), mtime: info.ModTime().UnixNano(), mode: info.Mode()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode, s.ctime = sys.Ino, ctimeOf(sys)
	}
	return s
}

// linksKeep: a link with the stat data of before has the target of before.
const linksKeep = true

// readFile reads a file of which before is known into buffer, and returns what
// describes it now. It calls the kernel itself: half the cost of a small file is
// what package os does around it.
func readFile(path string, before stat, buffer []byte) ([]byte, stat, error) {
	fail := func(op string, err error) ([]byte, stat, error) {
		return nil, stat{}, &fs.PathError{Op: op, Path: path, Err: err}
	}
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fail("stat", err)
	}
	if statFrom(&st) != before {
		return nil, stat{}, ErrChanging
	}
	content := buffer[:before.size]
	for got := 0; got < len(content); {
		n, err := retry(func() (int, error) { return unix.Read(fd, content[got:]) })
		if err != nil {
			return fail("read", err)
		}
		if n <= 0 {
			return nil, stat{}, ErrChanging
		}
		got += n
	}
	if err := unix.Fstat(fd, &st); err != nil {
		return fail("stat", err)
	}
	return content, statFrom(&st), nil
}

func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
