package file

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isTemporary reports whether err is about a share of the network that may be back
// soon, or a file that some other program has opened for itself.
func isTemporary(err error) bool {
	for _, one := range []error{
		windows.ERROR_SHARING_VIOLATION, windows.ERROR_LOCK_VIOLATION, windows.ERROR_NETNAME_DELETED, windows.ERROR_UNEXP_NET_ERR,
		windows.ERROR_NETWORK_BUSY, windows.ERROR_SEM_TIMEOUT, windows.ERROR_DELETE_PENDING,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// isInUse reports whether a rename has failed because the file in its place is open: where
// a temporary file could be made, that is what "access denied" means.
func isInUse(err error) bool { return errors.Is(err, windows.ERROR_ACCESS_DENIED) }
