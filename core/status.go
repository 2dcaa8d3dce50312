package core

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// Status is how a working tree stands to its kept.toml and kept.lock.
type Status struct {
	// Rel is the experiment's folder relative to the top of the worktree.
	Rel string
	// Stages are in the order in which they run.
	Stages []StageStatus
	// Artifacts are those that are not as the lock says; paths relative to the experiment.
	Artifacts []ArtifactStatus
	// Count is the number of all artifacts of the lock.
	Count int
	// Conflicts are the blocks that a merge left in two versions, by name. Nothing
	// else is known then: what the stages are compared with is not decided.
	Conflicts []string
	// Fresh is set in a clone in which kept was never set up.
	Fresh bool
	// Remote is the default remote, nil where none is configured, RemoteErr why it
	// can't be used as it is written.
	Remote    *Remote
	RemoteErr error
	// Unpushed are artifacts in the store of which this clone does not know that the
	// remote has them.
	Unpushed []NeededObject
}

// Clean reports whether there is nothing to do.
func (s *Status) Clean() bool {
	for _, stage := range s.Stages {
		if len(stage.Reasons) > 0 {
			return false
		}
	}
	return len(s.Artifacts)+len(s.Conflicts) == 0
}

// StageStatus says whether a stage has to run.
type StageStatus struct {
	Name string
	// Reasons say why it is stale; none means up to date.
	Reasons []pipeline.Reason
	// Missing are declared sources that are not there: it can't run.
	Missing []string
}

// ArtifactState is how an artifact differs from the lock.
type ArtifactState string

// The states of artifacts that are not as the lock says.
const (
	// Missing: nothing is there.
	Missing ArtifactState = "missing"
	// Modified: the content differs, and is in the store.
	Modified ArtifactState = "modified"
	// Linked: the path is, or lies behind, a symbolic link.
	Linked ArtifactState = "replaced by a link"
	// Writing: somebody goes on writing it, so that nobody can say what it is.
	Writing ArtifactState = "being written"
	// Unkept: the content differs, and no store has it.
	Unkept ArtifactState = "modified, not in the store"
)

// ArtifactStatus is an artifact that is not as the lock says.
type ArtifactStatus struct {
	Name, Path string
	State      ArtifactState
	// Stored reports whether the store has what the lock names.
	Stored bool
}

// Status compares the working tree with kept.toml and kept.lock. It changes
// nothing, and starts no program but Git: of a strict environment it sees the
// platform and the requirement files, the rest is for Run to find out. It waits
// for nobody either: what a run or a restore is writing right now it says.
func (p *Project) Status(ctx context.Context) (*Status, error) {
	lock, err := p.Lock()
	if conflicts, failed := p.conflicts(ctx, err); len(conflicts) > 0 && failed == nil {
		return &Status{Rel: p.Rel, Conflicts: conflicts}, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(p.Local.Dir())
	st := &Status{Rel: p.Rel, Fresh: errors.Is(err, fs.ErrNotExist)}
	p.remoteStatus(ctx, st, lock)
	found := map[string]foundArtifact{}
	for _, a := range artifactsOf(lock) {
		st.Count++
		artifact, err := p.artifactStatus(ctx, st, a)
		if err != nil {
			return nil, err
		}
		if a.Stage != "" {
			found[a.Stage+"\x00"+a.Name] = artifact
		}
	}
	for _, stage := range p.Experiment.Order() {
		s, err := p.stageStatus(ctx, stage, lock.Stages[stage.Name], found)
		if err != nil {
			return nil, err
		}
		st.Stages = append(st.Stages, *s)
	}
	return st, nil
}

// remoteStatus finds out, from what this clone remembers, what is not pushed.
func (p *Project) remoteStatus(ctx context.Context, st *Status, lock *lockfile.Lock) {
	list, err := p.Remotes()
	if err != nil || len(list) == 0 {
		st.RemoteErr = err
		return
	}
	if st.Remote, err = ChooseRemote(list, ""); err != nil {
		return // Which one is meant, push asks.
	}
	arts, err := p.unpushed(ctx, lock, st.Remote)
	if err != nil {
		return // It is advice.
	}
	for _, a := range arts {
		st.Unpushed = append(st.Unpushed, NeededObject{ObjectName{Kind: "artifact", Name: a.Name, Path: a.Path, Lock: p.LockPath()}, a.Hash})
	}
}

// foundArtifact is what lies at the path of an artifact; nothing has no digest.
type foundArtifact struct {
	digest  cas.Digest
	writing bool // and has no digest yet
}

// artifactStatus notes an artifact that is not as the lock says and returns what
// is there. A missing artifact that the store has counts as there: running
// brings it back.
func (p *Project) artifactStatus(ctx context.Context, st *Status, a namedArtifact) (foundArtifact, error) {
	file := p.join(a.Path)
	note := func(state ArtifactState) bool {
		_, err := p.restorer().fetch(ctx, a.Artifact, nil)
		st.Artifacts = append(st.Artifacts, ArtifactStatus{Name: a.Name, Path: a.Path, State: state, Stored: err == nil})
		return err == nil
	}
	o, err := p.Workspace.Scan(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		if note(Missing) {
			return foundArtifact{digest: a.Hash}, nil
		}
		return foundArtifact{}, nil
	}
	var link *workspace.LinkError
	if errors.As(err, &link) {
		note(Linked)
		return foundArtifact{}, nil
	}
	if errors.Is(err, workspace.ErrChanging) {
		note(Writing)
		return foundArtifact{writing: true}, nil
	}
	if err != nil {
		return foundArtifact{}, err
	}
	if matches(o, a.Artifact) {
		return foundArtifact{digest: o.Digest}, nil
	}
	state := Unkept
	if kept, err := p.isKept(ctx, o); err != nil {
		return foundArtifact{}, err
	} else if kept {
		state = Modified
	}
	note(state)
	return foundArtifact{digest: o.Digest}, nil
}

func (p *Project) stageStatus(ctx context.Context, stage *pipeline.Stage, block *lockfile.Stage, found map[string]foundArtifact) (*StageStatus, error) {
	seen, err := p.observe(ctx, stage)
	var changing *workspace.ChangingError
	if errors.As(err, &changing) {
		return &StageStatus{Name: stage.Name, Reasons: []pipeline.Reason{writing(changing.Path)}}, nil
	}
	if err != nil {
		return nil, err
	}
	facts := pipeline.Facts{Code: seen.code, Inputs: seen.inputs, Params: seen.params, Artifacts: map[string]cas.Digest{}}
	var unknown []pipeline.Reason
	if block != nil {
		for _, name := range slices.Sorted(maps.Keys(block.Artifacts)) {
			a := found[stage.Name+"\x00"+name]
			if a.writing {
				unknown = append(unknown, writing("artifact "+name))
				a.digest = block.Artifacts[name].Hash // one reason is enough
			}
			facts.Artifacts[name] = a.digest
		}
		if stage.Environment == pipeline.Strict {
			if facts.Environment, err = p.environmentHere(ctx, block); err != nil {
				return nil, err
			}
		}
	}
	return &StageStatus{Name: stage.Name, Reasons: append(pipeline.Stale(stage, block, facts), unknown...), Missing: seen.missing}, nil
}

func writing(what string) pipeline.Reason {
	return pipeline.Reason{Kind: pipeline.KindWriting, Name: what}
}
