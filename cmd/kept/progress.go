package main

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/kept-dev/kept/core"
)

// patience is how long work on bytes goes on in silence.
const patience = time.Second

// meter shows how many bytes were read or written, once that takes a while.
type meter struct {
	mu    sync.Mutex
	start time.Time
	what  string
	bar   *progressbar.ProgressBar
	total int64
	w     io.Writer
}

// Add implements workspace.Progress.
func (m *meter) Add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total += n
	if m.bar == nil {
		if time.Since(m.start) < patience {
			return
		}
		m.bar = progressbar.NewOptions64(-1,
			progressbar.OptionSetWriter(m.w),
			progressbar.OptionSetDescription(m.what),
			progressbar.OptionShowBytes(true),
			progressbar.OptionShowCount(),
			progressbar.OptionSpinnerType(14),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond))
		n = m.total
	}
	_ = m.bar.Add64(n)
}

// pause takes the bar away, for instance while a command writes to the terminal.
func (m *meter) pause() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		_ = m.bar.Clear()
		m.bar = nil
	}
	m.start, m.total = time.Now(), 0
}

// watch shows the project's work on bytes on a terminal until stop is called.
func (u *ui) watch(r *core.Repository, what string) *meter {
	m := &meter{start: time.Now(), what: what, w: u.err}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		r.Workspace.Progress = m
	}
	return m
}
