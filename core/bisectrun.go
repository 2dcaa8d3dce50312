package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/history"
	"github.com/kept-dev/kept/core/pipeline"
)

// BisectRun tries the commits inside a transition, each in a worktree of its own
// beside the user's. step returns the command line of what calls BisectStep in
// the folder of the experiment there. The words of Git and of the steps go to
// out. It returns the commit that broke the metric.
func (p *Project) BisectRun(ctx context.Context, t history.Transition, step func(folder string) []string, out io.Writer) (commit history.Commit, err error) {
	scratch, err := p.Git.Scratch(ctx, t.To.Commit.ID)
	if err != nil {
		return history.Commit{}, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	argv := step(filepath.Join(scratch.Root, filepath.FromSlash(p.Rel)))
	id, err := scratch.Bisect(ctx, t.To.Commit.ID, t.From.Commit.ID, argv, out)
	if errors.Is(err, git.ErrSkipped) {
		return history.Commit{}, &history.InconclusiveError{Reason: fmt.Sprintf("of the commits after %.10s up to %.10s, those that are left can't be run", t.From.Commit.ID, t.To.Commit.ID)}
	}
	if err != nil {
		return history.Commit{}, err
	}
	found, err := p.Git.Commit(ctx, id)
	return commitOf(found), err
}

// MeasuredBy returns the metric of that name as a stage of kept.toml measures
// it: where the stage "a" and the stage "a.b" could, it is the latter's.
func (p *Project) MeasuredBy(name string) (history.Metric, error) {
	var found history.Metric
	for _, s := range p.Experiment.Stages {
		if key, ok := strings.CutPrefix(name, s.Name+"."); ok && len(s.Name) > len(found.Stage) {
			found = history.Metric{Stage: s.Name, Key: key}
		}
	}
	if found.Stage == "" {
		return found, &history.UnknownMetricError{Name: name}
	}
	return found, nil
}

// BisectStep brings the stage of a metric up to date, with those before it, and
// reports whether the condition is true of what it measured. Whatever the run
// did to files that Git tracks is undone: the worktree is one for bisecting.
func (p *Project) BisectStep(ctx context.Context, m history.Metric, c history.Condition, opts RunOptions) (broken bool, err error) {
	defer func() { err = errors.Join(err, p.Git.ResetHard(context.WithoutCancel(ctx))) }()
	p.bringInputs(ctx, m.Stage)
	opts.Stages = []string{m.Stage}
	if err := p.Run(ctx, opts); err != nil {
		return false, err
	}
	lock, err := p.Lock()
	if err != nil {
		return false, err
	}
	value := (&history.Version{Lock: lock}).Value(m)
	broken, known := c.Holds(value)
	if !known {
		return false, &history.InconclusiveError{Reason: fmt.Sprintf("the run measured no %s that can be compared", m)}
	}
	return broken, nil
}

// bringInputs restores what the store has of artifacts and inputs. What it can't
// restore is for the run to miss.
func (p *Project) bringInputs(ctx context.Context, stage string) {
	_, _ = p.Restore(ctx, nil)
	last, err := p.Experiment.Stage(stage)
	if err != nil {
		return
	}
	for _, s := range append([]*pipeline.Stage{last}, last.Upstream()...) {
		for _, input := range s.Inputs {
			if !p.Workspace.Exists(p.join(input)) {
				_, _ = p.Restore(ctx, []string{input})
			}
		}
	}
}
