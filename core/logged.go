package core

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// allArtifacts returns the paths of the declared artifacts and of those that
// the program logged, by name. What kept.toml could not declare cannot be logged.
func (r *run) allArtifacts(ctx context.Context, logged map[string]string) (map[string]string, error) {
	all := map[string]string{}
	maps.Copy(all, r.stage.Artifacts)
	var tracked []string
	for _, name := range slices.Sorted(maps.Keys(logged)) {
		file := logged[name]
		if old, ok := all[name]; ok && old != file {
			return nil, fmt.Errorf("artifact %q is %s in %s and %s as logged", name, old, pipeline.Name, file)
		} else if ok {
			continue
		}
		if err := r.checkLogged(name, file, all); err != nil {
			return nil, err
		}
		all[name] = file
		tracked = append(tracked, r.join(file))
	}
	return all, r.checkUntracked(ctx, tracked)
}

// checkLogged refuses a logged artifact that cannot stand in a lock beside the
// others, or that the stage reads.
func (r *run) checkLogged(name, file string, others map[string]string) error {
	if !lockfile.ValidName(name) {
		return &NameError{Name: name}
	}
	if err := pipeline.CheckWrite(file); err != nil {
		return fmt.Errorf("artifact %q: %w", name, err)
	}
	for _, other := range slices.Sorted(maps.Keys(others)) {
		if overlap(strings.ToLower(others[other]), strings.ToLower(file)) {
			return &ClaimedError{Path: file, By: "artifact " + other}
		}
	}
	if stage := r.writer(file); stage != "" && stage != r.stage.Name {
		return &ClaimedError{Path: file, By: "stage " + stage}
	}
	sources := slices.Concat(r.stage.Code, r.stage.Inputs)
	for _, s := range r.stage.Params {
		sources = append(sources, s.File)
	}
	for _, source := range sources {
		if overlap(source, file) || pipeline.HasMeta(source) && pipeline.MatchGlob(source, file) {
			return &ReservedError{Path: file, Why: "the stage reads " + source}
		}
	}
	return nil
}

// checkUntracked refuses artifacts that Git tracks; paths relative to the worktree.
func (r *Repository) checkUntracked(ctx context.Context, files []string) error {
	if len(files) == 0 {
		return nil
	}
	tracked, err := r.Git.Tracked(ctx, files)
	if err != nil {
		return err
	}
	for _, file := range files {
		if tracked[file] {
			return &TrackedError{Path: file}
		}
	}
	return nil
}

// missingSources says how declared sources that are not there can be had.
func (r *run) missingSources(ctx context.Context, names []string) error {
	e := &MissingSourceError{Stage: r.stage.Name, Paths: names, Tracked: true, Kept: true, Locked: true}
	for _, name := range names {
		e.Files = append(e.Files, r.join(name))
		e.Kept = e.Kept && r.hasInput(ctx, name)
		e.Locked = e.Locked && r.before != nil && r.before.Inputs[name] != nil
	}
	tracked, err := r.Git.Tracked(ctx, e.Files)
	for _, file := range e.Files {
		e.Tracked = e.Tracked && err == nil && tracked[file]
	}
	return e
}

// hasInput reports whether the store has an input as the lock names it.
func (r *run) hasInput(ctx context.Context, name string) bool {
	if r.before == nil || r.before.Inputs[name] == nil {
		return false
	}
	_, err := r.Store.Stat(ctx, r.before.Inputs[name].Hash)
	return err == nil
}
