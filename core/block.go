package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/environment"
	"github.com/kept-dev/kept/core/events"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// lock keeps what the run wrote and names it in the lock.
func (r *run) lock(ctx context.Context, before *sources) error {
	log, err := events.Read(filepath.Join(r.dir, events.File))
	var conflict *events.ConflictError
	if errors.As(err, &conflict) {
		return fmt.Errorf("stage %s: %w", r.stage.Name, conflict)
	}
	if err != nil {
		return err
	}
	unused, err := r.useStore(ctx)
	if err != nil {
		return err
	}
	defer unused()
	batch := r.Store.Batch()
	defer batch.Close()
	block := &lockfile.Stage{Command: r.stage.Command}
	block.Params = before.params
	if block.Logged, err = r.logged(before, log); err != nil {
		return err
	}
	if block.Metrics, block.History, err = r.metrics(ctx, batch, log); err != nil {
		return err
	}
	if block.Artifacts, err = r.artifacts(ctx, batch, log); err != nil {
		return err
	}
	if block.Environment, err = r.environment(ctx, log); err != nil {
		return err
	}
	after, err := r.observeWith(ctx, r.stage, func(ctx context.Context, file string) (*workspace.Object, error) {
		return r.putInput(ctx, batch, file)
	})
	if err != nil {
		return err
	}
	if changed := before.differences(after); len(changed) > 0 {
		return &ChangedError{Stage: r.stage.Name, Paths: changed}
	}
	if err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("stage %s: %w", r.stage.Name, err)
	}
	block.Code, block.Inputs = after.code, after.inputs
	if err := r.ignoreArtifacts(ctx, block); err != nil {
		return err
	}
	return r.writeBlock(ctx, block)
}

// putInput puts an input into the batch unless Git keeps its bytes: those of a folder in
// which it tracks some files, or of a file that was edited since, it does not.
func (r *run) putInput(ctx context.Context, batch cas.Batch, file string) (*workspace.Object, error) {
	held, err := r.Git.Holds(ctx, file)
	if err != nil {
		return nil, err
	}
	if held {
		return r.Workspace.Scan(ctx, file)
	}
	return r.Workspace.Put(ctx, batch, file)
}

// logged returns the parameters that only the program knew of. One that a
// params file has too must have the value that it has there.
func (r *run) logged(before *sources, log *events.Log) (map[string]lockfile.Value, error) {
	logged := map[string]lockfile.Value{}
	for _, key := range slices.Sorted(maps.Keys(log.Params)) {
		file, ok := before.params[key]
		switch {
		case !ok:
			logged[key] = log.Params[key]
		case !lockfile.EqualValues(file, log.Params[key]):
			return nil, fmt.Errorf("parameter %q is %s in a params file and %s as the program logged it",
				key, lockfile.FormatValue(file), lockfile.FormatValue(log.Params[key]))
		}
	}
	return logged, nil
}

// metrics gathers the metrics files and what the program logged. A metric with
// more than one point keeps its history as an object.
func (r *run) metrics(ctx context.Context, batch cas.Batch, log *events.Log) (map[string]lockfile.Value, map[string]cas.Digest, error) {
	metrics, err := r.readMetrics(r.stage)
	if err != nil {
		return nil, nil, err
	}
	logged := map[string]lockfile.Value{}
	history := map[string]cas.Digest{}
	for _, name := range slices.Sorted(maps.Keys(log.Metrics)) {
		logged[name], _ = log.Last(name)
		if len(log.Metrics[name]) < 2 {
			continue
		}
		points := make([]lockfile.Point, len(log.Metrics[name]))
		for i, p := range log.Metrics[name] {
			points[i] = lockfile.Point{Step: p.Step, Value: p.Value}
		}
		if history[name], err = batch.PutBytes(ctx, lockfile.MarshalSeries(points)); err != nil {
			return nil, nil, fmt.Errorf("keep the history of metric %q: %w", name, err)
		}
	}
	return metrics, history, mergeValues(metrics, logged, "metric")
}

// artifacts keeps the declared artifacts and those that the program logged.
func (r *run) artifacts(ctx context.Context, batch cas.Batch, log *events.Log) (map[string]*lockfile.Artifact, error) {
	declared, err := r.allArtifacts(ctx, log.Artifacts)
	if err != nil {
		return nil, err
	}
	kept := map[string]*lockfile.Artifact{}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		file := declared[name]
		art, err := r.putArtifact(ctx, batch, file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &NotWrittenError{Stage: r.stage.Name, Kind: "artifact", Path: file}
		}
		if err != nil {
			return nil, fmt.Errorf("keep artifact %q: %w", name, err)
		}
		kept[name] = art
	}
	return kept, nil
}

// environment describes what the stage ran in, as far as it is known: what the
// program itself says that it imported, else what its interpreter has installed.
func (r *run) environment(ctx context.Context, log *events.Log) (*lockfile.Environment, error) {
	env, err := r.environmentFiles(ctx)
	if err != nil {
		return nil, err
	}
	if r.runtime != nil {
		env.Runtime = r.runtime.String()
		if env.Packages, err = r.keepPackages(ctx, r.runtime.Packages); err != nil {
			return nil, err
		}
	}
	if e := log.Environment; e != nil {
		env.Runtime = strings.Join(e.Runtimes, ", ")
		if env.Packages, err = r.keepPackages(ctx, environment.PackagesOf(e.Packages)); err != nil {
			return nil, err
		}
		r.record.Imported = env.Packages
	}
	if r.before != nil && r.before.Environment != nil {
		if changes := r.compareEnvironments(ctx, r.before.Environment, env); len(changes) > 0 {
			r.result.Warnings = append(r.result.Warnings, fmt.Sprintf(
				"stage %s ran in another environment than the last time: %s", r.stage.Name, joinChanges(changes)))
		}
	}
	return env, nil
}

// writeBlock puts the block into the lock that lies on disk now, which another
// stage's run may have written since.
func (r *run) writeBlock(ctx context.Context, block *lockfile.Stage) error {
	lock, _, err := r.lockToWrite()
	if err != nil {
		return err
	}
	old := lockfile.New()
	if r.before != nil {
		old.Stages[r.stage.Name] = r.before
	}
	lock.Stages[r.stage.Name] = block
	for name := range lock.Stages {
		if !r.hasStage(name) {
			delete(lock.Stages, name)
		}
	}
	next := lockfile.New()
	next.Stages[r.stage.Name] = block
	if err := writeAtomic(filepath.Join(r.dir, lockfile.Name), r.dir, next.Marshal(), 0o600); err != nil {
		return fmt.Errorf("keep the block of the run: %w", err)
	}
	if err := r.writeLock(lock, items(r.Rel, next)); err != nil {
		return err
	}
	r.result.Ran = true
	r.result.Changes = lockfile.Diff(old, next)
	r.result.Metrics = block.Metrics
	r.record.Status, r.record.Result = statusLocked, block.Result
	r.record.setValues(block.AllParams(), block.Metrics)
	return nil
}

// writeLock writes the lock of the working tree and remembers that the artifacts
// in placed lie where it says. Bytes that are there already are not written again.
func (p *Project) writeLock(lock *lockfile.Lock, inPlace []item) error {
	data, err := p.marshal(lock)
	if err != nil {
		return &FileError{Path: p.LockPath(), Err: fmt.Errorf("not written, as it would be refused: %w", err)}
	}
	file := p.Workspace.Abs(p.LockPath())
	old := p.fileDigest(p.LockPath())
	if old != cas.Sum(data) {
		if err := writeAtomic(file, p.Local.Temp(), data, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", p.LockPath(), err)
		}
	}
	s, err := p.readState()
	if err != nil {
		return err
	}
	was := s.Locks[p.LockPath()]
	now := restored{Artifacts: placedOf(inPlace)}
	if was.Lock == old {
		now.Lock = cas.Sum(data)
	}
	// Else a Git operation moved the lock meanwhile and its hook left the
	// artifacts alone: the next one finds the lock unseen and catches up.
	for file, p := range was.Artifacts {
		if _, ok := now.Artifacts[file]; !ok {
			now.Artifacts[file] = p
		}
	}
	now.Mixed = maps.Clone(was.Mixed)
	for _, it := range inPlace {
		delete(now.Mixed, it.path)
	}
	s.Locks[p.LockPath()] = now
	return p.writeState(s)
}

// marshal returns the text of a lock. One that nobody can read would take all
// stages down with it: two of them may have logged artifacts at one path. In
// the middle of a merge it comes with what is still in conflict, apart from the
// stages that the lock has now.
func (p *Project) marshal(lock *lockfile.Lock) ([]byte, error) {
	if p.unmerged == nil {
		data := lock.Marshal()
		_, err := lockfile.Parse(data)
		return data, err
	}
	for name := range lock.Stages {
		if c := p.unmerged.Conflict(name); c != nil {
			p.unmerged.Settle(c, lockfile.New())
		}
	}
	p.unmerged.Settled = lock
	return p.unmerged.Marshal(conflictLabels)
}
