package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// writeBlock writes an aligned block past the page cache. Where the file system can't, or
// only to a part of it, it goes the usual way and the disk is told to begin with it.
func writeBlock(f *os.File, p []byte, offset int64) (n int, err error) {
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0); err == nil {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFL, flags|unix.O_DIRECT); err == nil {
			n, err = f.WriteAt(p, offset)
			_, _ = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags)
			if !errors.Is(err, unix.EINVAL) {
				return n, err
			}
		}
	}
	rest, err := f.WriteAt(p[n:], offset+int64(n))
	_ = unix.SyncFileRange(int(f.Fd()), offset, int64(len(p)), unix.SYNC_FILE_RANGE_WRITE)
	return n + rest, err
}
