package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/lockfile"
)

// RunOptions says what Run does.
type RunOptions struct {
	// Stages are the stages to bring up to date, with those before them; none means all.
	Stages []string
	// Force runs the named stages, or all, also where nothing changed.
	Force bool
	// DryRun says what would run and runs nothing.
	DryRun bool
	// Set are "key=value" assignments, written into the params files first.
	Set []string
	// Streams are the command's.
	Streams Streams
	// Version of kept, for the run record.
	Version string
	// Binary is the path of kept, for programs that log through it.
	Binary string
	// Started is told of each stage whose command begins to run, and Finished of
	// each stage that was dealt with, whether it ran or not.
	Started  func(stage *pipeline.Stage, reasons []pipeline.Reason)
	Finished func(*StageResult)
}

// StageResult is what became of one stage.
type StageResult struct {
	Stage string
	// Ran is false for a stage that was up to date, and in a dry run.
	Ran bool
	// Reasons say why the stage was or would be run; none means up to date.
	Reasons []pipeline.Reason
	RunID   string
	// Wall is how long the command took.
	Wall time.Duration
	// Changes are what differs from the stage's block before; none means that
	// the lock is as it was.
	Changes []lockfile.Change
	// Metrics are the stage's metrics now.
	Metrics map[string]lockfile.Value
	// Ignored are the lines that were added to .gitignore.
	Ignored []string
	// Saved are contents that were in no lock and had to make room.
	Saved []SavedContent
	// Warnings are facts that a careful reader wants to know.
	Warnings []string
	// Restored are artifacts of an up-to-date stage that were brought back.
	Restored []string
}

// Run brings stages up to date: it runs the commands of those that are stale,
// keeps what they wrote and locks it, one stage after the other. The first
// failure ends it; what was locked before stays locked.
func (p *Project) Run(ctx context.Context, opts RunOptions) error {
	stages, err := p.Experiment.Select(opts.Stages...)
	if err != nil {
		return err
	}
	if !opts.DryRun {
		release, err := p.hold(ctx, "run "+strings.Join(stageNames(stages), ", "))
		if err != nil {
			return err
		}
		defer release()
		p.sweep()
		if err := p.setParams(ctx, stages, opts.Set); err != nil {
			return err
		}
	}
	return p.bringUpToDate(ctx, stages, opts)
}

// bringUpToDate is Run for stages in the order in which they run.
func (p *Project) bringUpToDate(ctx context.Context, stages []*pipeline.Stage, opts RunOptions) error {
	ran := map[string]bool{}
	for _, stage := range stages {
		force := opts.Force && (len(opts.Stages) == 0 || slices.Contains(opts.Stages, stage.Name))
		result, err := p.runStage(ctx, stage, force, ran, opts)
		if result != nil && opts.Finished != nil {
			opts.Finished(result)
		}
		if err != nil {
			return err
		}
		ran[stage.Name] = len(result.Reasons) > 0
	}
	return nil
}

func stageNames(stages []*pipeline.Stage) []string {
	var names []string
	for _, s := range stages {
		names = append(names, s.Name)
	}
	return names
}

// runStage runs one stage if it has to be.
func (p *Project) runStage(ctx context.Context, stage *pipeline.Stage, force bool, ran map[string]bool, opts RunOptions) (*StageResult, error) {
	lock, unusable, err := p.lockToWrite()
	if err != nil {
		return nil, err
	}
	block := lock.Stages[stage.Name]
	reasons, restored, err := p.staleness(ctx, stage, block, opts.DryRun)
	if err != nil {
		return nil, err
	}
	if kind, ok := unusable[stage.Name]; ok {
		reasons = []pipeline.Reason{{Kind: kind}}
	}
	if opts.DryRun {
		// What an earlier stage would write is not there to be compared yet.
		for _, before := range stage.Upstream() {
			if ran[before.Name] && len(reasons) == 0 {
				reasons = append(reasons, pipeline.Reason{Kind: pipeline.KindUpstream, Name: before.Name})
			}
		}
	}
	if len(reasons) == 0 && force {
		reasons = []pipeline.Reason{{Kind: pipeline.KindForced}}
	}
	result := &StageResult{Stage: stage.Name, Reasons: reasons, Restored: restored}
	if block != nil {
		result.Metrics = block.Metrics
	}
	if len(reasons) == 0 || opts.DryRun {
		return result, nil
	}
	run := &run{Project: p, stage: stage, opts: opts, result: result, before: block}
	err = run.do(ctx)
	return result, err
}

// staleness says why a stage has to run. An artifact that is merely not in the
// working tree is brought back from the store instead, unless look is set.
func (p *Project) staleness(ctx context.Context, stage *pipeline.Stage, block *lockfile.Stage, look bool) ([]pipeline.Reason, []string, error) {
	seen, err := p.observe(ctx, stage)
	if err != nil {
		return nil, nil, err
	}
	facts := pipeline.Facts{Code: seen.code, Inputs: seen.inputs, Params: seen.params}
	var restored []string
	if block != nil {
		if facts.Artifacts, restored, err = p.artifactsNow(ctx, block, look); err != nil {
			return nil, nil, err
		}
		if stage.Environment == pipeline.Strict {
			if facts.Environment, err = p.environmentNow(ctx, stage, block); err != nil {
				return nil, nil, err
			}
		}
	}
	return p.namePackages(ctx, pipeline.Stale(stage, block, facts)), restored, nil
}

// namePackages puts the packages that differ in the place of their lists' digests.
func (p *Project) namePackages(ctx context.Context, reasons []pipeline.Reason) []pipeline.Reason {
	var named []pipeline.Reason
	for _, r := range reasons {
		old, oldErr := cas.ParseDigest(r.Old)
		new, newErr := cas.ParseDigest(r.New)
		if r.Kind != pipeline.KindEnvironment || r.Name != "packages" || oldErr != nil || newErr != nil {
			named = append(named, r)
			continue
		}
		packages, err := p.comparePackages(ctx, old, new)
		if err != nil || len(packages) == 0 {
			named = append(named, r)
			continue
		}
		for _, c := range packages {
			named = append(named, pipeline.Reason{Kind: r.Kind, Name: c.Name, Old: c.Old, New: c.New})
		}
	}
	return named
}

// setParams writes assignments into the params files of the stages.
func (p *Project) setParams(ctx context.Context, stages []*pipeline.Stage, assignments []string) error {
	for _, a := range assignments {
		key, value, ok := strings.Cut(a, "=")
		if !ok || key == "" {
			return &AssignmentError{Text: a}
		}
		if err := p.setParam(ctx, stages, key, value); err != nil {
			return err
		}
	}
	return nil
}

// AssignmentError reports a -p argument that nothing can be done with.
type AssignmentError struct {
	Text string
	// NoFile is set when the form is right and no stage has a params file.
	NoFile bool
}

func (e *AssignmentError) Error() string {
	if e.NoFile {
		return fmt.Sprintf("can't set %s: no stage that would run has a params file", e.Text)
	}
	return fmt.Sprintf("%q is not of the form key=value", e.Text)
}

func (p *Project) setParam(ctx context.Context, stages []*pipeline.Stage, key, value string) error {
	var unknown *values.UnknownKeyError
	for _, stage := range stages {
		for _, source := range stage.Params {
			err := p.editValue(source.File, key, value)
			if errors.Is(err, fs.ErrNotExist) {
				r := &run{Project: p, stage: stage}
				return r.missingSources(ctx, []string{source.File})
			}
			if !errors.As(err, &unknown) {
				return err
			}
		}
	}
	if unknown != nil {
		return unknown
	}
	return &AssignmentError{Text: key + "=" + value, NoFile: true}
}

func (p *Project) editValue(name, key, value string) error {
	full, err := p.resolve(name)
	if err != nil {
		return err
	}
	file := p.Workspace.Abs(full)
	data, err := readBounded(file, values.MaxSize)
	if err != nil {
		return err
	}
	edited, err := values.Set(name, data, key, value)
	if err != nil {
		return p.within(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	return writeAtomic(file, p.Local.Temp(), edited, info.Mode().Perm())
}
