//go:build unix

package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

func (f osFile) Map() ([]byte, func(), error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, func() {}, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return readAll(f, info.Size())
	}
	return b, func() { _ = unix.Munmap(b) }, nil
}

// openForeign opens a file that may be a link or a pipe by now.
func openForeign(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}
