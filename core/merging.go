package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// conflictLabels are behind the markers of a lock, as the merge driver writes them.
var conflictLabels = lockfile.MergeOptions{Ours: "ours", Theirs: "theirs"}

// Merge is a lock whose merge is not finished.
//
//	m, err := OpenMerge(".")
//	look, err := m.Look(ctx)                                 // what is in conflict, and between whom
//	settled, err := m.Take(ctx, []string{"train"}, Theirs)   // a block of one side
//	settled, err = m.Rerun(ctx, nil, RunOptions{…})          // neither: measure again
type Merge struct {
	*Project
	// broken is why kept.toml can't be read, which may be in conflict as well.
	broken error
}

// Choice is a side of a merge, see git.Merging.
type Choice int

// The sides.
const (
	Ours Choice = iota
	Theirs
)

func (c Choice) String() string { return [...]string{"ours", "theirs"}[c] }

// Look is what Merge finds out without changing anything.
type Look struct {
	*git.Merging
	// Conflicts are in the order of the lock.
	Conflicts []Conflict
}

// Conflict is a block of which two versions are left.
type Conflict struct {
	*lockfile.Conflict
	// Comparison leads from ours to theirs; it is nil where a side is no run's.
	Comparison *Comparison
}

// Settled is what Take and Rerun did.
type Settled struct {
	// Names are the blocks that are not in conflict any more.
	Names []string
	// Left are those that still are.
	Left []string
	// Restored is what happened to the artifacts.
	Restored *Restored
	// Staged is set where kept.lock was added to the index.
	Staged bool
	// Operation is what Git is in the middle of, Stash as in git.Merging, Files
	// what else is in conflict, relative to the worktree.
	Operation git.Operation
	Stash     bool
	Files     []string
}

// NoConflictError reports a name that is not in conflict.
type NoConflictError struct {
	Name string
	// Conflicts are the names that are.
	Conflicts []string
}

func (e *NoConflictError) Error() string {
	if len(e.Conflicts) == 0 {
		return fmt.Sprintf("%q is not in conflict: nothing in %s is", e.Name, lockfile.Name)
	}
	return fmt.Sprintf("%q is not in conflict; what is: %s", e.Name, strings.Join(e.Conflicts, ", "))
}

// MixedError reports a side of a conflict that can't be taken, because lines of
// both sides were mixed in it.
type MixedError struct {
	Name string
	Side Choice
}

func (e *MixedError) Error() string {
	return fmt.Sprintf("%s: lines of both sides are mixed in the block, so that nobody knows what %s measured", e.Name, e.Side)
}

// NotRerunError reports a block that no command writes.
type NotRerunError struct{ Name string }

func (e *NotRerunError) Error() string {
	return e.Name + " is no stage of " + pipeline.Name + ", so there is nothing to run: take ours or theirs"
}

// UnmergedSourceError reports a file that a run would read and that is in
// conflict itself.
type UnmergedSourceError struct {
	// Path is relative to the worktree.
	Path string
	// Stage reads the file; it is empty for kept.toml.
	Stage string
}

func (e *UnmergedSourceError) Error() string {
	reader := "which says what to run"
	if e.Stage != "" {
		reader = "which stage " + e.Stage + " reads"
	}
	return fmt.Sprintf("%s, %s, is in conflict, too: edit it and git add it first", e.Path, reader)
}

// OpenMerge opens the experiment that dir belongs to as Open does, also where
// its kept.toml is gone or can't be read.
func OpenMerge(dir string) (*Merge, error) {
	p, err := Open(dir)
	if err == nil {
		return &Merge{Project: p}, nil
	}
	broken := err
	r, err := OpenRepository(dir)
	if err != nil {
		return nil, err
	}
	rel, err := r.Rel(dir)
	if err != nil {
		return nil, err
	}
	for at := rel; ; at = parent(at) {
		if r.Workspace.Exists(path.Join(at, pipeline.Name)) || r.Workspace.Exists(path.Join(at, lockfile.Name)) {
			return &Merge{Project: &Project{Repository: r, Rel: at}, broken: broken}, nil
		}
		if at == "" {
			return nil, broken
		}
	}
}

// read finds out what is settled and what is not.
func (m *Merge) read(ctx context.Context) (*lockfile.Unmerged, *git.Merging, error) {
	merging, err := m.Git.Merging(ctx, m.LockPath())
	if err != nil {
		return nil, nil, err
	}
	u, err := m.Project.readUnmerged(merging)
	return u, merging, err
}

func (p *Project) readUnmerged(merging *git.Merging) (*lockfile.Unmerged, error) {
	file, err := p.readOwn(p.LockPath(), lockfile.MaxSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &FileError{Path: p.LockPath(), Err: reason(err)}
	}
	var versions *lockfile.Versions
	if merging.Unmerged {
		versions = &lockfile.Versions{Base: merging.Base, Ours: merging.Ours, Theirs: merging.Theirs}
	}
	u, err := lockfile.ParseUnmerged(file, versions)
	if err != nil {
		return nil, &FileError{Path: p.LockPath(), Err: err}
	}
	return u, nil
}

// conflicts names what is in conflict. It costs next to nothing where nothing
// can be: a lock that Git could not merge has markers, or Git says that it is
// in the middle of something.
func (p *Project) conflicts(ctx context.Context, unreadable error) ([]string, error) {
	var conflict *lockfile.ConflictError
	if !errors.As(unreadable, &conflict) && !p.Git.MayBeUnmerged(p.LockPath()) {
		return nil, nil
	}
	merging, err := p.Git.Merging(ctx, p.LockPath())
	if err != nil || conflict == nil && !merging.Unmerged {
		return nil, err
	}
	u, err := p.readUnmerged(merging)
	if err != nil {
		return nil, err
	}
	return u.Names(), nil
}

// Look says what is in conflict.
func (m *Merge) Look(ctx context.Context) (*Look, error) {
	u, merging, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	look := &Look{Merging: merging}
	for _, c := range u.Conflicts {
		conflict := Conflict{Conflict: c}
		if c.Ours != nil && c.Theirs != nil {
			conflict.Comparison = &Comparison{Old: Side{Rev: Ours.String(), Lock: c.Ours}, New: Side{Rev: Theirs.String(), Lock: c.Theirs}}
			m.fill(ctx, conflict.Comparison)
		}
		look.Conflicts = append(look.Conflicts, conflict)
	}
	return look, nil
}

// choose returns the conflicts with these names, all without names.
func choose(u *lockfile.Unmerged, names []string) ([]*lockfile.Conflict, error) {
	if len(names) == 0 {
		return u.Conflicts, nil
	}
	var chosen []*lockfile.Conflict
	for _, name := range names {
		i := slices.IndexFunc(u.Conflicts, func(c *lockfile.Conflict) bool { return c.Name() == name })
		if i < 0 {
			return nil, &NoConflictError{Name: name, Conflicts: u.Names()}
		}
		if !slices.Contains(chosen, u.Conflicts[i]) {
			chosen = append(chosen, u.Conflicts[i])
		}
	}
	return chosen, nil
}
