package core

import (
	"fmt"
	"strings"
)

// MissingSourceError reports declared code, inputs or params that are not there.
type MissingSourceError struct {
	Stage string
	Paths []string
}

func (e *MissingSourceError) Error() string {
	return fmt.Sprintf("stage %s reads %s, which %s not there", e.Stage, strings.Join(e.Paths, ", "), isAre(e.Paths))
}

// NotWrittenError reports an artifact or metrics file that the command did not write.
type NotWrittenError struct{ Stage, Kind, Path string }

func (e *NotWrittenError) Error() string {
	return fmt.Sprintf("stage %s did not write its %s %s", e.Stage, e.Kind, e.Path)
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
		return fmt.Sprintf("stage %s: the shell does not find the command %q", e.Stage, e.Command)
	}
	return fmt.Sprintf("stage %s: the command failed with exit status %d; nothing was locked", e.Stage, e.Exit)
}

// NotFound reports whether the shell found no such command.
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

func isAre(list []string) string {
	if len(list) == 1 {
		return "is"
	}
	return "are"
}
