package environment

import (
	"os"
	"syscall"
)

func (u *Usage) addResources(state *os.ProcessState) {
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		// Bytes here, unlike on Linux. Input and output count operations, so they are left out.
		u.PeakMemory = r.Maxrss
	}
}
