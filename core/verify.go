package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// Verdict is the outcome of one check.
type Verdict string

// The verdicts of Verify. An inconclusive check is no pass.
const (
	Verified     Verdict = "ok"
	Mismatch     Verdict = "mismatch"
	Inconclusive Verdict = "missing"
	// Differs is evidence and no failure: the environment is another than the
	// one in which the stage ran.
	Differs Verdict = "differs"
)

// Check is one comparison of the lock with what is there.
type Check struct {
	// Stage is empty for data kept without a stage.
	Stage string
	// Kind is artifact, object, stage, command, code, input, param, metric, metrics or environment.
	Kind string
	// Name is a path, a key or a digest.
	Name    string
	Verdict Verdict
	Detail  string
}

// Verify checks every line of the lock against the working tree and the store,
// reading all bytes anew. It runs nothing. An error means that the check itself
// could not be made, such as a lock that can't be read.
func (p *Project) Verify(ctx context.Context) ([]Check, error) {
	lock, err := p.Lock()
	if err != nil {
		return nil, err
	}
	p.Workspace.Forget()
	v := &verifier{Project: p}
	for _, a := range artifactsOf(lock) {
		v.stage = a.Stage
		v.artifact(ctx, a)
	}
	for _, name := range slices.Sorted(maps.Keys(lock.Stages)) {
		v.stage = name
		if err := v.block(ctx, lock.Stages[name]); err != nil {
			return v.checks, err
		}
	}
	return v.checks, ctx.Err()
}

type verifier struct {
	*Project
	stage  string
	checks []Check
}

func (v *verifier) add(kind, name string, verdict Verdict, detail string) {
	v.checks = append(v.checks, Check{Stage: v.stage, Kind: kind, Name: name, Verdict: verdict, Detail: detail})
}

func (v *verifier) artifact(ctx context.Context, a namedArtifact) {
	o, err := v.Workspace.Scan(ctx, v.join(a.Path))
	v.compare("artifact", a.Path, a.Hash, digestOf(o), err)
	v.objects(ctx, a.Path, a.Hash, a.Folder)
}

// compare notes whether what is in the working tree is what the lock says.
func (v *verifier) compare(kind, name string, want, got cas.Digest, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.add(kind, name, Inconclusive, "not in the working tree")
	case err != nil:
		v.add(kind, name, Mismatch, err.Error())
	case want != got:
		v.add(kind, name, Mismatch, fmt.Sprintf("is %s, the lock says %s", got.Short(), want.Short()))
	default:
		v.add(kind, name, Verified, "")
	}
}

// objects reads an object of the store whole, and those that a folder's tree names.
func (v *verifier) objects(ctx context.Context, name string, d cas.Digest, folder bool) {
	if !folder {
		v.object(ctx, name, d)
		return
	}
	tree, err := v.tree(ctx, d)
	if err != nil {
		v.objectError(name, d, err)
		return
	}
	for _, e := range tree {
		v.object(ctx, path.Join(name, e.Path), e.Digest)
	}
}

func (v *verifier) object(ctx context.Context, name string, d cas.Digest) {
	v.objectError(name, d, copyObject(ctx, io.Discard, v.Store, d))
}

func (v *verifier) objectError(name string, d cas.Digest, err error) {
	var missing *cas.MissingError
	switch {
	case errors.As(err, &missing):
		v.add("object", name, Inconclusive, "the store does not have "+d.Short())
	case err != nil:
		v.add("object", name, Mismatch, err.Error())
	default:
		v.add("object", name, Verified, "")
	}
}

func (v *verifier) block(ctx context.Context, block *lockfile.Stage) error {
	for _, name := range slices.Sorted(maps.Keys(block.History)) {
		v.object(ctx, "history of "+name, block.History[name])
	}
	if env := block.Environment; env != nil && !env.Packages.IsZero() {
		v.object(ctx, "packages", env.Packages)
	}
	stage, err := v.Experiment.Stage(v.stage)
	if err != nil {
		v.add("stage", v.stage, Mismatch, "the lock has a stage that "+pipeline.Name+" does not")
		return nil
	}
	if err := v.environment(ctx, block); err != nil {
		return err
	}
	if stage.Command != block.Command {
		v.add("command", v.stage, Mismatch, fmt.Sprintf("is %q, the lock says %q", stage.Command, block.Command))
	}
	seen, err := v.observe(ctx, stage)
	if err != nil {
		return err
	}
	v.inputs("code", block.Code, seen.code)
	v.inputs("input", block.Inputs, seen.inputs)
	for _, name := range slices.Sorted(maps.Keys(block.Inputs)) {
		if err := v.inputObjects(ctx, name, block.Inputs[name]); err != nil {
			return err
		}
	}
	v.values("param", seen.params, block.Params)
	metrics, err := v.readMetrics(stage)
	var unwritten *NotWrittenError
	if errors.As(err, &unwritten) {
		v.add("metrics", unwritten.Path, Inconclusive, "not in the working tree")
		return nil
	}
	if err != nil {
		return err
	}
	v.values("metric", metrics, block.Metrics)
	return nil
}

// environment says what differs where the stage would run now, as far as that
// shows without starting its interpreter.
func (v *verifier) environment(ctx context.Context, block *lockfile.Stage) error {
	if block.Environment == nil {
		return nil
	}
	here, err := v.environmentHere(ctx, block)
	if err != nil {
		return err
	}
	for _, c := range v.compareEnvironments(ctx, block.Environment, here) {
		v.add("environment", c.Name, Differs, c.Detail())
	}
	return nil
}

func (v *verifier) inputs(kind string, want, got map[string]*lockfile.Input) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] == nil {
			v.add(kind, name, Inconclusive, "not in the working tree")
			continue
		}
		v.compare(kind, name, want[name].Hash, got[name].Hash, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] == nil {
			v.add(kind, name, Mismatch, "not in the lock")
		}
	}
}

// inputObjects checks the store for an input, unless Git keeps its bytes. A file
// that Git tracks and that was edited since is a mismatch already.
func (v *verifier) inputObjects(ctx context.Context, name string, in *lockfile.Input) error {
	full, err := v.resolve(name)
	if err != nil {
		return err
	}
	keeps := v.Git.Tracked
	if in.Folder {
		keeps = v.holds
	}
	kept, err := keeps(ctx, []string{full})
	if err != nil || kept[full] {
		return err
	}
	v.objects(ctx, name, in.Hash, in.Folder)
	return nil
}

func (v *verifier) holds(ctx context.Context, paths []string) (map[string]bool, error) {
	held, err := v.Git.Holds(ctx, paths[0])
	return map[string]bool{paths[0]: held}, err
}

// values checks the values of files against the lock, which may hold more:
// those that the program logged.
func (v *verifier) values(kind string, files, lock map[string]lockfile.Value) {
	for _, key := range slices.Sorted(maps.Keys(files)) {
		got, ok := lock[key]
		switch {
		case !ok:
			v.add(kind, key, Mismatch, "not in the lock")
		case !lockfile.EqualValues(got, files[key]):
			v.add(kind, key, Mismatch, fmt.Sprintf("is %s, the lock says %s",
				lockfile.FormatValue(files[key]), lockfile.FormatValue(got)))
		default:
			v.add(kind, key, Verified, "")
		}
	}
}

// digestOf is the digest of what was scanned, zero for nothing.
func digestOf(o *workspace.Object) cas.Digest {
	if o == nil {
		return cas.Digest{}
	}
	return o.Digest
}
