//go:build unix

package file

import (
	"errors"

	"golang.org/x/sys/unix"
)

// isTemporary reports whether err is about a share of the network that may be back soon.
func isTemporary(err error) bool {
	for _, one := range []error{unix.EINTR, unix.EAGAIN, unix.EBUSY, unix.ESTALE, unix.ETIMEDOUT, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENETDOWN, unix.ENETUNREACH, unix.ECONNRESET} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// isInUse is about Windows: here a file that is open can be replaced.
func isInUse(error) bool { return false }
