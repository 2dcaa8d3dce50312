package core

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/environment"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// recordVersion is the shape of run.json, see docs/spec/runs.md.
const recordVersion = 1

// maxSnapshotFile is the size in bytes above which an untracked file is left
// out of the snapshot of a dirty worktree and named in the record instead.
const maxSnapshotFile = 10 << 20

// The statuses of a Record.
const (
	statusRunning     = "running"
	statusLocked      = "locked"
	statusFinished    = "finished"
	statusFailed      = "failed"
	statusInterrupted = "interrupted"
)

// Record is what is known of one run beyond what the lock says: everything that
// differs from run to run or from machine to machine. It stays on this machine.
// docs/spec/runs.md says what each key holds.
type Record struct {
	Version    int    `json:"version"`
	Kept       string `json:"kept"`
	ID         string `json:"id"`
	Stage      string `json:"stage,omitempty"`
	Experiment string `json:"experiment"`
	// Dir is the absolute folder that the command ran in.
	Dir     string `json:"dir"`
	Command string `json:"command"`
	// PID is the process whose end ends the run: a record that says running
	// while no such process does was left by one that was killed.
	PID    int    `json:"pid"`
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`

	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	Exit     *Exit     `json:"exit,omitempty"`
	Git      *GitState `json:"git,omitempty"`

	// Result is the digest of the block that the run locked.
	Result  cas.Digest                `json:"result,omitzero"`
	Params  map[string]lockfile.Value `json:"params,omitempty"`
	Metrics map[string]lockfile.Value `json:"metrics,omitempty"`
	// Seeds are the keys of the params that look like seeds.
	Seeds []string `json:"seeds"`
	// Installed and Imported are package lists in the store.
	Installed cas.Digest `json:"installed,omitzero"`
	Imported  cas.Digest `json:"imported,omitzero"`

	Usage   *environment.Usage   `json:"usage,omitempty"`
	Machine *environment.Machine `json:"machine,omitempty"`
}

// Exit is how a command ended: with a status, or by a signal.
type Exit struct {
	Code   int    `json:"code"`
	Signal string `json:"signal,omitempty"`
}

// GitState is the state of the repository when a run began.
type GitState struct {
	git.State
	// Snapshot is the commit that holds a dirty worktree as it was, under
	// refs/kept/snap; it is the commit itself where the worktree was clean.
	Snapshot git.Snapshot `json:"snapshot,omitzero"`
}

// newRecord describes a run that begins now.
func (p *Project) newRecord(id, stage, command, version string, pid int) *Record {
	return &Record{Version: recordVersion, Kept: version, ID: id, Stage: stage, Experiment: path.Clean(p.Rel),
		Dir: p.Dir(), Command: command, PID: pid, Status: statusRunning, Started: time.Now(), Seeds: []string{}}
}

func (r *Record) wall() time.Duration { return r.Finished.Sub(r.Started) }

func (r *Record) end(e exit) {
	r.Finished = time.Now()
	if e.state == nil {
		return
	}
	r.Exit = &Exit{Code: e.state.ExitCode(), Signal: signalOf(e.state)}
	usage := environment.UsageOf(e.state, r.wall())
	r.Usage = &usage
}

// fail notes why a run came to nothing.
func (r *Record) fail(err error) {
	r.Status, r.Error = statusFailed, err.Error()
	var interrupted *InterruptedError
	if errors.As(err, &interrupted) {
		r.Status = statusInterrupted
	}
}

// setValues notes what the run was given and what it measured.
func (r *Record) setValues(params, metrics map[string]lockfile.Value) {
	r.Params, r.Metrics = JSONValues(params), JSONValues(metrics)
	r.Seeds = append([]string{}, slices.Sorted(maps.Keys(environment.Seeds(params)))...)
}

// write puts the record into the run's folder.
func (r *Record) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeAtomic(filepath.Join(dir, "run.json"), dir, append(data, '\n'), 0o600)
}

// readRecord reads the record of the run in dir.
func readRecord(dir string) (*Record, error) {
	data, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return nil, err
	}
	var r Record
	return &r, json.Unmarshal(data, &r)
}

func (r *run) writeRecord() error { return r.record.write(r.dir) }

// captureInBackground looks at the machine while the command runs. The returned
// function waits for it, and asks the command's interpreter: after the command,
// for what runs it may install packages first.
func (r *run) captureInBackground(ctx context.Context) func() {
	done := make(chan struct{})
	var machine *environment.Machine
	go func() {
		defer close(done)
		machine = environment.Capture(ctx, environment.Place{Dir: r.Dir(), Env: r.environ()})
	}()
	return func() {
		<-done
		r.runtime = r.interpreter(ctx, r.stage)
		machine.SetRuntime(r.runtime)
		r.record.Machine = machine
		if r.runtime != nil {
			// Without the list the record is poorer; lock reports what fails here.
			r.record.Installed, _ = r.keepPackages(ctx, r.runtime.Packages)
		}
	}
}

// describeGit returns the state of the repository, with a snapshot where it is
// not that of a commit. What can't be had is absent: it must not fail a run.
func (r *Repository) describeGit(ctx context.Context, id string) *GitState {
	state, err := r.Git.Describe(ctx)
	if err != nil {
		return nil
	}
	s := &GitState{State: state}
	if snapshot, err := r.Git.Snapshot(ctx, id, maxSnapshotFile); err == nil {
		s.Snapshot = snapshot
	}
	return s
}

// JSONValues returns values as JSON can carry them: what is not finite becomes
// the strings that the event file uses for it.
func JSONValues(in map[string]lockfile.Value) map[string]lockfile.Value {
	out := make(map[string]lockfile.Value, len(in))
	for key, v := range in {
		out[key] = JSONValue(v)
	}
	return out
}

// JSONValue returns one value as JSON can carry it: what is not finite becomes its
// text, and any other float stays one, 1.0 and not 1.
func JSONValue(v lockfile.Value) any {
	switch v := v.(type) {
	case float64:
		text := lockfile.FormatValue(v)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return text
		}
		return json.RawMessage(text)
	case []lockfile.Value:
		list := make([]any, len(v))
		for i := range v {
			list[i] = JSONValue(v[i])
		}
		return list
	}
	return v
}
