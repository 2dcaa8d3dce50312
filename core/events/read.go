package events

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// Log is what a run's processes logged.
type Log struct {
	// Params maps names to values.
	Params map[string]lockfile.Value
	// Metrics maps names to the points in the order of the file.
	Metrics map[string][]Point
	// Artifacts maps names to paths relative to the experiment's folder.
	Artifacts map[string]string
	// Environment is what all processes together ran in; nil where none told.
	Environment *Environments
}

// Point is one value of a metric.
type Point struct {
	// Step is the one that was logged, else the number of points of the metric before this one.
	Step int64
	// Value is an int64 or a float64.
	Value lockfile.Value
	// Time is in seconds since 1970, 0 where it is not known.
	Time float64
}

// Environments is what the processes of a run ran in, taken together.
type Environments struct {
	// Runtimes are the interpreters, sorted, each once.
	Runtimes []string
	// Packages maps names, as logged, to versions. A package that two processes
	// imported in different versions has both, sorted: the run used both.
	Packages map[string][]string
}

// Last returns the value of a metric that the lock records: the one with the
// highest step, the last logged one of that step.
func (l *Log) Last(name string) (lockfile.Value, bool) {
	points := l.Metrics[name]
	if len(points) == 0 {
		return nil, false
	}
	last := points[0]
	for _, p := range points[1:] {
		if p.Step >= last.Step {
			last = p
		}
	}
	return last.Value, true
}

// Read reads an event file. A file that does not exist is that of a program
// that logged nothing.
//
// A line that is no event gives a *LineError, a cut-off last line a *TornError
// and a second value of a param or path of an artifact a *ConflictError; the
// log then holds what was read before. Kinds and keys that are not known are
// skipped: they are those of newer writers.
func Read(path string) (*Log, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newLog(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read event file: %w", err)
	}
	defer f.Close()
	log, err := ReadFrom(f)
	if err != nil {
		return log, fmt.Errorf("read event file %q: %w", path, err)
	}
	return log, nil
}

// ReadFrom reads the content of an event file, as Read does. It holds one line
// at a time, and of the metrics 40 bytes per point.
func ReadFrom(r io.Reader) (*Log, error) { return readLimited(r, MaxFile) }

func readLimited(r io.Reader, limit int) (*Log, error) {
	reader := &reader{log: newLog(), names: make(map[string]string)}
	in := bufio.NewReaderSize(r, MaxLine)
	size := 0
	for {
		line, err := in.ReadSlice('\n')
		reader.line++
		size += len(line)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return reader.log, &LineError{reader.line, ErrTooLong}
		case err != nil && err != io.EOF:
			return reader.log, err
		case size > limit:
			return reader.log, ErrTooLarge
		}
		ended := err == nil
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if !ended && !json.Valid(line) {
				return reader.log, &TornError{reader.line}
			}
			if err := reader.add(line); err != nil {
				return reader.log, err
			}
		}
		if !ended {
			return reader.log, nil
		}
	}
}

func newLog() *Log {
	return &Log{
		Params:    make(map[string]lockfile.Value),
		Metrics:   make(map[string][]Point),
		Artifacts: make(map[string]string),
	}
}

// reader fills a Log.
type reader struct {
	log  *Log
	line int
	// names holds one string per name: a metric has the same in a million lines.
	names map[string]string
}

// event is the members of a line that have a meaning, raw; nil where missing.
type event struct {
	kind, name, value, typ, step, time, path, runtime, packages []byte
}

func (e *event) member(key string) *[]byte {
	switch key {
	case "kind":
		return &e.kind
	case "name":
		return &e.name
	case "value":
		return &e.value
	case "type":
		return &e.typ
	case "step":
		return &e.step
	case "time":
		return &e.time
	case "path":
		return &e.path
	case "runtime":
		return &e.runtime
	case "packages":
		return &e.packages
	}
	return nil
}

func (r *reader) add(line []byte) error {
	err := r.addEvent(line)
	var conflict *ConflictError
	if err == nil || errors.As(err, &conflict) {
		return err
	}
	return &LineError{r.line, err}
}

func (r *reader) addEvent(line []byte) error {
	if line[0] != '{' || !utf8.Valid(line) || !json.Valid(line) {
		return errors.New("not a JSON object in UTF-8")
	}
	var e event
	err := members(line, func(key string, value []byte) error {
		member := e.member(key)
		if member == nil {
			return nil
		}
		if *member != nil {
			return fmt.Errorf("%q is given twice", key)
		}
		*member = value
		return nil
	})
	if err != nil {
		return err
	}
	kind, err := required(e.kind, "kind")
	if err != nil {
		return err
	}
	switch kind {
	case "param":
		return r.addParam(&e)
	case "metric":
		return r.addMetric(&e)
	case "artifact":
		return r.addArtifact(&e)
	case "environment":
		return r.addEnvironment(&e)
	}
	return nil
}

// required reads a member that must be a string.
func required(raw []byte, key string) (string, error) {
	if raw == nil {
		return "", fmt.Errorf("%q is missing", key)
	}
	text, err := unquote(raw)
	if err != nil {
		return "", fmt.Errorf("%q: %w", key, err)
	}
	return text, nil
}

func (r *reader) name(e *event) (string, error) {
	name, err := required(e.name, "name")
	if err != nil {
		return "", err
	}
	if known, ok := r.names[name]; ok {
		return known, nil
	}
	if err := checkName(name); err != nil {
		return "", err
	}
	r.names[name] = name
	return name, nil
}

func (e *event) parseValue() (lockfile.Value, error) {
	if e.value == nil {
		return nil, errors.New(`"value" is missing`)
	}
	typ := ""
	if e.typ != nil {
		var err error
		if typ, err = required(e.typ, "type"); err != nil {
			return nil, err
		}
	}
	return parseValue(e.value, typ)
}

func (r *reader) addParam(e *event) error {
	name, err := r.name(e)
	if err != nil {
		return err
	}
	value, err := e.parseValue()
	if err != nil {
		return err
	}
	if old, ok := r.log.Params[name]; ok && !equal(old, value) {
		return &ConflictError{r.line, "param", name, old, value}
	}
	r.log.Params[name] = value
	return nil
}

func (r *reader) addMetric(e *event) error {
	name, err := r.name(e)
	if err != nil {
		return err
	}
	value, err := e.parseValue()
	if err != nil {
		return err
	}
	if !isMetric(value) {
		return fmt.Errorf("%w: a metric is a number, not %.60s", ErrValue, e.value)
	}
	points := r.log.Metrics[name]
	p := Point{Step: int64(len(points)), Value: value}
	if e.step != nil {
		if p.Step, err = strconv.ParseInt(string(e.step), 10, 64); err != nil {
			return fmt.Errorf(`"step" is not an integer of 64 bits: %.60s`, e.step)
		}
	}
	if e.time != nil {
		if p.Time, err = strconv.ParseFloat(string(e.time), 64); err != nil {
			return fmt.Errorf(`"time" is not a number: %.60s`, e.time)
		}
	}
	r.log.Metrics[name] = append(points, p)
	return nil
}

func (r *reader) addArtifact(e *event) error {
	name, err := r.name(e)
	if err != nil {
		return err
	}
	path, err := required(e.path, "path")
	if err != nil {
		return err
	}
	if err := cas.CheckPath(path); err != nil {
		return fmt.Errorf("path %.60q: %w", path, err)
	}
	if old, ok := r.log.Artifacts[name]; ok && old != path {
		return &ConflictError{r.line, "artifact", name, old, path}
	}
	r.log.Artifacts[name] = path
	return nil
}

func (r *reader) addEnvironment(e *event) error {
	runtime, packages, err := e.parseEnvironment()
	if err != nil {
		return err
	}
	if r.log.Environment == nil {
		r.log.Environment = &Environments{Packages: make(map[string][]string)}
	}
	merged := r.log.Environment
	if runtime != "" {
		merged.Runtimes = insert(merged.Runtimes, runtime)
	}
	for name, version := range packages {
		merged.Packages[name] = insert(merged.Packages[name], version)
	}
	return nil
}

func (e *event) parseEnvironment() (runtime string, packages map[string]string, err error) {
	if e.runtime != nil {
		if runtime, err = required(e.runtime, "runtime"); err != nil {
			return "", nil, err
		}
	}
	if e.packages == nil {
		return runtime, nil, nil
	}
	if e.packages[0] != '{' {
		return "", nil, errors.New(`"packages" is not an object`)
	}
	packages = make(map[string]string)
	err = members(e.packages, func(name string, raw []byte) error {
		version, err := required(raw, name)
		if err != nil {
			return err
		}
		packages[name] = version
		return checkPackage(name, version)
	})
	return runtime, packages, err
}

func checkPackage(name, version string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := checkName(version); err != nil {
		return fmt.Errorf("version of %q: %w", name, err)
	}
	return nil
}

// insert adds a text to a sorted list that holds each once.
func insert(list []string, text string) []string {
	at, found := slices.BinarySearch(list, text)
	if found {
		return list
	}
	return slices.Insert(list, at, text)
}
