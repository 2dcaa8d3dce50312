package events

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// Event is a Param, Metric, Artifact or Environment.
type Event interface {
	// appendJSON appends the event as a JSON object without a line break.
	appendJSON(b []byte) ([]byte, error)
}

// Param is a parameter of the run.
type Param struct {
	Name  string
	Value lockfile.Value
}

// Metric is one point of a metric's series.
type Metric struct {
	Name string
	// Value is an int64 or a float64.
	Value lockfile.Value
	// Step is optional; without it the readers number the points.
	Step *int64
	// Time is optional, and kept in milliseconds.
	Time time.Time
}

// Artifact is a file or folder that the program wrote.
type Artifact struct {
	Name string
	// Path is relative to the experiment's folder, with forward slashes.
	Path string
}

// Environment is what one process ran in, logged at its end.
type Environment struct {
	// Runtime is the interpreter and its version, such as "python 3.11.7".
	Runtime string
	// Packages maps the names of the distributions that the process imported to
	// their versions.
	Packages map[string]string
}

func (e Param) appendJSON(b []byte) ([]byte, error) {
	b, err := appendNamed(b, "param", e.Name)
	if err != nil {
		return nil, err
	}
	return closed(appendMembers(b, e.Value))
}

func (e Metric) appendJSON(b []byte) ([]byte, error) {
	if !isMetric(e.Value) {
		return nil, fmt.Errorf("metric %q: %w: want a number, not a %T", e.Name, ErrValue, e.Value)
	}
	b, err := appendNamed(b, "metric", e.Name)
	if err != nil {
		return nil, err
	}
	if b, err = appendMembers(b, e.Value); err != nil {
		return nil, err
	}
	if e.Step != nil {
		b = strconv.AppendInt(append(b, `,"step":`...), *e.Step, 10)
	}
	if !e.Time.IsZero() {
		b = strconv.AppendFloat(append(b, `,"time":`...), float64(e.Time.UnixMilli())/1000, 'f', 3, 64)
	}
	return append(b, '}'), nil
}

func (e Artifact) appendJSON(b []byte) ([]byte, error) {
	if err := cas.CheckPath(e.Path); err != nil {
		return nil, err
	}
	b, err := appendNamed(b, "artifact", e.Name)
	if err != nil {
		return nil, err
	}
	return closed(appendString(append(b, `,"path":`...), e.Path))
}

func (e Environment) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"kind":"environment","runtime":`...)
	b, err := appendString(b, e.Runtime)
	if err != nil {
		return nil, err
	}
	for name, version := range e.Packages {
		if err := checkPackage(name, version); err != nil {
			return nil, err
		}
	}
	packages, err := json.Marshal(e.Packages) // sorted by name
	if e.Packages == nil {
		packages = []byte("{}")
	}
	return closed(append(append(b, `,"packages":`...), packages...), err)
}

func appendNamed(b []byte, kind, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	b = append(b, `{"kind":"`+kind+`","name":`...)
	return appendString(b, name)
}

func closed(b []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}

// Append adds an event to the run in the folder runDir, with one write. The
// event file is made where it is missing, the folder is not: a run that is
// over and gone (fs.ErrNotExist) is not begun again.
//
// What is appended survives the end of the process, not a power failure: the
// run that it belongs to would not survive that either.
func Append(runDir string, e Event) error {
	// The line starts with room for the LF that a torn line before it may need.
	line, err := e.appendJSON([]byte{'\n'})
	if err != nil {
		return fmt.Errorf("log %w", err)
	}
	line = append(line, '\n')
	if len(line)-1 > MaxLine {
		return fmt.Errorf("log event: %w", ErrTooLong)
	}
	file := filepath.Join(runDir, File)
	f, err := os.OpenFile(file, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return fmt.Errorf("append to event file: %w", err)
	}
	if wholeLines(f) {
		line = line[1:]
	}
	// A short write is not completed: lines of other processes may follow it already.
	_, err = f.Write(line)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("append to event file: %w", err)
	}
	return nil
}

// wholeLines reports whether the file ends in LF or is empty. Where another
// process is appending at this moment the answer may be wrong, which costs an
// empty line that readers skip.
func wholeLines(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return true
	}
	last := []byte{'\n'}
	_, err = f.ReadAt(last, info.Size()-1)
	return err != nil || last[0] == '\n'
}
