package sftp_test

import (
	"sync/atomic"
)

// counting is a body of zeros that calls then after some reads, and knows whether it was
// read when it was over.
type counting struct {
	after int32
	then  func()

	reads      atomic.Int32
	over, late atomic.Bool
}

func (c *counting) ReadAt(p []byte, _ int64) (int, error) {
	if c.over.Load() {
		c.late.Store(true)
	}
	if c.reads.Add(1) == c.after {
		c.then()
	}
	clear(p)
	return len(p), nil
}
