package core

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// StagedProblem is why a commit would record something that does not hold.
type StagedProblem struct {
	// Lock is the path of the lock, or of a kept.toml that can't be read, relative to the worktree.
	Lock string
	// Stage is empty for what concerns the whole lock.
	Stage string
	// Err is set for a lock that can't be read, Missing for an artifact that no
	// store here has, Reasons for a stage whose staged sources are not those
	// that it ran with.
	Err     error
	Missing *MissingArtifact
	Reasons []pipeline.Reason
}

// CheckStaged checks the locks that a commit is about to record against what
// else it records, and their artifacts against the store. It looks only at
// experiments that the commit touches, and runs nothing.
func (r *Repository) CheckStaged(ctx context.Context) ([]StagedProblem, error) {
	changed, err := r.Git.StagedNames(ctx)
	if err != nil || len(changed) == 0 {
		return nil, err
	}
	entries, err := r.Git.StagedEntries(ctx)
	if err != nil {
		return nil, err
	}
	c := &commit{Repository: r, entries: entries, changed: changed}
	var problems []StagedProblem
	for _, e := range entries {
		if path.Base(e.Path) != lockfile.Name {
			continue
		}
		found, err := c.checkLock(ctx, e.Path)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// commit is what is about to be committed.
type commit struct {
	*Repository
	// entries are all files of it, changed the paths in which it differs from
	// HEAD; both are sorted.
	entries []git.StagedEntry
	changed []string
}

// has reports whether the commit changes a file, or a file below a folder.
func (c *commit) has(name string) bool {
	if _, found := slices.BinarySearch(c.changed, name); found {
		return true
	}
	i, _ := slices.BinarySearch(c.changed, name+"/")
	return i < len(c.changed) && strings.HasPrefix(c.changed[i], name+"/")
}

// below returns the entry of a file, or those of the files in a folder.
func (c *commit) below(name string) []git.StagedEntry {
	at := func(name string) (int, bool) {
		return slices.BinarySearchFunc(c.entries, name, func(e git.StagedEntry, name string) int { return strings.Compare(e.Path, name) })
	}
	if i, found := at(name); found {
		return c.entries[i : i+1]
	}
	i, _ := at(name + "/")
	end := i
	for end < len(c.entries) && strings.HasPrefix(c.entries[end].Path, name+"/") {
		end++
	}
	return c.entries[i:end]
}

func (c *commit) checkLock(ctx context.Context, file string) ([]StagedProblem, error) {
	data, err := c.Git.Staged(ctx, file)
	if err != nil {
		return nil, err
	}
	own := c.has(file)
	lock, err := lockfile.Parse(data)
	if err != nil {
		if !own {
			return nil, nil
		}
		return []StagedProblem{{Lock: file, Err: err}}, nil
	}
	var problems []StagedProblem
	if own {
		problems = c.missingObjects(ctx, file, lock)
	}
	stale, err := c.staleStages(ctx, file, lock)
	return append(problems, stale...), err
}

// missingObjects finds artifacts that this clone could not give to anybody.
func (r *Repository) missingObjects(ctx context.Context, file string, lock *lockfile.Lock) []StagedProblem {
	var problems []StagedProblem
	rs := r.restorer()
	for _, a := range artifactsOf(lock) {
		if _, err := rs.fetch(ctx, a.Artifact, nil); err != nil {
			m := &MissingArtifact{Path: path.Join(parent(file), a.Path), Hash: a.Hash}
			problems = append(problems, StagedProblem{Lock: file, Stage: a.Stage, Missing: m})
		}
	}
	return problems
}

// staleStages finds stages whose committed sources are not those of their block.
func (c *commit) staleStages(ctx context.Context, file string, lock *lockfile.Lock) ([]StagedProblem, error) {
	rel := parent(file)
	data, err := c.Git.Staged(ctx, path.Join(rel, pipeline.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	experiment, err := pipeline.Parse(data)
	if err != nil {
		if !c.has(path.Join(rel, pipeline.Name)) {
			return nil, nil
		}
		return []StagedProblem{{Lock: path.Join(rel, pipeline.Name), Err: err}}, nil
	}
	p := &Project{Repository: c.Repository, Rel: rel, Experiment: experiment}
	var problems []StagedProblem
	for _, stage := range experiment.Stages {
		block := lock.Stages[stage.Name]
		if block == nil || !p.touches(stage, block, c) {
			continue
		}
		s := &stagedStage{commit: c, p: p, stage: stage, block: block}
		reasons, err := s.stale(ctx)
		if err != nil {
			return nil, err
		}
		if len(reasons) > 0 {
			problems = append(problems, StagedProblem{Lock: file, Stage: stage.Name, Reasons: reasons})
		}
	}
	return problems, nil
}

// touches reports whether the commit changes what the stage's block speaks of.
func (p *Project) touches(stage *pipeline.Stage, block *lockfile.Stage, c *commit) bool {
	sources := []string{pipeline.Name, lockfile.Name}
	sources = append(sources, slices.Collect(maps.Keys(block.Code))...)
	sources = append(sources, slices.Collect(maps.Keys(block.Inputs))...)
	for _, s := range stage.Params {
		sources = append(sources, s.File)
	}
	if slices.ContainsFunc(sources, func(name string) bool { return c.has(p.join(name)) }) {
		return true
	}
	return slices.ContainsFunc(slices.Concat(stage.Code, stage.Inputs), func(pattern string) bool {
		return pipeline.HasMeta(pattern) && len(p.matching(pattern, p.join(pattern), c.changed)) > 0
	})
}
