package environment

import (
	"os"
	"time"
)

// Usage is what a finished command took. CPU time and block input and output
// cover the command and the children it waited for; PeakMemory is that of the
// largest single process among them, not their sum.
type Usage struct {
	Wall   time.Duration `json:"wall_ns"`
	User   time.Duration `json:"user_ns"`
	System time.Duration `json:"system_ns"`
	// PeakMemory is the largest resident set in bytes; 0 where the system does not tell.
	PeakMemory int64 `json:"peak_memory_bytes,omitempty"`
	// BlockInput and BlockOutput are bytes moved from and to disks, caches left
	// out; nil where the system does not count bytes.
	BlockInput  *int64 `json:"block_input_bytes,omitempty"`
	BlockOutput *int64 `json:"block_output_bytes,omitempty"`
}

// UsageOf returns what a finished command took. The wall time is the caller's
// measurement, which the state of a process does not hold.
func UsageOf(state *os.ProcessState, wall time.Duration) Usage {
	usage := Usage{Wall: wall, User: state.UserTime(), System: state.SystemTime()}
	usage.addResources(state)
	return usage
}
