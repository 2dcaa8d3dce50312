package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/core/environment"
	"github.com/kept-dev/kept/core/events"
	"github.com/kept-dev/kept/lockfile"
)

// OpenRun is a run that a program opened itself, outside `kept run`. It is
// recorded and never locked: nobody hashed its code before it started.
type OpenRun struct {
	ID         string                    `json:"id"`
	Dir        string                    `json:"dir"`
	Experiment string                    `json:"experiment"`
	Artifacts  map[string]string         `json:"artifacts"`
	Params     map[string]lockfile.Value `json:"params"`
}

// BeginRun opens a run for a program that is running already as argv.
func (p *Project) BeginRun(ctx context.Context, argv []string, version string) (*OpenRun, error) {
	o := &OpenRun{ID: newRunID(time.Now()), Experiment: p.Dir(), Artifacts: map[string]string{}, Params: map[string]lockfile.Value{}}
	o.Dir = filepath.Join(p.Local.Runs(), o.ID)
	for _, stage := range p.Experiment.Stages {
		for name, file := range stage.Artifacts {
			o.Artifacts[name] = file
		}
		if seen, err := p.observe(ctx, stage); err == nil {
			maps.Copy(o.Params, seen.params)
		}
	}
	o.Params = JSONValues(o.Params)
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := writeStageFile(o.Dir, "", o.Artifacts, o.Params); err != nil {
		return nil, err
	}
	// The program that called this ends the run, or is killed.
	record := p.newRecord(o.ID, "", shellJoin(argv), version, os.Getppid())
	record.Git = p.describeGit(ctx, o.ID)
	record.Machine = environment.Capture(ctx, environment.Place{Dir: p.Dir(), Env: os.Environ()})
	return o, record.write(o.Dir)
}

// EndRun closes a run that BeginRun opened: what it logged goes into its record
// and the artifacts that it named into the store.
func (p *Project) EndRun(ctx context.Context, id string, exit int) error {
	if id == "" || strings.ContainsAny(id, `/\`) || strings.HasPrefix(id, ".") {
		return fmt.Errorf("%q is not the id of a run", id)
	}
	dir := filepath.Join(p.Local.Runs(), id)
	record, err := readRecord(dir)
	if err != nil {
		return fmt.Errorf("run %q: %w", id, err)
	}
	log, err := events.Read(filepath.Join(dir, events.File))
	if err != nil {
		return fmt.Errorf("run %q: %w", id, err)
	}
	record.Finished, record.Exit, record.Status = time.Now(), &Exit{Code: exit}, statusFinished
	if exit != 0 {
		record.Status = statusFailed
	}
	metrics := map[string]lockfile.Value{}
	for name := range log.Metrics {
		metrics[name], _ = log.Last(name)
	}
	record.setValues(log.Params, metrics)
	unused, err := p.useStore(ctx)
	if err != nil {
		return err
	}
	defer unused()
	if e := log.Environment; e != nil {
		record.Imported, err = p.keepPackages(ctx, environment.PackagesOf(e.Packages))
	}
	err = errors.Join(err, p.keepLogged(ctx, dir, log.Artifacts))
	return errors.Join(err, record.write(dir))
}

// keepLogged stores the artifacts of a run and names them in a lock of its own
// in the run's folder.
func (p *Project) keepLogged(ctx context.Context, dir string, artifacts map[string]string) error {
	if len(artifacts) == 0 {
		return nil
	}
	var failed error
	batch := p.Store.Batch()
	defer batch.Close()
	lock := lockfile.New()
	for _, name := range slices.Sorted(maps.Keys(artifacts)) {
		art, err := p.putArtifact(ctx, batch, artifacts[name])
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("keep artifact %q: %w", name, err))
			continue
		}
		lock.Artifacts[name] = art
	}
	if err := batch.Commit(ctx); err != nil {
		return errors.Join(failed, fmt.Errorf("keep artifacts: %w", err))
	}
	return errors.Join(failed, writeAtomic(filepath.Join(dir, lockfile.Name), dir, lock.Marshal(), 0o600))
}
