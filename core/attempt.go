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
	data, err := json.Marshal(stageFile{Stage: stage, Artifacts: artifacts, Params: jsonValues(params)})
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
	rs := r.restorer()
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
	return r.setInFlux(r.LockPath(), artifacts)
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
		if err := rs.put(ctx, item{path: file, art: art}, o.Tree); err != nil {
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
	if os.Getenv("PYTHONUNBUFFERED") == "" {
		// Python holds back output that goes to a pipe; people watch it.
		env = append(env, "PYTHONUNBUFFERED=1")
	}
	return env
}

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
	block := &lockfile.Stage{Command: r.stage.Command}
	block.Params = before.params
	if block.Logged, err = r.logged(before, log); err != nil {
		return err
	}
	if block.Metrics, block.History, err = r.metrics(ctx, log); err != nil {
		return err
	}
	if block.Artifacts, err = r.artifacts(ctx, log); err != nil {
		return err
	}
	if block.Environment, err = r.environment(ctx, log); err != nil {
		return err
	}
	after, err := r.observeWith(ctx, r.stage, r.keepInput)
	if err != nil {
		return err
	}
	if changed := before.differences(after); len(changed) > 0 {
		return &ChangedError{Stage: r.stage.Name, Paths: changed}
	}
	block.Code, block.Inputs = after.code, after.inputs
	if err := r.ignoreArtifacts(ctx, block); err != nil {
		return err
	}
	return r.writeBlock(ctx, block)
}

// keepInput stores an input unless Git keeps its bytes: those of a folder in
// which it tracks some files, or of a file that was edited since, it does not.
func (r *run) keepInput(ctx context.Context, file string) (*workspace.Object, error) {
	held, err := r.Git.Holds(ctx, file)
	if err != nil {
		return nil, err
	}
	if held {
		return r.Workspace.Scan(ctx, file)
	}
	return r.Workspace.Keep(ctx, r.Store, file)
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
func (r *run) metrics(ctx context.Context, log *events.Log) (map[string]lockfile.Value, map[string]cas.Digest, error) {
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
		if history[name], err = r.keepBytes(ctx, lockfile.MarshalSeries(points)); err != nil {
			return nil, nil, fmt.Errorf("keep the history of metric %q: %w", name, err)
		}
	}
	return metrics, history, mergeValues(metrics, logged, "metric")
}

// artifacts keeps the declared artifacts and those that the program logged.
func (r *run) artifacts(ctx context.Context, log *events.Log) (map[string]*lockfile.Artifact, error) {
	declared, err := r.allArtifacts(ctx, log.Artifacts)
	if err != nil {
		return nil, err
	}
	kept := map[string]*lockfile.Artifact{}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		file := declared[name]
		art, err := r.keepArtifact(ctx, file)
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

// keepArtifact stores a file or folder of the experiment.
func (p *Project) keepArtifact(ctx context.Context, file string) (*lockfile.Artifact, error) {
	if err := cas.CheckPath(file); err != nil {
		return nil, err
	}
	o, err := p.Workspace.Keep(ctx, p.Store, p.join(file))
	if err != nil {
		return nil, err
	}
	return &lockfile.Artifact{Path: file, Hash: o.Digest, Size: o.Size, Files: o.Files(),
		Folder: o.Folder, Executable: o.Executable && !o.Folder}, nil
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

func (p *Project) keepPackages(ctx context.Context, packages []environment.Package) (cas.Digest, error) {
	return p.keepBytes(ctx, environment.FormatPackages(packages))
}

func (p *Project) keepBytes(ctx context.Context, b []byte) (cas.Digest, error) {
	d, _, err := p.Store.Put(ctx, newReader(b))
	return d, err
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
	data := lock.Marshal()
	// A lock that nobody can read would take all others down with it: two stages
	// may have logged artifacts at one path.
	if _, err := lockfile.Parse(data); err != nil {
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
	s.Locks[p.LockPath()] = now
	return p.writeState(s)
}
