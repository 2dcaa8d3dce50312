package main

import (
	"context"

	"github.com/kept-dev/kept/core"
)

// eachProject calls do with the experiment of the nearest kept.toml, or with
// all of the repository.
func eachProject(ctx context.Context, all bool, do func(*core.Project) error) error {
	if !all {
		p, err := core.Open(".")
		if err != nil {
			return err
		}
		err = do(p)
		_ = p.Close() // What it could not remember costs time only.
		return err
	}
	r, err := core.OpenRepository(".")
	if err != nil {
		return err
	}
	projects, err := r.Projects(ctx)
	if err != nil {
		return err
	}
	if len(projects) == 0 {
		return &core.NoExperimentError{Dir: r.Git.Root, Tracked: true}
	}
	for _, p := range projects {
		if err := do(p); err != nil {
			return err
		}
	}
	_ = r.Close()
	return nil
}
