package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// emptyExperiment is the kept.toml that Init writes: every line of it is a
// comment, so that nothing runs before its owner has said what.
const emptyExperiment = `# What this experiment runs. "kept run" runs what is stale and records it in kept.lock.
#
# [stage.train]
# command   = "python train.py"
# code      = ["train.py"]
# inputs    = ["data/reviews.tsv"]
# params    = ["params.toml"]
# metrics   = ["metrics.json"]
# artifacts = { model = "models/model.pkl" }
`

// Init makes sure that dir belongs to an experiment: where no kept.toml lies in
// dir or above it, it writes an empty one into dir. It reports whether it did.
func Init(dir string) (*Project, bool, error) {
	p, err := Open(dir)
	var none *NoExperimentError
	if !errors.As(err, &none) {
		return p, false, err
	}
	r, err := OpenRepository(dir)
	if err != nil {
		return nil, false, err
	}
	rel, err := r.Rel(dir)
	if err != nil {
		return nil, false, err
	}
	p = &Project{Repository: r, Rel: rel}
	file := r.Workspace.Abs(p.join(pipeline.Name))
	if err := writeAtomic(file, r.Local.Temp(), []byte(emptyExperiment), 0o644); err != nil {
		return nil, false, fmt.Errorf("write %s: %w", pipeline.Name, err)
	}
	p, err = r.Project(rel)
	return p, true, err
}

// Adopt takes the working tree as it is when kept is set up in it: artifacts
// that are missing are restored; one that differs from the lock stays, for it
// may be the newest work of somebody who ran without kept.
func (r *Repository) Adopt(ctx context.Context) (*Restored, error) {
	release, err := r.hold(ctx, "restore")
	if err != nil {
		return nil, err
	}
	defer release()
	s, err := r.readState()
	if err != nil {
		return nil, err
	}
	files, err := r.lockFiles(ctx, s)
	if err != nil {
		return nil, err
	}
	rs := r.restorer()
	for _, file := range files {
		if _, known := s.Locks[file]; known {
			continue
		}
		lock, digest, err := r.readLock(file)
		if err != nil {
			rs.leave(file, err)
			continue
		}
		if err := rs.adopt(ctx, s, file, lock); err != nil {
			return rs.report, err
		}
		if entry := s.Locks[file]; entry.Lock.IsZero() {
			entry.Lock = digest
			s.Locks[file] = entry
		}
	}
	return rs.report, r.writeState(s)
}

func (rs *restorer) adopt(ctx context.Context, s *state, file string, lock *lockfile.Lock) error {
	wanted := items(parent(file), lock)
	for _, it := range wanted {
		if rs.Workspace.Exists(it.path) {
			continue
		}
		if err := rs.ensure(ctx, it); err != nil {
			return err
		}
	}
	s.Locks[file] = restored{Artifacts: rs.inPlace(wanted)}
	return nil
}
