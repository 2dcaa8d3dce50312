package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/kept-dev/kept/cas"
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

// plainEvery is how often a transfer says how far it is where that goes into a log.
const plainEvery = 10 * time.Second

// transferMeter shows how far a transfer with remotes is: on a terminal in one line
// that is drawn anew, else in a plain line now and then.
type transferMeter struct {
	mu    sync.Mutex
	u     *ui
	doing string
	live  bool
	start time.Time
	drawn bool
	done  chan struct{}

	// name is the remote at work; "" before the first.
	name                 string
	bytes, moved, reused int64
	objects, there       int64
}

// watchTransfer starts a meter. It must be stopped.
func (u *ui) watchTransfer(doing string) *transferMeter {
	m := &transferMeter{u: u, doing: doing, live: term.IsTerminal(int(os.Stderr.Fd())), start: time.Now(), done: make(chan struct{})}
	every := plainEvery
	if m.live {
		every = 2 * redraw
	}
	go m.run(every)
	return m
}

// of returns the meter for a remote, whose numbers begin anew.
func (m *transferMeter) of(to *core.Remote) cas.Meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.name, m.start = to.Name, time.Now()
	m.bytes, m.moved, m.reused, m.objects, m.there = 0, 0, 0, 0, 0
	return m
}

func (m *transferMeter) run(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-m.done:
			return
		case <-tick.C:
			m.show()
		}
	}
}

func (m *transferMeter) show() {
	m.mu.Lock()
	defer m.mu.Unlock()
	since := time.Since(m.start)
	if m.name == "" || since < patience {
		return
	}
	text := m.text(since)
	if m.live {
		m.drawn = true
		fmt.Fprint(m.u.err, clearLine+text)
		return
	}
	m.u.say("%s", text)
}

// text says what was moved of what is to be moved, and what was there.
func (m *transferMeter) text(since time.Duration) string {
	text := fmt.Sprintf("%s %s: %s", m.doing, clean(m.name), report.Size(m.moved))
	if m.bytes > m.moved {
		text += " of " + report.Size(m.bytes)
	}
	if m.objects > 0 {
		text += fmt.Sprintf(", %d of %s", m.there, plural(int(m.objects), "object"))
	}
	if m.reused > 0 {
		text += ", " + report.Size(m.reused) + " was there"
	}
	rate := int64(float64(m.moved) / since.Seconds())
	return text + fmt.Sprintf(" (%s/s, %s)", report.Size(rate), since.Round(time.Second))
}

// Total implements cas.Meter.
func (m *transferMeter) Total(bytes, objects int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += bytes
	m.objects += objects
}

// Moved implements cas.Meter.
func (m *transferMeter) Moved(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved += bytes
}

// Done implements cas.Meter.
func (m *transferMeter) Done(objects, reused int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.there += objects
	m.reused += reused
}

// stop ends the meter and takes its line away.
func (m *transferMeter) stop() {
	close(m.done)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drawn {
		fmt.Fprint(m.u.err, clearLine)
	}
}
