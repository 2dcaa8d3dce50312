package core

import (
	"fmt"
	"strings"
	"syscall"
)

// MissingSourceError reports declared code, inputs or params that are not there.
type MissingSourceError struct {
	Stage string
	// Paths are as kept.toml names them, Files relative to the worktree.
	Paths, Files []string
	// Tracked says that Git has all of them, Kept that the store has, Locked that the lock
	// names them.
	Tracked, Kept, Locked bool
}

func (e *MissingSourceError) Error() string {
	return fmt.Sprintf("stage %s reads %s, which %s not there", e.Stage, strings.Join(e.Paths, ", "), isAre(e.Paths))
}

// NotWrittenError reports an artifact or metrics file that the command did not write.
type NotWrittenError struct{ Stage, Kind, Path string }

func (e *NotWrittenError) Error() string {
	return fmt.Sprintf("stage %s did not write its %s %s; nothing was locked", e.Stage, e.Kind, e.Path)
}

// ChangedError reports sources that changed while the command ran, so that
// nobody knows which version it read.
type ChangedError struct {
	Stage string
	Paths []string
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s changed while stage %s ran; nothing was locked", strings.Join(e.Paths, ", "), e.Stage)
}

// CommandError reports a command that did not end well.
type CommandError struct {
	Stage, Command string
	// Exit is the exit status; -1 when a signal ended the command.
	Exit int
	// Signal names the signal that ended it, such as "killed".
	Signal string
	// Log is the file with the command's output.
	Log string
}

func (e *CommandError) Error() string {
	switch {
	case e.Signal != "":
		return fmt.Sprintf("stage %s: the command was ended by a signal (%s); nothing was locked", e.Stage, e.Signal)
	case e.NotFound():
		return fmt.Sprintf("stage %s: the shell did not find a command of %q; nothing was locked", e.Stage, e.Command)
	}
	status := fmt.Sprint(e.Exit)
	if n := e.Exit - 128; n > 0 && n < 32 {
		// So a shell reports a signal that ended what it ran.
		status += " (" + syscall.Signal(n).String() + ")"
	}
	return fmt.Sprintf("stage %s: the command failed with exit status %s; nothing was locked", e.Stage, status)
}

// NotFound reports whether the exit status says that a shell found no such command.
func (e *CommandError) NotFound() bool { return e.Exit == 127 }

// InterruptedError reports that the user stopped a run.
type InterruptedError struct{ Stage string }

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("interrupted; stage %s is not locked", e.Stage)
}

// TrackedError reports an artifact that Git tracks as well.
type TrackedError struct{ Path string }

func (e *TrackedError) Error() string {
	return fmt.Sprintf("artifact %s is tracked by Git; kept keeps it instead", e.Path)
}

// ReservedError reports an artifact at a path that kept or Git write themselves,
// or that the stage reads.
type ReservedError struct{ Path, Why string }

func (e *ReservedError) Error() string {
	return fmt.Sprintf("%q cannot be an artifact: %s", e.Path, e.Why)
}

// NameError reports an artifact that cannot be called Name.
type NameError struct{ Name string }

func (e *NameError) Error() string {
	return fmt.Sprintf("artifact %q: a name is 1 to 64 of A-Z a-z 0-9 _ . -", e.Name)
}

func isAre(list []string) string {
	if len(list) == 1 {
		return "is"
	}
	return "are"
}
