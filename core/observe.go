package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// ErrOutside reports a path that leads out of the repository.
var ErrOutside = errors.New("outside the repository")

// sources is what a stage reads, as the working tree has it at one moment.
type sources struct {
	code, inputs map[string]*lockfile.Input
	params       map[string]lockfile.Value
	// paramFiles are the digests of the params files, whole.
	paramFiles map[string]cas.Digest
	// missing are declared paths with nothing there, as written in kept.toml.
	missing []string
}

// readFunc hashes, or hashes and stores, what lies at a path of the worktree.
type readFunc func(ctx context.Context, file string) (*workspace.Object, error)

// observe reads the sources of a stage.
func (p *Project) observe(ctx context.Context, stage *pipeline.Stage) (*sources, error) {
	return p.observeWith(ctx, stage, p.Workspace.Scan)
}

// observeWith is observe with the inputs read by read.
func (p *Project) observeWith(ctx context.Context, stage *pipeline.Stage, read readFunc) (*sources, error) {
	s := &sources{
		code:       map[string]*lockfile.Input{},
		inputs:     map[string]*lockfile.Input{},
		params:     map[string]lockfile.Value{},
		paramFiles: map[string]cas.Digest{},
	}
	for _, name := range stage.Code {
		if err := p.observeCode(ctx, s, name); err != nil {
			return nil, err
		}
	}
	for _, name := range stage.Inputs {
		if err := p.observeInputs(ctx, s, name, read); err != nil {
			return nil, err
		}
	}
	if err := p.observeParams(s, stage); err != nil {
		return nil, err
	}
	slices.Sort(s.missing)
	return s, nil
}

// resolve returns the path in the worktree of a path that kept.toml reads.
func (p *Project) resolve(name string) (string, error) {
	full := p.join(name)
	if full == ".." || strings.HasPrefix(full, "../") || path.IsAbs(full) {
		return "", fmt.Errorf("%q: %w", name, ErrOutside)
	}
	return full, nil
}

func (p *Project) observeCode(ctx context.Context, s *sources, name string) error {
	full, err := p.resolve(name)
	if err != nil {
		return err
	}
	if pipeline.HasMeta(name) {
		files, err := p.glob(ctx, name, p.Git.List)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := p.observeCode(ctx, s, file); err != nil {
				return err
			}
		}
		return s.found(name, len(files))
	}
	info, err := os.Lstat(p.Workspace.Abs(full))
	if errors.Is(err, fs.ErrNotExist) {
		s.missing = append(s.missing, name)
		return nil
	}
	if err != nil {
		return err
	}
	var o *workspace.Object
	if info.IsDir() {
		o, err = p.scanCode(ctx, full)
	} else {
		o, err = p.Workspace.Scan(ctx, full)
	}
	if err != nil {
		return err
	}
	s.code[name] = &lockfile.Input{Hash: o.Digest, Folder: o.Folder, Files: o.Files()}
	return nil
}

// found notes a pattern that matched nothing.
func (s *sources) found(pattern string, n int) error {
	if n == 0 {
		s.missing = append(s.missing, pattern)
	}
	return nil
}

// scanCode hashes a folder of code: what Git tracks or would offer to add. What
// Git ignores, and what Python leaves behind, is not code.
func (p *Project) scanCode(ctx context.Context, folder string) (*workspace.Object, error) {
	files, err := p.Git.List(ctx, folder)
	if err != nil {
		return nil, err
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		return isLeftover(f) || !p.Workspace.Exists(f)
	})
	return p.Workspace.ScanFiles(ctx, folder, files)
}

func isLeftover(file string) bool {
	return strings.HasSuffix(file, ".pyc") || strings.Contains("/"+file, "/__pycache__/") ||
		strings.Contains("/"+file, "/.ipynb_checkpoints/")
}

// glob returns the files that match pattern, as kept.toml would name them.
// list gives the files below a folder of the worktree that may match.
func (p *Project) glob(ctx context.Context, pattern string, list func(context.Context, string) ([]string, error)) ([]string, error) {
	full, err := p.resolve(pattern)
	if err != nil {
		return nil, err
	}
	files, err := list(ctx, globBase(full))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(p.matching(pattern, full, files), func(name string) bool {
		return !p.Workspace.Exists(p.join(name))
	}), nil
}

// allFiles lists also what Git ignores: data that kept keeps is ignored.
func (p *Project) allFiles(ctx context.Context, folder string) ([]string, error) {
	listed, err := p.Git.List(ctx, folder)
	if err != nil {
		return nil, err
	}
	untracked, err := p.Git.Untracked(ctx, folder)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(listed, untracked)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// matching returns those of files, which are relative to the worktree, that
// match pattern, as kept.toml would name them. full is the resolved pattern.
func (p *Project) matching(pattern, full string, files []string) []string {
	up := strings.Repeat("../", strings.Count(pattern, "../"))
	prefix := path.Join(p.Rel, up)
	var names []string
	for _, file := range files {
		if pipeline.MatchGlob(full, file) && !isLeftover(file) {
			if prefix != "" && prefix != "." {
				file = strings.TrimPrefix(file, prefix+"/")
			}
			names = append(names, up+file)
		}
	}
	return names
}

func (p *Project) observeInputs(ctx context.Context, s *sources, name string, read readFunc) error {
	names := []string{name}
	if pipeline.HasMeta(name) {
		var err error
		if names, err = p.glob(ctx, name, p.allFiles); err != nil {
			return err
		}
		if err := s.found(name, len(names)); err != nil {
			return err
		}
	}
	for _, name := range names {
		full, err := p.resolve(name)
		if err != nil {
			return err
		}
		o, err := read(ctx, full)
		if errors.Is(err, fs.ErrNotExist) {
			s.missing = append(s.missing, name)
			continue
		}
		if err != nil {
			return err
		}
		s.inputs[name] = &lockfile.Input{Hash: o.Digest, Size: o.Size, Sized: true, Folder: o.Folder, Files: o.Files()}
	}
	return nil
}

// observeParams reads the params files; their values are known only when all are there.
func (p *Project) observeParams(s *sources, stage *pipeline.Stage) error {
	files, missing, err := p.readFiles(stage.Params)
	if err != nil {
		return err
	}
	for name, data := range files {
		s.paramFiles[name] = cas.Sum(data)
	}
	if len(missing) > 0 {
		s.missing = append(s.missing, missing...)
		return nil
	}
	s.params, err = stage.ReadParams(files)
	return p.within(err)
}

// readMetrics reads the metrics files of a stage.
func (p *Project) readMetrics(stage *pipeline.Stage) (map[string]lockfile.Value, error) {
	files, missing, err := p.readFiles(stage.Metrics)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return nil, &NotWrittenError{Stage: stage.Name, Kind: "metrics file", Path: missing[0]}
	}
	metrics, err := stage.ReadMetrics(files)
	return metrics, p.within(err)
}

// readFiles reads the files of values that sources name, and names those that
// are not there.
func (p *Project) readFiles(list []pipeline.Source) (files map[string][]byte, missing []string, err error) {
	files = map[string][]byte{}
	for _, source := range list {
		full, err := p.resolve(source.File)
		if err != nil {
			return nil, nil, err
		}
		data, err := readBounded(p.Workspace.Abs(full), values.MaxSize)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, source.File)
		case err != nil:
			return nil, nil, &FileError{Path: full, Err: reason(err)}
		default:
			files[source.File] = data
		}
	}
	return files, missing, nil
}

// within names the file of an error about one of the experiment's files by its
// path in the worktree.
func (p *Project) within(err error) error {
	var file *values.FileError
	var key *values.UnknownKeyError
	switch {
	case err == nil || p.Rel == "":
		return err
	case errors.As(err, &file):
		return &values.FileError{Name: p.join(file.Name), Line: file.Line, Err: file.Err}
	case errors.As(err, &key):
		return &values.UnknownKeyError{Name: p.join(key.Name), Key: key.Key, Near: key.Near}
	}
	return &FileError{Path: p.Rel, Err: err}
}

// mergeValues adds more to into; one key with two values is an error.
func mergeValues(into, more map[string]lockfile.Value, kind string) error {
	for _, key := range slices.Sorted(maps.Keys(more)) {
		if old, ok := into[key]; ok && !lockfile.EqualValues(old, more[key]) {
			return fmt.Errorf("%s %q is both %s and %s", kind, key,
				lockfile.FormatValue(old), lockfile.FormatValue(more[key]))
		}
		into[key] = more[key]
	}
	return nil
}

// differences names what changed from s to after, as kept.toml names it.
func (s *sources) differences(after *sources) []string {
	changed := map[string]bool{}
	compareInputs(changed, s.code, after.code)
	compareInputs(changed, s.inputs, after.inputs)
	for name, d := range s.paramFiles {
		if after.paramFiles[name] != d {
			changed[name] = true
		}
	}
	for _, name := range after.missing {
		changed[name] = true
	}
	return slices.Sorted(maps.Keys(changed))
}

func compareInputs(changed map[string]bool, a, b map[string]*lockfile.Input) {
	for name, in := range a {
		if other := b[name]; other == nil || other.Hash != in.Hash {
			changed[name] = true
		}
	}
	for name := range b {
		if a[name] == nil {
			changed[name] = true
		}
	}
}

// globBase returns the longest folder that holds all that a pattern can match.
func globBase(pattern string) string {
	for pipeline.HasMeta(pattern) {
		pattern = parent(pattern)
	}
	return pattern
}
