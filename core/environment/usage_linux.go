package environment

import (
	"os"
	"syscall"
)

func (u *Usage) addResources(state *os.ProcessState) {
	r, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return
	}
	u.PeakMemory = int64(r.Maxrss) << 10 // getrusage(2): kilobytes
	// Blocks are of 512 bytes whatever the file system's are.
	u.BlockInput, u.BlockOutput = new(int64(r.Inblock)<<9), new(int64(r.Oublock)<<9)
}
