package events

import (
	"errors"
	"fmt"
)

var (
	// ErrName reports a name that is empty, too long, not UTF-8 or holds control characters.
	ErrName = errors.New("not a name: want 1 to 250 bytes of UTF-8 without control characters")
	// ErrValue reports a value that a param or metric cannot have.
	ErrValue = errors.New("not a value")
	// ErrTooLong reports a line of more than MaxLine bytes.
	ErrTooLong = errors.New("line is longer than 1 MiB")
	// ErrTooLarge reports a file of more than MaxFile bytes.
	ErrTooLarge = errors.New("event file is larger than 1 GiB")
)

// LineError reports a line that is no event: its writer is wrong, or the file is damaged.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// TornError reports a last line that is cut off: a writer died in the middle
// of it, or is still at it. The lines before it are whole.
type TornError struct{ Line int }

func (e *TornError) Error() string { return fmt.Sprintf("line %d is cut off", e.Line) }

// ConflictError reports a param with a second value or an artifact with a
// second path. A run has one of each.
type ConflictError struct {
	// Line is the one with the second value.
	Line int
	// Kind is "param" or "artifact".
	Kind string
	Name string
	// Old and New are values of a param or paths (strings) of an artifact.
	Old, New any
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("line %d: %s %q is %s, it cannot be %s in the same run", e.Line, e.Kind, e.Name, show(e.Old), show(e.New))
}

// show writes a value so that its type shows: "1", 1 and 1.0 differ.
func show(v any) string {
	text, err := appendValue(nil, v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
