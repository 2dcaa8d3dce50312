package workspace

import (
	"bytes"
	"encoding/binary"
	"io/fs"

	"golang.org/x/sys/unix"
)

// read takes in the names of the folder. It reads the kernel's records itself:
// package os makes three objects of each name, and a folder that has not changed
// needs none.
func (d *dir) read(l *listing) error {
	// The offsets in struct linux_dirent64.
	const inodeAt, lengthAt, kindAt, nameAt = 0, 16, 18, 19
	if l.buffer == nil {
		l.buffer = make([]byte, 64<<10)
	}
	for {
		n, err := unix.Getdents(d.fd, l.buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "readdir", Path: d.path, Err: err}
		}
		if n <= 0 {
			return nil
		}
		for rest := l.buffer[:n]; len(rest) > nameAt; {
			length := int(binary.NativeEndian.Uint16(rest[lengthAt:]))
			if length <= nameAt || length > len(rest) {
				return &fs.PathError{Op: "readdir", Path: d.path, Err: unix.EIO}
			}
			name, _, _ := bytes.Cut(rest[nameAt:length], []byte{0})
			if binary.NativeEndian.Uint64(rest[inodeAt:]) != 0 { // 0: removed already
				l.add(name, kindOf(rest[kindAt]))
			}
			rest = rest[length:]
		}
	}
}

func kindOf(k byte) kind {
	switch k {
	case unix.DT_DIR:
		return folderKind
	case unix.DT_UNKNOWN:
		return unknownKind
	}
	return otherKind
}
