// Package pipeline turns kept.toml into stages, their graph, and the reasons
// for which a stage has to run. It is pure: it reads no file, starts nothing
// and knows no clock; callers bring what they hashed as Facts.
//
//	experiment, err := pipeline.Parse(data)          // *values.FileError with the line
//	stages, err := experiment.Select("evaluate")     // it and everything upstream, in order
//	for _, stage := range stages {
//		params, err := stage.ReadParams(files)
//		reasons := pipeline.Stale(stage, lock.Stages[stage.Name], facts)
//		// run it where there are reasons
//	}
//
// An experiment is what one kept.toml describes. A stage is one command with
// what it reads (code, inputs, params) and writes (artifacts, metrics). A stage
// is upstream of another that reads what it writes.
//
// The format is specified in docs/spec/experiment.md.
package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/internal/tomlscan"
)

// Name is the file name of an experiment's description.
const Name = "kept.toml"

// Limits on a kept.toml, far above what anybody writes by hand. They bound the
// work that a file from a foreign repository can cause.
const (
	MaxSize   = 1 << 20 // bytes
	MaxStages = 1000
	MaxPaths  = 4096 // code, inputs, params, metrics and artifacts of all stages
)

// Experiment is the content of one kept.toml.
type Experiment struct {
	// Stages are in the order of the file.
	Stages []*Stage
	// Gates, Acceptances and Remotes hold the tables [gate.NAME], [accept.NAME] and
	// [remote.NAME] as the TOML parser gives them. Those who know their keys check
	// them, see Line.
	Gates       map[string]map[string]any
	Acceptances map[string]map[string]any
	Remotes     map[string]map[string]any

	byName  map[string]*Stage
	order   []*Stage
	entries []tomlscan.Entry
}

// Stage is one command with what it reads and writes. Paths have forward
// slashes and are relative to the folder of kept.toml.
type Stage struct {
	Name string
	// Command is run by the shell.
	Command string
	// Code and Inputs are files, folders or, where HasMeta says so, globs. They
	// may begin with "../"; that they stay in the repository is for the caller
	// to check.
	Code   []string
	Inputs []string
	// Params are files of parameters; they may begin with "../" too.
	Params []Source
	// Metrics are files that the command writes.
	Metrics []Source
	// Artifacts maps names to the files and folders that the command writes.
	Artifacts map[string]string
	// Environment is Strict, or empty where another environment is no reason to run.
	Environment string
	// Line is where kept.toml begins to describe the stage, counted from 1.
	Line int

	upstream []*Stage
}

// Strict is the Environment of a stage that runs again in another environment.
const Strict = "strict"

// Source is a file of values, or a part of one.
type Source struct {
	File string
	// Part is the dotted key of the part; empty for the whole file.
	Part string
}

// String returns the source as kept.toml writes it, such as "params.yaml:train".
func (s Source) String() string {
	if s.Part == "" {
		return s.File
	}
	return s.File + ":" + s.Part
}

// Stage returns the stage of that name, or an *UnknownStageError.
func (e *Experiment) Stage(name string) (*Stage, error) {
	if stage, ok := e.byName[name]; ok {
		return stage, nil
	}
	unknown := &UnknownStageError{Name: name}
	for _, stage := range e.Stages {
		unknown.Known = append(unknown.Known, stage.Name)
	}
	if near := values.Nearest(name, unknown.Known); len(near) > 0 {
		unknown.Suggestion = near[0]
	}
	return nil, unknown
}

// UnknownStageError reports a stage that kept.toml does not describe.
type UnknownStageError struct {
	Name string
	// Known are the names of all stages in the order of the file.
	Known []string
	// Suggestion is the stage that was probably meant; empty where none is near.
	Suggestion string
}

func (e *UnknownStageError) Error() string {
	switch {
	case e.Name == "":
		return Name + " describes no stage"
	case e.Suggestion != "":
		return fmt.Sprintf("there is no stage %q; did you mean %q?", e.Name, e.Suggestion)
	case len(e.Known) == 0:
		return fmt.Sprintf("there is no stage %q: %s describes none", e.Name, Name)
	}
	return fmt.Sprintf("there is no stage %q; %s has %s", e.Name, Name, strings.Join(e.Known, ", "))
}

// Line returns the line, counted from 1, on which kept.toml gives a key its
// value: Line("gate", "f1", "min"). For a table it is the header, or where
// there is none the first key below; for a key that is not there it is the line
// of the table that lacks it, and 0 where that is not there either.
func (e *Experiment) Line(key ...string) int { return lineOf(e.entries, key) }

func lineOf(entries []tomlscan.Entry, key []string) int {
	for ; len(key) > 0; key = key[:len(key)-1] {
		for _, entry := range entries {
			if len(entry.Key) >= len(key) && slices.Equal(entry.Key[:len(key)], key) {
				return entry.Line
			}
		}
	}
	return 0
}
