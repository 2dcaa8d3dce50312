package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/casefold"
)

// CycleError reports stages of which none can be the first to run.
type CycleError struct {
	// Stages are the names along the cycle; each reads what the next one writes,
	// and the last one what the first one writes.
	Stages []string
}

func (e *CycleError) Error() string {
	if len(e.Stages) == 1 {
		return fmt.Sprintf("stage %q reads what it writes", e.Stages[0])
	}
	return "stages wait for each other: " + strings.Join(append(slices.Clone(e.Stages), e.Stages[0]), " → ")
}

// Order returns all stages, every one behind those upstream of it, and apart
// from that in the order of the file.
func (e *Experiment) Order() []*Stage { return slices.Clone(e.order) }

// Upstream returns the stages that write what a stage reads, in the order of the file.
func (s *Stage) Upstream() []*Stage { return slices.Clone(s.upstream) }

// Select returns the named stages and everything upstream of them in the order
// of Order; without names it returns all. An unknown name gives an *UnknownStageError.
func (e *Experiment) Select(names ...string) ([]*Stage, error) {
	if len(names) == 0 {
		return e.Order(), nil
	}
	wanted := map[*Stage]bool{}
	var want func(*Stage)
	want = func(stage *Stage) {
		if wanted[stage] {
			return
		}
		wanted[stage] = true
		for _, up := range stage.upstream {
			want(up)
		}
	}
	for _, name := range names {
		stage, err := e.Stage(name)
		if err != nil {
			return nil, err
		}
		want(stage)
	}
	return slices.DeleteFunc(e.Order(), func(s *Stage) bool { return !wanted[s] }), nil
}

// An output is a path that a stage writes.
type output struct {
	stage    *Stage
	path     string
	artifact string // its name; empty for a file of metrics
}

func (o output) String() string {
	if o.artifact == "" {
		return fmt.Sprintf("metrics file %q of stage %q", o.path, o.stage.Name)
	}
	return fmt.Sprintf("artifact %q of stage %q", o.artifact, o.stage.Name)
}

// outputs finds what is written at, around and below a path.
type outputs struct {
	all   []output
	at    map[string][]output // by folded path
	below map[string][]output // by every folded folder around the path
}

func (e *Experiment) outputs() *outputs {
	found := &outputs{at: map[string][]output{}, below: map[string][]output{}}
	for _, stage := range e.Stages {
		for _, name := range slices.Sorted(maps.Keys(stage.Artifacts)) {
			found.add(output{stage, stage.Artifacts[name], name})
		}
		for i, source := range stage.Metrics {
			first := slices.IndexFunc(stage.Metrics, func(s Source) bool { return s.File == source.File })
			if first == i { // several parts of a file are one output
				found.add(output{stage, source.File, ""})
			}
		}
	}
	return found
}

func (w *outputs) add(o output) {
	w.all = append(w.all, o)
	folded := casefold.Fold(o.path)
	w.at[folded] = append(w.at[folded], o)
	for folder := range foldersAround(folded) {
		w.below[folder] = append(w.below[folder], o)
	}
}

// foldersAround yields the folders that a path is in, the innermost first.
func foldersAround(p string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(p, '/'); i > 0; i = strings.LastIndexByte(p[:i], '/') {
			if !yield(p[:i]) {
				return
			}
		}
	}
}

// readBy returns the outputs that reading a path, folder or glob reads.
//
// Globs are taken to reach into the folders that other stages write, because
// nobody knows what those hold before they are there. A "**" in code is not:
// "**/*.py" means the code in Git, and if it made a stage depend on every
// folder that any stage writes, each would be upstream of all others.
func (w *outputs) readBy(p string, isCode bool) []output {
	var read []output
	if HasMeta(p) {
		glob := strings.Split(p, "/")
		for _, o := range w.all {
			if MatchGlob(p, o.path) || matchesBelow(glob, strings.Split(o.path, "/"), !isCode) {
				read = append(read, o)
			}
		}
		return read
	}
	folded := casefold.Fold(p)
	read = append(read, w.at[folded]...)
	for folder := range foldersAround(folded) {
		read = append(read, w.at[folder]...)
	}
	return append(read, w.below[folded]...)
}

// link checks what the stages write against each other, connects them and puts
// them in order.
func (e *Experiment) link() error {
	written := e.outputs()
	for _, o := range written.all {
		if err := e.checkClash(o, written); err != nil {
			return err
		}
	}
	for _, stage := range e.Stages {
		if err := e.connect(stage, written); err != nil {
			return err
		}
	}
	return e.sort()
}

// checkClash refuses a path that is written twice, or inside of another.
func (e *Experiment) checkClash(o output, written *outputs) error {
	folded := casefold.Fold(o.path)
	others := slices.Clone(written.at[folded])
	for folder := range foldersAround(folded) {
		others = append(others, written.at[folder]...)
	}
	for _, other := range others {
		// A stage may keep its own file of metrics as an artifact, too.
		mixed := other.stage == o.stage && (other.artifact == "") != (o.artifact == "")
		if other == o || mixed {
			continue
		}
		line := max(o.stage.Line, other.stage.Line)
		if casefold.Fold(other.path) == folded {
			return fail(line, "%v and %v are the same path %q", o, other, o.path)
		}
		return fail(line, "%v is inside of %v", o, other)
	}
	return nil
}

// connect finds the stages upstream of one, and refuses one that is its own.
func (e *Experiment) connect(stage *Stage, written *outputs) error {
	up := map[*Stage]bool{}
	reads := func(kind, p string) error {
		for _, o := range written.readBy(p, kind == "code") {
			if o.stage == stage {
				return fail(e.Line("stage", stage.Name, kind), "%s %q reads %v: a stage cannot read what it writes", kind, p, o)
			}
			up[o.stage] = true
		}
		return nil
	}
	for _, p := range stage.Code {
		if err := reads("code", p); err != nil {
			return err
		}
	}
	for _, p := range stage.Inputs {
		if err := reads("inputs", p); err != nil {
			return err
		}
	}
	for _, source := range stage.Params {
		if err := reads("params", source.File); err != nil {
			return err
		}
	}
	for _, other := range e.Stages {
		if up[other] {
			stage.upstream = append(stage.upstream, other)
		}
	}
	return nil
}

// sort fills in the order. Each step takes the first stage of the file that
// waits for none, which makes the order one that people can predict.
func (e *Experiment) sort() error {
	done := map[*Stage]bool{}
	waits := func(s *Stage) bool {
		return slices.ContainsFunc(s.upstream, func(up *Stage) bool { return !done[up] })
	}
	for len(e.order) < len(e.Stages) {
		next := slices.IndexFunc(e.Stages, func(s *Stage) bool { return !done[s] && !waits(s) })
		if next < 0 {
			return e.cycle(done)
		}
		done[e.Stages[next]] = true
		e.order = append(e.order, e.Stages[next])
	}
	return nil
}

// cycle names a cycle among the stages that are not done: each of them waits
// for another one, so walking upstream must come back.
func (e *Experiment) cycle(done map[*Stage]bool) error {
	left := func(s *Stage) bool { return !done[s] }
	stage := e.Stages[slices.IndexFunc(e.Stages, left)]
	var walk []*Stage
	for !slices.Contains(walk, stage) {
		walk = append(walk, stage)
		stage = stage.upstream[slices.IndexFunc(stage.upstream, left)]
	}
	cycle := &CycleError{}
	line := stage.Line
	for _, s := range walk[slices.Index(walk, stage):] {
		cycle.Stages = append(cycle.Stages, s.Name)
		line = min(line, s.Line)
	}
	return fail(line, "%w", cycle)
}
