package cas

import (
	"errors"
	"io/fs"
)

// ErrPath reports a path that kept refuses to read from or write to.
var ErrPath = errors.New("path is not allowed")

// CheckPath refuses a path that is not safe and portable below a folder.
func CheckPath(path string) error {
	if !fs.ValidPath(path) || path == "." {
		return ErrPath
	}
	return nil
}
