package sftp_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall makes a folder a file system of 4 MiB.
func mountSmall(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	if err := unix.Mount("kept-test", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("can't mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
