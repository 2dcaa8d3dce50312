package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// Take settles the named conflicts, or all, with the blocks of one side.
func (m *Merge) Take(ctx context.Context, names []string, side Choice) (*Settled, error) {
	release, err := m.hold(ctx, "resolve")
	if err != nil {
		return nil, err
	}
	defer release()
	unused, err := m.useStore(ctx)
	if err != nil {
		return nil, err
	}
	defer unused()
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
		delete(now.Mixed, file)
	}
	state.Locks[m.LockPath()] = now
	if noted := m.writeState(state); !cas.IsReadOnly(noted) {
		err = errors.Join(err, noted)
	}
	return rs.report, err
}
