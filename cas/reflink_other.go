//go:build !linux

package cas

import (
	"errors"
	"os"
)

func cloneInto(*os.File, *folder, string) error { return errors.ErrUnsupported }
