//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// maxResident is the largest resident set of a process that ended and of those
// it waited for, in bytes. Linux counts from before the exec, so it is at least
// what this program used: which is why this program holds no data in memory.
func maxResident(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) * 1024
}
