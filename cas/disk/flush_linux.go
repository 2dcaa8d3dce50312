package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// flush makes the disk work while the next bytes are computed: the Sync at the
// end then waits for the last of them only.
func flush(f *os.File, offset, size int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, size, unix.SYNC_FILE_RANGE_WRITE)
}
