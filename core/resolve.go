package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
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

// Take settles the named conflicts, or all, with the blocks of one side.
func (m *Merge) Take(ctx context.Context, names []string, side Choice) (*Settled, error) {
	release, err := m.hold(ctx, "resolve")
	if err != nil {
		return nil, err
	}
	defer release()
	u, merging, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(u, names)
	if err != nil {
		return nil, err
	}
	s := newSettled(merging)
	for _, c := range chosen {
		block := [...]*lockfile.Lock{c.Ours, c.Theirs}[side]
		if block == nil {
			return nil, &MixedError{Name: c.Name(), Side: side}
		}
		u.Settle(c, block)
		s.Names = append(s.Names, c.Name())
	}
	if err := m.write(u, merging); err != nil {
		return nil, err
	}
	take := func(file string) error {
		_, err := m.Git.TakeSide(ctx, file, side == Theirs)
		return err
	}
	if err := m.settleMetrics(ctx, chosen, take); err != nil {
		return nil, err
	}
	return s, m.finish(ctx, u, merging, s)
}

// settleMetrics settles the files of metrics that go with settled blocks, where
// Git has them and they are in conflict as well: they say what the blocks say.
func (m *Merge) settleMetrics(ctx context.Context, settled []*lockfile.Conflict, settle func(file string) error) error {
	if m.Experiment == nil {
		return nil
	}
	var files []string
	for _, c := range settled {
		if c.Stage == "" || !m.hasStage(c.Stage) {
			continue
		}
		stage, err := m.Experiment.Stage(c.Stage)
		if err != nil {
			return err
		}
		for _, source := range stage.Metrics {
			files = append(files, m.join(source.File))
		}
	}
	unmerged, err := m.Git.Unmerged(ctx)
	if err != nil {
		return err
	}
	for _, file := range files {
		if slices.Contains(unmerged, file) {
			if err := settle(file); err != nil {
				return err
			}
		}
	}
	return nil
}

func newSettled(merging *git.Merging) *Settled {
	return &Settled{Operation: merging.Operation, Stash: merging.Stash, Restored: &Restored{}}
}

// write puts the lock into the working tree, all or nothing.
func (m *Merge) write(u *lockfile.Unmerged, merging *git.Merging) error {
	file := m.Workspace.Abs(m.LockPath())
	if m.emptied(u, merging) {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &FileError{Path: m.LockPath(), Err: reason(err)}
		}
		return nil
	}
	data, err := u.Marshal(conflictLabels)
	if err != nil {
		return &FileError{Path: m.LockPath(), Err: fmt.Errorf("not written, as it would be refused: %w", err)}
	}
	if m.fileDigest(m.LockPath()) == cas.Sum(data) {
		return nil
	}
	if err := writeAtomic(file, m.Local.Temp(), data, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", m.LockPath(), err)
	}
	return nil
}

// emptied reports whether nothing is left of a lock that one side removed.
func (m *Merge) emptied(u *lockfile.Unmerged, merging *git.Merging) bool {
	removed := merging.Unmerged && (merging.Ours == nil || merging.Theirs == nil)
	return removed && len(u.Conflicts) == 0 && len(u.Settled.Stages)+len(u.Settled.Artifacts)+len(u.Settled.Unknown) == 0
}

// finish makes the artifacts those of the settled blocks and tells Git once
// nothing is in conflict any more.
func (m *Merge) finish(ctx context.Context, u *lockfile.Unmerged, merging *git.Merging, s *Settled) (err error) {
	s.Left = u.Names()
	if s.Files, err = m.Git.Unmerged(ctx); err != nil {
		return err
	}
	s.Files = slices.DeleteFunc(s.Files, func(f string) bool { return f == m.LockPath() })
	if len(s.Left) > 0 {
		s.Restored, err = m.restoreSettled(ctx, u)
		return err
	}
	// Git first: that an artifact can't be restored does not undo the decision.
	if merging.Unmerged {
		if err := m.Git.Add(ctx, m.LockPath()); err != nil {
			return err
		}
		s.Staged = true
	}
	s.Restored, err = m.restoreHeld(ctx, nil)
	return err
}

// restoreSettled brings the artifacts of settled blocks, and counts the lock as
// unseen: whatever happens to it next, the hooks then look at all of it.
func (m *Merge) restoreSettled(ctx context.Context, u *lockfile.Unmerged) (*Restored, error) {
	wanted := items(m.Rel, u.Settled)
	rs := m.restorer()
	rs.marks(m.LockPath(), wanted, restored{})
	err := rs.restoreAll(ctx, wanted)
	state, stateErr := m.readState()
	if stateErr != nil {
		return rs.report, errors.Join(err, stateErr)
	}
	now := state.Locks[m.LockPath()]
	now.Lock = cas.Digest{}
	if now.Artifacts == nil {
		now.Artifacts = map[string]placed{}
	}
	for file, p := range rs.inPlace(wanted) {
		now.Artifacts[file] = p
	}
	state.Locks[m.LockPath()] = now
	if noted := m.writeState(state); !cas.IsReadOnly(noted) {
		err = errors.Join(err, noted)
	}
	return rs.report, err
}

// Rerun settles the named conflicts, or those of all stages, with a run: the
// stages run with what is upstream of them and stale. A block takes the place of
// the conflict when its run ended well; until then the lock is as it was.
func (m *Merge) Rerun(ctx context.Context, names []string, opts RunOptions) (*Settled, error) {
	release, err := m.hold(ctx, "run "+cmp.Or(strings.Join(names, ", "), "what is in conflict"))
	if err != nil {
		return nil, err
	}
	defer release()
	m.sweep()
	u, merging, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	if m.Experiment == nil {
		return nil, m.whyNoStages(ctx)
	}
	if names, err = m.stagesToRun(u, names); err != nil {
		return nil, err
	}
	s := newSettled(merging)
	if len(names) > 0 {
		conflicts := slices.Clone(u.Conflicts)
		if err := m.rerun(ctx, u, names, opts); err != nil {
			return nil, err
		}
		settled := slices.DeleteFunc(conflicts, func(c *lockfile.Conflict) bool { return slices.Contains(u.Conflicts, c) })
		if err := m.settleMetrics(ctx, settled, func(file string) error { return m.Git.Add(ctx, file) }); err != nil {
			return nil, err
		}
	} else if err := m.write(u, merging); err != nil {
		return nil, err
	}
	s.Names = names
	return s, m.finish(ctx, u, merging, s)
}

func (m *Merge) rerun(ctx context.Context, u *lockfile.Unmerged, names []string, opts RunOptions) error {
	stages, err := m.Experiment.Select(names...)
	if err != nil {
		return err
	}
	if err := m.checkSources(ctx, stages); err != nil {
		return err
	}
	// Stages upstream that merged are up to date by what they wrote in the other branch.
	if _, err := m.restoreSettled(ctx, u); err != nil {
		return err
	}
	p := *m.Project
	p.unmerged = u
	return p.bringUpToDate(ctx, stages, opts)
}

// stagesToRun returns the names of the stages in conflict that have a command.
func (m *Merge) stagesToRun(u *lockfile.Unmerged, names []string) ([]string, error) {
	chosen, err := choose(u, names)
	if err != nil {
		return nil, err
	}
	var stages []string
	for _, c := range chosen {
		if c.Stage != "" && m.hasStage(c.Stage) {
			stages = append(stages, c.Stage)
		} else if len(names) > 0 || len(chosen) == 1 {
			return nil, &NotRerunError{Name: c.Name()}
		}
	}
	return stages, nil
}

// whyNoStages says why there is no command to run.
func (m *Merge) whyNoStages(ctx context.Context) error {
	files, err := m.Git.Unmerged(ctx)
	if err == nil && slices.Contains(files, m.join(pipeline.Name)) {
		return &UnmergedSourceError{Path: m.join(pipeline.Name)}
	}
	return m.broken
}

// checkSources refuses to run on files of which nobody has decided what they
// are to hold.
func (m *Merge) checkSources(ctx context.Context, stages []*pipeline.Stage) error {
	files, err := m.Git.Unmerged(ctx)
	if err != nil || len(files) == 0 {
		return err
	}
	if name := m.join(pipeline.Name); slices.Contains(files, name) {
		return &UnmergedSourceError{Path: name}
	}
	for _, stage := range stages {
		sources := slices.Concat(stage.Code, stage.Inputs)
		for _, s := range stage.Params {
			sources = append(sources, s.File)
		}
		for _, source := range sources {
			full := m.join(source)
			for _, file := range files {
				if file == full || full == "." || strings.HasPrefix(file, full+"/") || pipeline.HasMeta(source) && pipeline.MatchGlob(full, file) {
					return &UnmergedSourceError{Path: file, Stage: stage.Name}
				}
			}
		}
	}
	return nil
}
