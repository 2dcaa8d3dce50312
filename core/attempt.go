package core

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/environment"
	"github.com/kept-dev/kept/core/events"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// run is one execution of one stage.
type run struct {
	*Project
	stage  *pipeline.Stage
	opts   RunOptions
	result *StageResult
	// before is the stage's block in the lock; nil when it never ran.
	before *lockfile.Stage

	id, dir string
	record  *Record
	// runtime is the command's interpreter; nil where it shows none.
	runtime *environment.Runtime
	// made way maps the paths that were cleared to what was there.
	madeWay map[string]*workspace.Object
	// placed is what the state said of the stage's artifacts.
	placed map[string]placed
}

// do runs the command and locks what it did. The order is what makes the lock
// safe to trust: sources are read before and after the command, objects are
// durable before the lock names them, and the lock is written last.
func (r *run) do(ctx context.Context) error {
	before, err := r.observe(ctx, r.stage)
	if err != nil {
		return err
	}
	if len(before.missing) > 0 {
		return r.missingSources(ctx, before.missing)
	}
	if err := r.begin(before.params); err != nil {
		return err
	}
	if err := r.makeWay(ctx); err != nil {
		return errors.Join(err, r.putBack())
	}
	if r.opts.Started != nil {
		r.opts.Started(r.stage, r.result.Reasons)
	}
	err = r.execute(ctx, before)
	if err == nil {
		err = r.lock(ctx, before)
	}
	if err != nil {
		r.record.fail(err)
		err = errors.Join(err, r.putBack())
	}
	return errors.Join(err, r.writeRecord())
}

// newRunID returns an id that sorts by time, also within a second, and that no other machine picks.
func newRunID(now time.Time) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails.
	milliseconds := strings.ReplaceAll(now.UTC().Format("20060102-150405.000"), ".", "")
	return milliseconds + "-" + hex.EncodeToString(random[:])
}

// begin makes the run's folder with what the command's program may ask for.
func (r *run) begin(params map[string]lockfile.Value) error {
	r.id = newRunID(time.Now())
	r.result.RunID = r.id
	r.dir = filepath.Join(r.Local.Runs(), r.id)
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("make the run's folder: %w", err)
	}
	if err := writeStageFile(r.dir, r.stage.Name, r.stage.Artifacts, params); err != nil {
		return fmt.Errorf("fill the run's folder: %w", err)
	}
	if r.unmerged != nil {
		if err := os.WriteFile(filepath.Join(r.dir, settledFile), r.unmerged.Settled.Marshal(), 0o600); err != nil {
			return fmt.Errorf("fill the run's folder: %w", err)
		}
	}
	r.record = r.newRecord(r.id, r.stage.Name, r.stage.Command, r.opts.Version, os.Getpid())
	r.record.setValues(params, nil)
	return r.writeRecord()
}

// stageFile is stage.json: what a program inside a run can learn of its stage.
type stageFile struct {
	Stage     string                    `json:"stage"`
	Artifacts map[string]string         `json:"artifacts"`
	Params    map[string]lockfile.Value `json:"params"`
}

func writeStageFile(dir, stage string, artifacts map[string]string, params map[string]lockfile.Value) error {
	data, err := json.Marshal(stageFile{Stage: stage, Artifacts: artifacts, Params: JSONValues(params)})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "stage.json"), data, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, events.File), nil, 0o600)
}

// outputs returns the paths in the worktree that the stage writes.
func (r *run) outputs() []string {
	var files []string
	for _, name := range slices.Sorted(maps.Keys(r.stage.Artifacts)) {
		files = append(files, r.join(r.stage.Artifacts[name]))
	}
	for _, source := range r.stage.Metrics {
		files = append(files, r.join(source.File))
	}
	return files
}

// makeWay clears the paths that the stage writes, so that what is there
// afterwards was written by this command. What is there now is stored first.
func (r *run) makeWay(ctx context.Context) error {
	artifacts := slices.Sorted(maps.Values(r.stage.Artifacts))
	for i := range artifacts {
		artifacts[i] = r.join(artifacts[i])
	}
	if err := r.checkUntracked(ctx, artifacts); err != nil {
		return err
	}
	if err := r.startFlux(artifacts); err != nil {
		return err
	}
	unused, err := r.useStore(ctx) // until what is saved is noted
	if err != nil {
		return err
	}
	defer unused()
	rs := r.restorer()
	rs.was = r.placed
	r.madeWay = map[string]*workspace.Object{}
	for _, file := range r.outputs() {
		o, err := r.Workspace.Scan(ctx, file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if o != nil {
			if err := r.clearOutput(ctx, rs, file, o); err != nil {
				return fmt.Errorf("make way for %q: %w", file, err)
			}
		}
		if err := rs.place.Parents(file); err != nil {
			return err
		}
	}
	for _, s := range rs.report.Saved {
		if slices.Contains(artifacts, s.Path) {
			r.result.Saved = append(r.result.Saved, s)
		}
	}
	return nil
}

// startFlux notes that the stage's artifacts are about to change.
func (r *run) startFlux(artifacts []string) error {
	s, err := r.readState()
	if err != nil {
		return err
	}
	r.placed = map[string]placed{}
	for _, file := range artifacts {
		if was, ok := s.Locks[r.LockPath()].Artifacts[file]; ok {
			r.placed[file] = was
		}
	}
	next := map[string]placed{}
	for _, file := range artifacts {
		next[file] = placed{} // Nobody knows yet.
	}
	return r.setInFlux(r.LockPath(), next)
}

func (r *run) clearOutput(ctx context.Context, rs *restorer, file string, o *workspace.Object) error {
	if err := rs.clear(ctx, file, o, nil, nil); err != nil {
		return err
	}
	r.madeWay[file] = o
	return nil
}

// putBack restores what made way wherever the failed command left nothing. What
// it did leave may be worth hours and stays.
func (r *run) putBack() error {
	ctx := context.Background() // Also after an interrupt.
	rs := r.restorer()
	left := map[string]bool{}
	for file, o := range r.madeWay {
		if r.Workspace.Exists(file) {
			left[file] = true
			continue
		}
		art := &lockfile.Artifact{Path: file, Hash: o.Digest, Size: o.Size, Folder: o.Folder, Executable: o.Executable}
		if err := rs.put(ctx, item{path: file, art: art}, o.Tree(), nil); err != nil {
			return fmt.Errorf("put back %q: %w", file, err)
		}
	}
	return r.endFlux(left)
}

// endFlux notes that artifacts are as they were before the run, but for those
// that the command left, which are nothing that kept placed.
func (r *run) endFlux(left map[string]bool) error {
	if r.placed == nil {
		return nil // It did not come to that.
	}
	s, err := r.readState()
	if err != nil {
		return err
	}
	if r.lockMoved(r.LockPath(), s) {
		return nil // By a Git operation during the run; the next one finds them in flux and catches up.
	}
	now := s.Locks[r.LockPath()].Artifacts
	for _, file := range r.stage.Artifacts {
		file = r.join(file)
		delete(now, file)
		if was, ok := r.placed[file]; ok && !left[file] {
			now[file] = was
		}
	}
	return r.writeState(s)
}

// execute runs the command and reports an end that is not a good one.
func (r *run) execute(ctx context.Context, before *sources) error {
	log, err := os.OpenFile(filepath.Join(r.dir, "output.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// The code as it is now: the command may write beside it.
	r.record.Git = r.describeGit(ctx, r.id)
	guard, err := r.guardCommand("run " + r.stage.Name)
	if err != nil {
		return err
	}
	defer guard.release()
	facts := r.captureInBackground(ctx)
	p := &process{command: r.stage.Command, dir: r.Dir(), env: r.environ(), streams: r.opts.Streams, log: log, guard: guard}
	r.record.Started = time.Now()
	end, err := p.run()
	r.record.end(end)
	facts()
	r.result.Wall = r.record.wall()
	if err != nil {
		return fmt.Errorf("start the command of stage %s: %w", r.stage.Name, err)
	}
	if end.interrupted {
		return &InterruptedError{Stage: r.stage.Name}
	}
	if !end.state.Success() {
		return &CommandError{Stage: r.stage.Name, Command: r.stage.Command, Exit: end.state.ExitCode(),
			Signal: signalOf(end.state), Log: log.Name()}
	}
	return nil
}

// environ is the environment of the command.
func (r *run) environ() []string {
	env := append(os.Environ(),
		"KEPT_RUN="+r.id,
		"KEPT_RUN_DIR="+r.dir,
		"KEPT_EXPERIMENT="+r.Dir(),
		"KEPT_STAGE="+r.stage.Name,
		"KEPT_BINARY="+r.opts.Binary,
	)
	if r.unmerged != nil {
		// The lock has conflict markers, which no reader takes.
		env = append(env, lockVariable+"="+filepath.Join(r.dir, settledFile))
	}
	if os.Getenv("PYTHONUNBUFFERED") == "" {
		// Python holds back output that goes to a pipe; people watch it.
		env = append(env, "PYTHONUNBUFFERED=1")
	}
	return env
}

// putArtifact puts a file or folder of the experiment into a batch.
func (p *Project) putArtifact(ctx context.Context, batch cas.Batch, file string) (*lockfile.Artifact, error) {
	if err := cas.CheckPath(file); err != nil {
		return nil, err
	}
	o, err := p.Workspace.Put(ctx, batch, p.join(file))
	if err != nil {
		return nil, err
	}
	return &lockfile.Artifact{Path: file, Hash: o.Digest, Size: o.Size, Files: o.Files(),
		Folder: o.Folder, Executable: o.Executable && !o.Folder}, nil
}

func (p *Project) keepPackages(ctx context.Context, packages []environment.Package) (cas.Digest, error) {
	d, _, err := p.Store.Put(ctx, newReader(environment.FormatPackages(packages)))
	return d, err
}
