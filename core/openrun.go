package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
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
	now := time.Now()
	o := &OpenRun{ID: newRunID(now), Experiment: p.Dir(), Artifacts: map[string]string{}, Params: map[string]lockfile.Value{}}
	o.Dir = filepath.Join(p.Local.Runs(), o.ID)
	for _, stage := range p.Experiment.Stages {
		for name, file := range stage.Artifacts {
			o.Artifacts[name] = file
		}
		if seen, err := p.observe(ctx, stage); err == nil {
			maps.Copy(o.Params, seen.params)
		}
	}
	o.Params = jsonValues(o.Params)
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := writeStageFile(o.Dir, "", o.Artifacts, o.Params); err != nil {
		return nil, err
	}
	record := &Record{Version: recordVersion, ID: o.ID, Experiment: p.Rel, Command: strings.Join(argv, " "),
		Kept: version, Status: "running", Start: now}
	record.Code = p.describeCode(ctx, o.ID)
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
	record.End, record.Exit, record.Status = time.Now(), exit, "finished"
	if exit != 0 {
		record.Status = "failed"
	}
	record.Params = jsonValues(log.Params)
	metrics := map[string]lockfile.Value{}
	for name := range log.Metrics {
		metrics[name], _ = log.Last(name)
	}
	record.Metrics = jsonValues(metrics)
	var failed error
	for name, file := range log.Artifacts {
		full, err := p.resolve(file)
		if err == nil {
			_, err = p.Workspace.Keep(ctx, p.Store, full)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("keep artifact %q of run %s: %w", name, id, err))
		}
	}
	return errors.Join(failed, record.write(dir))
}
