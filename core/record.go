package core

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
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

// Record is what is known of one run beyond what the lock says: everything that
// differs from run to run or from machine to machine. It stays on this machine.
type Record struct {
	Version    int    `json:"version"`
	ID         string `json:"id"`
	Stage      string `json:"stage,omitempty"`
	Experiment string `json:"experiment"`
	Command    string `json:"command"`
	// Status is running, locked, finished or failed.
	Status  string                    `json:"status"`
	Error   string                    `json:"error,omitempty"`
	Result  cas.Digest                `json:"result,omitzero"`
	Params  map[string]lockfile.Value `json:"params,omitempty"`
	Metrics map[string]lockfile.Value `json:"metrics,omitempty"`
	Seeds   []string                  `json:"seeds,omitempty"`
	Start   time.Time                 `json:"start"`
	End     time.Time                 `json:"end,omitzero"`
	// Exit is the command's exit status, -1 after a signal.
	Exit   int    `json:"exit"`
	Signal string `json:"signal,omitempty"`
	// Kept is the version of the program that wrote the record.
	Kept  string             `json:"kept"`
	Usage *environment.Usage `json:"usage,omitempty"`
	Code  *CodeState         `json:"code,omitempty"`
	// Runtime is the interpreter with all that it has installed.
	Runtime *environment.Runtime `json:"runtime,omitempty"`
	Machine *environment.Machine `json:"machine,omitempty"`
}

// CodeState is the state of the repository when a run began.
type CodeState struct {
	git.State
	// Snapshot is the commit that holds a dirty worktree as it was, under
	// refs/kept/snap; it is the commit itself where the worktree was clean.
	Snapshot git.Snapshot
}

func (r *Record) wall() time.Duration { return r.End.Sub(r.Start) }

func (r *Record) end(e exit) {
	r.End = time.Now()
	if e.state == nil {
		r.Exit = -1
		return
	}
	r.Exit, r.Signal = e.state.ExitCode(), signalOf(e.state)
	usage := environment.UsageOf(e.state, r.wall())
	r.Usage = &usage
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
// function waits for it.
func (r *run) captureInBackground(ctx context.Context) func() {
	done := make(chan struct{})
	var machine *environment.Machine
	go func() {
		defer close(done)
		machine = environment.Capture(ctx, environment.Place{Dir: r.Dir(), Env: r.environ()})
	}()
	return func() {
		<-done
		r.record.Machine = machine
	}
}

// describeCode returns the state of the repository, with a snapshot where it is
// not that of a commit. What can't be had is absent: it must not fail a run.
func (r *Repository) describeCode(ctx context.Context, id string) *CodeState {
	state, err := r.Git.Describe(ctx)
	if err != nil {
		return nil
	}
	code := &CodeState{State: state}
	if snapshot, err := r.Git.Snapshot(ctx, id, maxSnapshotFile); err == nil {
		code.Snapshot = snapshot
	}
	return code
}

// jsonValues returns values as JSON can carry them: what is not finite becomes
// the strings that the event file uses for it.
func jsonValues(in map[string]lockfile.Value) map[string]lockfile.Value {
	out := make(map[string]lockfile.Value, len(in))
	for key, v := range in {
		out[key] = JSONValue(v)
	}
	return out
}

// JSONValue returns one value as JSON can carry it.
func JSONValue(v lockfile.Value) any {
	switch v := v.(type) {
	case float64:
		if _, err := json.Marshal(v); err != nil {
			return lockfile.FormatValue(v)
		}
	case []lockfile.Value:
		list := make([]any, len(v))
		for i := range v {
			list[i] = JSONValue(v[i])
		}
		return list
	}
	return v
}

// JSONValues is jsonValues for front ends that print JSON.
func JSONValues(in map[string]lockfile.Value) map[string]lockfile.Value { return jsonValues(in) }
