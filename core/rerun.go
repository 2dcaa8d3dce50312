package core

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// Rerun settles the named conflicts, or those of all stages, with a run: the
// stages run with what is upstream of them and stale. A block takes the place of
// the conflict when its run ended well; until then the lock is as it was.
func (m *Merge) Rerun(ctx context.Context, names []string, opts RunOptions) (*Settled, error) {
	release, err := m.hold(ctx, "run "+cmp.Or(strings.Join(names, ", "), "what is in conflict"))
	if err != nil {
		return nil, err
	}
	defer release()
	m.sweep()
	u, merging, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	if m.Experiment == nil {
		return nil, m.whyNoStages(ctx)
	}
	if names, err = m.stagesToRun(u, names); err != nil {
		return nil, err
	}
	s := newSettled(merging)
	if len(names) > 0 {
		conflicts := slices.Clone(u.Conflicts)
		if err := m.rerun(ctx, u, names, opts); err != nil {
			return nil, err
		}
		settled := slices.DeleteFunc(conflicts, func(c *lockfile.Conflict) bool { return slices.Contains(u.Conflicts, c) })
		if err := m.settleMetrics(ctx, settled, func(file string) error { return m.Git.Add(ctx, file) }); err != nil {
			return nil, err
		}
	} else if err := m.write(u, merging); err != nil {
		return nil, err
	}
	s.Names = names
	return s, m.finish(ctx, u, merging, s)
}

func (m *Merge) rerun(ctx context.Context, u *lockfile.Unmerged, names []string, opts RunOptions) error {
	stages, err := m.Experiment.Select(names...)
	if err != nil {
		return err
	}
	if err := m.checkSources(ctx, stages); err != nil {
		return err
	}
	// Stages upstream that merged are up to date by what they wrote in the other branch.
	if _, err := m.restoreSettled(ctx, u); err != nil {
		return err
	}
	p := *m.Project
	p.unmerged = u
	return p.bringUpToDate(ctx, stages, opts)
}

// stagesToRun returns the names of the stages in conflict that have a command.
func (m *Merge) stagesToRun(u *lockfile.Unmerged, names []string) ([]string, error) {
	chosen, err := choose(u, names)
	if err != nil {
		return nil, err
	}
	var stages []string
	for _, c := range chosen {
		if c.Stage != "" && m.hasStage(c.Stage) {
			stages = append(stages, c.Stage)
		} else if len(names) > 0 || len(chosen) == 1 {
			return nil, &NotRerunError{Name: c.Name()}
		}
	}
	return stages, nil
}

// whyNoStages says why there is no command to run.
func (m *Merge) whyNoStages(ctx context.Context) error {
	files, err := m.Git.Unmerged(ctx)
	if err == nil && slices.Contains(files, m.join(pipeline.Name)) {
		return &UnmergedSourceError{Path: m.join(pipeline.Name)}
	}
	return m.broken
}

// checkSources refuses to run on files of which nobody has decided what they
// are to hold.
func (m *Merge) checkSources(ctx context.Context, stages []*pipeline.Stage) error {
	files, err := m.Git.Unmerged(ctx)
	if err != nil || len(files) == 0 {
		return err
	}
	if name := m.join(pipeline.Name); slices.Contains(files, name) {
		return &UnmergedSourceError{Path: name}
	}
	for _, stage := range stages {
		sources := slices.Concat(stage.Code, stage.Inputs)
		for _, s := range stage.Params {
			sources = append(sources, s.File)
		}
		for _, source := range sources {
			full := m.join(source)
			for _, file := range files {
				if file == full || full == "." || strings.HasPrefix(file, full+"/") || pipeline.HasMeta(source) && pipeline.MatchGlob(full, file) {
					return &UnmergedSourceError{Path: file, Stage: stage.Name}
				}
			}
		}
	}
	return nil
}
