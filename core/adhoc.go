package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/events"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// Proposal is what RunCommand found out about a command that kept.toml does
// not have yet.
type Proposal struct {
	Result StageResult
	// Text is the block that kept.toml would need.
	Text string
	// Written is set when the block was written and the run locked.
	Written bool
}

// OpenOrEmpty is Open, and an experiment without stages at dir where there is
// no kept.toml: a first command may run before anything is written.
func OpenOrEmpty(dir string) (*Project, error) {
	p, err := Open(dir)
	var none *NoExperimentError
	if !errors.As(err, &none) {
		return p, err
	}
	r, err := OpenRepository(dir)
	if err != nil {
		return nil, err
	}
	rel, err := r.Rel(dir)
	if err != nil {
		return nil, err
	}
	empty, err := pipeline.Parse(nil)
	return &Project{Repository: r, Rel: rel, Experiment: empty}, err
}

// RunCommand runs a command that is not written down, records the run, and says
// what kept.toml would need so that it becomes a stage: its code and inputs are
// the files that the command line names, its artifacts and metrics the files
// that it wrote. Where accept says yes to that text, it is added to kept.toml
// and the run is locked as the stage's run of record.
func (p *Project) RunCommand(ctx context.Context, argv []string, opts RunOptions, accept func(text string) bool) (*Proposal, error) {
	release, err := p.hold(ctx, "run "+argv[0])
	if err != nil {
		return nil, err
	}
	defer release()
	proposal := &Proposal{}
	r := &run{Project: p, stage: p.guessStage(argv), opts: opts, result: &proposal.Result}
	before, err := r.observe(ctx, r.stage)
	if err != nil {
		return nil, err
	}
	if err := r.begin(before.params); err != nil {
		return nil, err
	}
	proposal.Result.Stage = r.stage.Name
	files, err := p.writable(ctx, r.stage.Inputs)
	if err != nil {
		return nil, err
	}
	err = r.execute(ctx, before)
	if err == nil {
		err = r.propose(ctx, proposal, before, files, accept)
	}
	switch {
	case err != nil:
		r.record.fail(err)
	case !proposal.Written:
		r.record.Status = statusFinished
	}
	return proposal, errors.Join(err, r.writeRecord())
}

// propose completes the stage by what the command wrote, and locks it if that
// is wanted.
func (r *run) propose(ctx context.Context, proposal *Proposal, before *sources, files map[string]written, accept func(string) bool) error {
	log, err := events.Read(filepath.Join(r.dir, events.File))
	if err != nil {
		return err
	}
	now, err := r.writable(ctx, r.stage.Inputs)
	if err != nil {
		return err
	}
	// A file that the command line names and that was written is no input.
	r.stage.Inputs = slices.DeleteFunc(r.stage.Inputs, func(file string) bool {
		if now[file].time.Equal(files[file].time) {
			return false
		}
		delete(before.inputs, file)
		return true
	})
	if r.stage.Artifacts, err = r.allArtifacts(ctx, log.Artifacts); err != nil {
		return err
	}
	for _, file := range newOutputs(files, now) {
		if !r.claimed(file) && cas.CheckPath(file) == nil {
			r.addOutput(file, now[file].tracked)
		}
	}
	proposal.Text = pipeline.Suggest(*r.stage)
	if !accept(proposal.Text) {
		return nil
	}
	if err := r.readable(proposal.Text); err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(proposal.Text, "\n"), "\n")
	if r.Workspace.Exists(r.join(pipeline.Name)) {
		lines = slices.Insert(lines, 0, "")
	}
	if err := r.appendLines(pipeline.Name, lines); err != nil {
		return err
	}
	reopened, err := r.Repository.Project(r.Rel)
	if err != nil {
		return err
	}
	if r.stage, err = reopened.Experiment.Stage(r.stage.Name); err != nil {
		return err
	}
	r.Project = reopened
	proposal.Written = true
	return r.lock(ctx, before)
}

// claimed reports whether a written path is spoken for: a stage writes it, or
// this command reads it.
func (r *run) claimed(file string) bool {
	s := r.stage
	for _, known := range slices.Concat(s.Code, s.Inputs, slices.Collect(maps.Values(s.Artifacts))) {
		if overlap(known, file) {
			return true
		}
	}
	return r.writer(file) != "" || slices.ContainsFunc(s.Params, func(p pipeline.Source) bool { return p.File == file })
}

// readable refuses a stage that kept.toml can't have, before it is written: a
// command that edits a file that it names would make one.
func (r *run) readable(text string) error {
	old, err := r.readOwn(r.join(pipeline.Name), pipeline.MaxSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := pipeline.Parse([]byte(string(old) + "\n" + text)); err != nil {
		return fmt.Errorf("the command does not make a stage: %w", err)
	}
	return nil
}

// addOutput takes a written path as metrics if it reads as numbers, else as an
// artifact, which a file that Git tracks can't be.
func (r *run) addOutput(file string, tracked bool) {
	guess := pipeline.Stage{Metrics: []pipeline.Source{{File: file}}}
	if metrics, err := r.readMetrics(&guess); err == nil && len(metrics) > 0 {
		r.stage.Metrics = append(r.stage.Metrics, guess.Metrics...)
		return
	}
	if tracked {
		return
	}
	for _, name := range addNames(file) {
		if _, taken := r.stage.Artifacts[name]; !taken && lockfile.ValidName(name) {
			r.stage.Artifacts[name] = file
			return
		}
	}
}

// codeSuffixes are the endings of files on a command line that are programs
// rather than data.
var codeSuffixes = []string{".py", ".ipynb", ".r", ".R", ".jl", ".sh", ".js", ".ts", ".pl", ".rb", ".sql"}

// guessStage makes a stage of a command line: files that it names are code or
// inputs, a params file in the folder is its params.
func (p *Project) guessStage(argv []string) *pipeline.Stage {
	stage := &pipeline.Stage{Command: shellJoin(argv), Artifacts: map[string]string{}}
	name := path.Base(filepath.ToSlash(argv[0]))
	for _, arg := range argv {
		file := path.Clean(filepath.ToSlash(arg))
		info, err := os.Stat(filepath.Join(p.Dir(), file))
		if err != nil || !info.Mode().IsRegular() || cas.CheckPath(file) != nil {
			continue
		}
		if slices.Contains(codeSuffixes, path.Ext(file)) || arg == argv[0] {
			if len(stage.Code) == 0 {
				name = path.Base(file)
			}
			stage.Code = append(stage.Code, file)
			for _, module := range p.pythonImports(file) {
				if !slices.Contains(stage.Code, module) {
					stage.Code = append(stage.Code, module)
				}
			}
		} else {
			stage.Inputs = append(stage.Inputs, file)
		}
	}
	for _, file := range []string{"params.toml", "params.yaml", "params.json"} {
		if p.Workspace.Exists(p.join(file)) && !slices.Contains(stage.Inputs, file) {
			stage.Params = append(stage.Params, pipeline.Source{File: file})
			break
		}
	}
	stage.Name = p.freeStageName(strings.TrimSuffix(name, path.Ext(name)))
	return stage
}

func (p *Project) freeStageName(stem string) string {
	name := addNames(stem)[0]
	if !lockfile.ValidName(name) {
		name = "stage"
	}
	free := name
	for i := 2; p.hasStage(free); i++ {
		free = fmt.Sprintf("%s-%d", name, i)
	}
	return free
}

// shellJoin writes argv as a command line for the shell. A single word is one
// already: "a && b".
func shellJoin(argv []string) string {
	if len(argv) == 1 {
		return argv[0]
	}
	return QuoteArgs(argv)
}

// QuoteArgs writes argv as one would type it in a shell.
func QuoteArgs(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n\"'`$\\|&;<>()*?[]#~!{}") {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// written is a file that a command may have written.
type written struct {
	time    time.Time
	tracked bool
}

// writable returns the files of the experiment that a command may write and
// that would be outputs then: those that Git does not track, the ignored ones
// included, and of those that it tracks the ones that can hold metrics and the
// named ones.
func (p *Project) writable(ctx context.Context, named []string) (map[string]written, error) {
	untracked, err := p.Git.Untracked(ctx, p.Rel)
	if err != nil {
		return nil, err
	}
	known, err := p.Git.List(ctx, p.Rel)
	if err != nil {
		return nil, err
	}
	tracked := slices.DeleteFunc(known, func(file string) bool {
		isNamed := slices.ContainsFunc(named, func(name string) bool { return p.join(name) == file })
		return !isNamed && !slices.Contains(valueSuffixes, path.Ext(file)) || slices.Contains(untracked, file)
	})
	files := make(map[string]written, len(untracked))
	for i, file := range slices.Concat(untracked, tracked) {
		info, err := os.Lstat(p.Workspace.Abs(file))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() || isLeftover(file) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if p.Rel != "" {
			file = strings.TrimPrefix(file, p.Rel+"/")
		}
		files[file] = written{time: info.ModTime(), tracked: i >= len(untracked)}
	}
	return files, nil
}

// valueSuffixes are the endings of files that params and metrics are read from.
var valueSuffixes = []string{".toml", ".yaml", ".yml", ".json"}

// severalFiles is from how many new files on a new folder is one output.
const severalFiles = 4

// newOutputs returns what the command wrote: files that are new or newer, and a
// folder for the many files of one in which nothing else lies.
func newOutputs(before, now map[string]written) []string {
	var outputs []string
	count := map[string]int{}
	old := map[string]bool{}
	for _, file := range slices.Sorted(maps.Keys(now)) {
		is, was := now[file], before[file]
		if is.time.Equal(was.time) || is.tracked {
			for dir := parent(file); dir != ""; dir = parent(dir) {
				old[dir] = true
			}
		}
		if is.time.Equal(was.time) {
			continue
		}
		outputs = append(outputs, file)
		count[parent(file)]++
	}
	for i, file := range outputs {
		for dir := parent(file); dir != ""; dir = parent(dir) {
			if count[dir] >= severalFiles && !old[dir] {
				outputs[i] = dir // and on to the outermost one
			}
		}
	}
	slices.Sort(outputs)
	return slices.Compact(outputs)
}
