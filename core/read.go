package core

import (
	"errors"
	"fmt"
	"io"
)

// TooLargeError reports a file that is larger than what its kind can be.
type TooLargeError struct {
	// Size and Limit are in bytes.
	Size, Limit int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("file of %d bytes is too large: at most %d are read", e.Size, e.Limit)
}

// errNotRegular reports a pipe, a device or a folder where a file is wanted.
var errNotRegular = errors.New("not a regular file")

// readBounded reads a regular file of at most limit bytes. A repository may
// bring a link to a device without end, and a pipe has one only when somebody
// writes to it, so the file is looked at before it is read.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := openNow(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	if info.Size() > limit {
		return nil, &TooLargeError{Size: info.Size(), Limit: limit}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, &TooLargeError{Size: int64(len(data)), Limit: limit}
	}
	return data, err
}
