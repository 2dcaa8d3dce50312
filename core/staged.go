package core

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// StagedProblem is why a commit would record something that does not hold.
type StagedProblem struct {
	// Lock is the path of the lock relative to the worktree.
	Lock string
	// Stage is empty for what concerns the whole lock.
	Stage string
	// Err is set for a lock that can't be read, Missing for an artifact that no
	// store here has, Reasons for a stage whose staged sources are not those
	// that it ran with.
	Err     error
	Missing *MissingArtifact
	Reasons []pipeline.Reason
}

// CheckStaged checks the locks that a commit is about to record against what
// else it records, and their artifacts against the store. It looks only at
// experiments that the commit touches, reads the index alone, and runs nothing.
func (r *Repository) CheckStaged(ctx context.Context) ([]StagedProblem, error) {
	changed, err := r.Git.StagedNames(ctx)
	if err != nil || len(changed) == 0 {
		return nil, err
	}
	locks, err := r.Git.Locks(ctx)
	if err != nil {
		return nil, err
	}
	var problems []StagedProblem
	for _, file := range locks {
		found, err := r.checkStagedLock(ctx, file, changed)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

func (r *Repository) checkStagedLock(ctx context.Context, file string, changed []string) ([]StagedProblem, error) {
	data, err := r.Git.Staged(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	own := slices.Contains(changed, file)
	lock, err := lockfile.Parse(data)
	if err != nil {
		if !own {
			return nil, nil
		}
		return []StagedProblem{{Lock: file, Err: err}}, nil
	}
	var problems []StagedProblem
	if own {
		problems = r.missingObjects(ctx, file, lock)
	}
	stale, err := r.staleStaged(ctx, file, lock, changed)
	return append(problems, stale...), err
}

// missingObjects finds artifacts that this clone could not give to anybody.
func (r *Repository) missingObjects(ctx context.Context, file string, lock *lockfile.Lock) []StagedProblem {
	var problems []StagedProblem
	rs := r.restorer()
	for _, a := range artifactsOf(lock) {
		if _, err := rs.fetch(ctx, a.Artifact); err != nil {
			m := &MissingArtifact{Path: path.Join(parent(file), a.Path), Hash: a.Hash}
			problems = append(problems, StagedProblem{Lock: file, Stage: a.Stage, Missing: m})
		}
	}
	return problems
}

// staleStaged finds stages whose staged sources are not those of their block.
func (r *Repository) staleStaged(ctx context.Context, file string, lock *lockfile.Lock, changed []string) ([]StagedProblem, error) {
	rel := parent(file)
	data, err := r.Git.Staged(ctx, path.Join(rel, pipeline.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	experiment, err := pipeline.Parse(data)
	if err != nil {
		return []StagedProblem{{Lock: file, Err: err}}, nil
	}
	p := &Project{Repository: r, Rel: rel, Experiment: experiment}
	var problems []StagedProblem
	for _, stage := range experiment.Stages {
		block := lock.Stages[stage.Name]
		if block == nil || !p.touches(stage, block, changed) {
			continue
		}
		facts, err := p.stagedFacts(ctx, stage, block)
		if err != nil {
			return nil, err
		}
		if reasons := pipeline.Stale(stage, block, *facts); len(reasons) > 0 {
			problems = append(problems, StagedProblem{Lock: file, Stage: stage.Name, Reasons: reasons})
		}
	}
	return problems, nil
}

// touches reports whether the commit changes what the stage's block speaks of.
func (p *Project) touches(stage *pipeline.Stage, block *lockfile.Stage, changed []string) bool {
	sources := []string{pipeline.Name, lockfile.Name}
	sources = append(sources, slices.Collect(maps.Keys(block.Code))...)
	sources = append(sources, slices.Collect(maps.Keys(block.Inputs))...)
	for _, s := range stage.Params {
		sources = append(sources, s.File)
	}
	return slices.ContainsFunc(sources, func(name string) bool {
		full := p.join(name)
		return slices.ContainsFunc(changed, func(c string) bool {
			return c == full || strings.HasPrefix(c, full+"/")
		})
	})
}

// stagedFacts is what the index says of a stage's sources. What the index does
// not hold, data that kept keeps, counts as unchanged.
func (p *Project) stagedFacts(ctx context.Context, stage *pipeline.Stage, block *lockfile.Stage) (*pipeline.Facts, error) {
	facts := &pipeline.Facts{Params: map[string]lockfile.Value{}, Artifacts: map[string]cas.Digest{}, Environment: block.Environment}
	var err error
	if facts.Code, err = p.stagedInputs(ctx, block.Code, true); err != nil {
		return nil, err
	}
	if facts.Inputs, err = p.stagedInputs(ctx, block.Inputs, false); err != nil {
		return nil, err
	}
	for name, a := range block.Artifacts {
		facts.Artifacts[name] = a.Hash
	}
	files := map[string][]byte{}
	for _, source := range stage.Params {
		full, err := p.resolve(source.File)
		if err == nil {
			files[source.File], err = p.Git.Staged(ctx, full)
		}
		if err != nil {
			return nil, err
		}
	}
	if facts.Params, err = stage.ReadParams(files); err != nil {
		return nil, p.within(err)
	}
	return facts, nil
}

// stagedInputs hashes the staged content of the files that a block names.
func (p *Project) stagedInputs(ctx context.Context, locked map[string]*lockfile.Input, code bool) (map[string]*lockfile.Input, error) {
	now := map[string]*lockfile.Input{}
	for name, in := range locked {
		full, err := p.resolve(name)
		if err != nil {
			return nil, err
		}
		if in.Folder {
			if now[name], err = p.stagedFolder(ctx, full, in, code); err != nil {
				return nil, err
			}
			continue
		}
		data, err := p.Git.Staged(ctx, full)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			now[name] = in
		case err != nil:
			return nil, err
		default:
			staged := *in
			staged.Hash = cas.Sum(data)
			now[name] = &staged
		}
	}
	return now, nil
}

// stagedFolder hashes a folder of code as the index has it. A folder of data is
// taken as unchanged unless Git tracks it all; then it is hashed likewise.
func (p *Project) stagedFolder(ctx context.Context, folder string, in *lockfile.Input, code bool) (*lockfile.Input, error) {
	entries, err := p.Git.StagedFolder(ctx, folder)
	if err != nil {
		return nil, err
	}
	if !code && int64(len(entries)) != in.Files {
		return in, nil
	}
	var tree cas.Tree
	for _, e := range entries {
		if code && isLeftover(e.Path) {
			continue
		}
		kind := cas.File
		if e.Executable {
			kind = cas.Executable
		}
		if e.Link {
			kind = cas.Link
		}
		tree = append(tree, cas.Entry{Path: strings.TrimPrefix(e.Path, folder+"/"), Kind: kind,
			Digest: cas.Sum(e.Data), Size: int64(len(e.Data))})
	}
	slices.SortFunc(tree, func(a, b cas.Entry) int { return strings.Compare(a.Path, b.Path) })
	staged := *in
	staged.Hash, staged.Files = cas.Sum(tree.Marshal()), int64(len(tree))
	return &staged, nil
}
