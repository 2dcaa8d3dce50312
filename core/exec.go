package core

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// Streams are what a command reads and where its output goes as it comes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal tells that In is a terminal: an interrupt that is typed there
	// reaches the command as well.
	Terminal bool
}

// pipeGrace is how long output is still awaited once the command has ended but
// a process that it left behind holds its output open.
const pipeGrace = 5 * time.Second

// process runs a command line through the shell in dir.
type process struct {
	command, dir string
	env          []string
	streams      Streams
	log          io.Writer
	guard        *guard
}

// exit is how a process ended.
type exit struct {
	state       *os.ProcessState
	interrupted bool
}

// run starts the process and waits for it. An interrupt is the command's to
// handle: a terminal gives it to the whole foreground group, and kept passes on
// what reaches kept alone. A second one kills the command.
func (p *process) run() (exit, error) {
	cmd := shell(p.command)
	cmd.Dir = p.dir
	cmd.Env = p.env
	cmd.Stdin = p.streams.In
	cmd.Stdout = io.MultiWriter(p.streams.Out, p.log)
	cmd.Stderr = io.MultiWriter(p.streams.Err, p.log)
	cmd.WaitDelay = pipeGrace
	if !p.streams.Terminal {
		// What the shell started has to hear of a signal as well as the shell. On a
		// terminal a group of its own could not read from it.
		ownGroup(cmd)
	}

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := p.guard.start(cmd); err != nil {
		return exit{}, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()

	interrupts := 0
	for {
		select {
		case err := <-done:
			return exit{state: cmd.ProcessState, interrupted: interrupts > 0}, realError(err)
		case sig := <-signals:
			interrupts++
			p.pass(cmd.Process, sig, interrupts)
		}
	}
}

// pass hands a signal on to the command, and to all of its group where it has
// one of its own.
func (p *process) pass(to *os.Process, sig os.Signal, count int) {
	if count > 1 {
		sig = os.Kill
	}
	switch {
	case !p.streams.Terminal:
		_ = signalGroup(to, sig)
	case sig == os.Interrupt:
		// The terminal gave it to the command as well.
	default:
		_ = to.Signal(sig)
	}
}

// realError drops the errors that only repeat what the process state says.
func realError(err error) error {
	var status *exec.ExitError
	if errors.As(err, &status) || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}
