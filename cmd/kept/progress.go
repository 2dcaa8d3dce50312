package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/report"
)

const (
	// patience is how long work on bytes goes on in silence.
	patience = time.Second
	// redraw is how long a line of the meter stands at least.
	redraw = 100 * time.Millisecond
)

// clearLine takes a terminal's cursor to the start of its line and empties it.
const clearLine = "\r\x1b[K"

// meter shows on a terminal how many bytes were read or written, once that takes
// a while. The total is never known beforehand, so it is one line and no bar; the
// progress libraries link an HTTP client or a terminal toolkit, and every hook
// would pay for their start.
type meter struct {
	mu           sync.Mutex
	start, drawn time.Time
	what         string
	total        int64
	w            io.Writer
}

// Add implements workspace.Progress.
func (m *meter) Add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total += n
	now := time.Now()
	since := now.Sub(m.start)
	if since < patience || now.Sub(m.drawn) < redraw {
		return
	}
	m.drawn = now
	rate := int64(float64(m.total) / since.Seconds())
	fmt.Fprintf(m.w, "%s%s %s (%s/s, %s)", clearLine, m.what, report.Size(m.total), report.Size(rate), since.Round(time.Second))
}

// pause takes the line away, for instance while a command writes to the terminal.
func (m *meter) pause() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.drawn.IsZero() {
		fmt.Fprint(m.w, clearLine)
	}
	m.start, m.drawn, m.total = time.Now(), time.Time{}, 0
}

// watch shows the repository's work on bytes on a terminal until the meter is paused.
func (u *ui) watch(r *core.Repository, what string) *meter {
	m := &meter{start: time.Now(), what: what, w: u.err}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		r.Workspace.Progress = m
	}
	return m
}
