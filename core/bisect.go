package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/history"
	"github.com/kept-dev/kept/lockfile"
)

// BisectOptions says what Bisect looks for.
type BisectOptions struct {
	// Metric names one metric, as history.Find does.
	Metric string
	// When is the condition under which the metric is broken. A name in it has to
	// be the metric's.
	When string
	// Good and Bad are revisions. Bad is HEAD where it is empty, Good the newest
	// record before Bad for which the condition is false.
	Good, Bad string
}

// Bisect finds in the recorded values where a metric broke. It runs nothing.
// What the records do not tell gives a *history.InconclusiveError.
func (p *Project) Bisect(ctx context.Context, o BisectOptions) (*history.Bisection, error) {
	name, condition, err := history.ParseCondition(o.When)
	if err != nil {
		return nil, err
	}
	bad, good := cmp.Or(o.Bad, "HEAD"), o.Good
	h, err := p.bisectHistory(ctx, bad, good)
	if err != nil {
		return nil, err
	}
	m, err := history.FindOne(h.Metrics(), o.Metric)
	if err != nil {
		return nil, err
	}
	if !m.Names(name) {
		return nil, &history.ConditionError{Text: o.When, Reason: fmt.Sprintf("it is about %q, and not about %s", name, m)}
	}
	b, err := h.Bisect(m, condition, bad, good)
	if err != nil {
		return nil, err
	}
	for i := range b.Transitions {
		if b.Transitions[i].Between, err = p.between(ctx, &b.Transitions[i], m.Stage); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// bisectHistory reads the versions up to bad, or those of them that good does not have.
func (p *Project) bisectHistory(ctx context.Context, bad, good string) (*history.History, error) {
	badID, err := p.Git.Resolve(ctx, bad)
	var unknown *git.RevisionError
	if errors.As(err, &unknown) && bad == "HEAD" {
		return nil, &history.InconclusiveError{Reason: "nothing is committed yet"}
	}
	if err != nil {
		return nil, err
	}
	revision := badID
	if good != "" {
		goodID, err := p.Git.Resolve(ctx, good)
		if err != nil {
			return nil, err
		}
		base, err := p.Git.MergeBase(ctx, goodID, badID)
		if err != nil && !errors.Is(err, git.ErrNoMergeBase) {
			return nil, err
		}
		if base != goodID {
			return nil, &history.InconclusiveError{Reason: fmt.Sprintf("%s is no ancestor of %s", good, bad), Shallow: p.Git.Shallow()}
		}
		revision = goodID + ".." + badID
	}
	h, err := p.History(ctx, HistoryOptions{Revision: revision})
	if err == nil && len(h.Versions) == 0 {
		what := fmt.Sprintf("there is no %s in the history of %s", lockfile.Name, bad)
		if good != "" {
			what = fmt.Sprintf("%s is the same in %s and %s", lockfile.Name, good, bad)
		}
		err = &history.InconclusiveError{Reason: what, Shallow: h.Shallow}
	}
	return h, err
}

// between returns the commits inside a transition that change what the stage, or
// one before it, reads.
func (p *Project) between(ctx context.Context, t *history.Transition, stage string) ([]string, error) {
	files := p.filesRead(stage, t.From.Lock, t.To.Lock)
	if len(files) == 0 {
		return nil, nil
	}
	ids, err := p.Git.Touching(ctx, t.From.Commit.ID, t.To.Commit.ID, files)
	return slices.DeleteFunc(ids, func(id string) bool { return id == t.To.Commit.ID }), err
}

// filesRead returns the files and folders of the worktree that a stage and those
// upstream of it read: as the locks have them, and the params files of kept.toml.
func (p *Project) filesRead(stage string, locks ...*lockfile.Lock) []string {
	names := []string{stage}
	var files []string
	if s, err := p.Experiment.Stage(stage); err == nil {
		for _, up := range append(s.Upstream(), s) {
			names = append(names, up.Name)
			for _, source := range up.Params {
				files = append(files, source.File)
			}
		}
	}
	for _, lock := range locks {
		for _, name := range names {
			if block := lock.Stages[name]; block != nil {
				for file := range block.Code {
					files = append(files, file)
				}
				for file := range block.Inputs {
					files = append(files, file)
				}
			}
		}
	}
	for i := range files {
		files[i] = path.Join(p.Rel, files[i])
	}
	slices.Sort(files)
	return slices.DeleteFunc(slices.Compact(files), func(file string) bool { return strings.HasPrefix(file, "../") })
}
