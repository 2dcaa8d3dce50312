package cas

import (
	"os"

	"golang.org/x/sys/unix"
)

// cloneInto makes the empty file to share all blocks of the file name in dir,
// copied when either is written: Btrfs, XFS, bcachefs, and ZFS and overlays in
// newer kernels. A link is not followed and a pipe not waited for.
func cloneInto(to *os.File, dir *folder, name string) error {
	at, err := dir.descriptor()
	if err != nil {
		return err
	}
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return errNotAFile
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errNotAFile
	}
	return unix.IoctlFileClone(int(to.Fd()), fd)
}
