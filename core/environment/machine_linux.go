package environment

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func (m *Machine) captureSystem(place Place) {
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.System.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	dir, err := filepath.Abs(place.Dir)
	if err != nil {
		dir = place.Dir
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	m.readProc(os.DirFS("/"), dir)
}

func clockSynchronized() *bool {
	var state unix.Timex // no mode is set, so this only reads
	if _, err := unix.Adjtimex(&state); err != nil {
		return nil
	}
	return new(state.Status&unix.STA_UNSYNC == 0)
}
