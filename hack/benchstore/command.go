package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// commands are run one after the other.
type commands [][]string

// cost is what commands took.
type cost struct {
	wall time.Duration
	// cpu is the processor time of the commands and all processes below them.
	cpu time.Duration
	// memory is the largest resident set of any one of these, in bytes.
	memory int64
	// others is the processor time of everybody else on the machine meanwhile.
	others time.Duration
}

// run runs commands in dir and stops at the first that fails; the error carries
// what it printed.
func run(ctx context.Context, dir string, list commands) (cost, error) {
	var c cost
	busy, start := busyTime(), time.Now()
	for _, args := range list {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = dir
		// A file, since a pipe would be read until the last process that inherited it ends.
		output, err := os.CreateTemp("", "kept-benchstore-output-")
		if err != nil {
			return c, err
		}
		cmd.Stdout, cmd.Stderr = output, output
		err = cmd.Run()
		text, _ := os.ReadFile(output.Name())
		output.Close()
		os.Remove(output.Name())
		if err != nil {
			return c, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(text[max(0, len(text)-2000):]))
		}
		c.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		c.memory = max(c.memory, maxResident(cmd.ProcessState))
	}
	c.wall = time.Since(start)
	if busy > 0 {
		c.others = max(0, busyTime()-busy-c.cpu)
	}
	return c, nil
}

// busyTime is the time that all processors together have worked since the
// machine started, or 0 where that is not to be had.
func busyTime() time.Duration {
	if runtime.GOOS != "linux" {
		return 0
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	var ticks int64
	// cpu user nice system idle iowait irq softirq steal …: see proc(5). A tick is 10 ms.
	for i, field := range strings.Fields(line) {
		if n, err := strconv.ParseInt(field, 10, 64); err == nil && (i >= 1 && i <= 3 || i >= 6 && i <= 8) {
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
