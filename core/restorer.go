package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// restorer carries out one restore and gathers its report.
type restorer struct {
	*Repository
	place   *cas.Placer
	tracked map[string]bool
	report  *Restored
	now     time.Time
	// mark is called before the first change to the worktree.
	mark func() error
	// failed are paths that an unexpected error kept from being restored.
	failed []string
	// mixed is what the state says of folders that a killed kept left.
	mixed map[string][]cas.Digest
	// was is what the state says that kept put into the worktree.
	was map[string]placed
}

// touch has to come before every change to the worktree.
func (rs *restorer) touch() error {
	mark := rs.mark
	if mark == nil {
		return nil
	}
	rs.mark = nil
	if err := mark(); err != nil && !cas.IsReadOnly(err) {
		return fmt.Errorf("note that artifacts change: %w", err)
	}
	return nil
}

// marks makes the restorer note, before it changes anything, that artifacts of
// a lock change: those wanted and those that the state has.
func (rs *restorer) marks(lock string, wanted []item, was restored) {
	next := map[string]placed{}
	for file := range was.Artifacts {
		next[file] = placed{}
	}
	maps.Copy(next, placedOf(wanted))
	rs.mark = func() error { return rs.setInFlux(lock, next) }
	rs.mixed, rs.was = nil, was.Artifacts
	if s, err := rs.readState(); err == nil {
		rs.mixed = s.Locks[lock].Mixed
	}
}

// stillMixed is what the state keeps of folders that could not be finished.
func (rs *restorer) stillMixed(lock string) map[string][]cas.Digest {
	s, err := rs.readState()
	if err != nil {
		return nil
	}
	all := s.Locks[lock].Mixed
	maps.DeleteFunc(all, func(file string, _ []cas.Digest) bool { return !slices.Contains(rs.failed, file) })
	return all
}

func (r *Repository) restorer() *restorer {
	return &restorer{
		Repository: r,
		place:      cas.NewPlacer(r.Git.Root, r.Local.Temp()),
		report:     &Restored{},
		now:        time.Now(),
	}
}

// restoreAll restores what can be: one artifact that can't does not keep the
// others from it.
func (rs *restorer) restoreAll(ctx context.Context, wanted []item) error {
	if len(wanted) == 0 {
		return nil
	}
	// What the store is seen to have of a file must be there when the file is replaced.
	unused, err := rs.useStore(ctx)
	if err != nil {
		return err
	}
	defer unused()
	var failed error
	for _, it := range wanted {
		if err := rs.ensure(ctx, it); err != nil {
			rs.failed = append(rs.failed, it.path)
			failed = errors.Join(failed, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return failed
}

// inPlace is placedOf without what could not be put in its place.
func (rs *restorer) inPlace(wanted []item) map[string]placed {
	now := placedOf(wanted)
	for _, m := range rs.report.Missing {
		delete(now, m.Path)
	}
	for _, l := range rs.report.Left {
		delete(now, l.Path)
	}
	for _, file := range rs.failed {
		delete(now, file)
	}
	return now
}

// ensure makes the file or folder at it.path the one that the lock names, or
// leaves nothing there when its bytes can't be had.
func (rs *restorer) ensure(ctx context.Context, it item) error {
	current, err := rs.Workspace.Scan(ctx, it.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		rs.leave(it.path, err)
		return nil
	}
	if current != nil && matches(current, it.art) {
		rs.report.Same++
		return nil
	}
	if tracked, err := rs.isTracked(ctx, it.path); err != nil {
		return err
	} else if tracked {
		rs.leave(it.path, ErrTracked)
		return nil
	}
	var is cas.Tree
	if current != nil && current.Folder {
		is = current.Tree()
	}
	tree, err := rs.fetch(ctx, it.art, is)
	var missing *cas.MissingError
	var corrupt *cas.CorruptError
	gone := errors.As(err, &missing) || errors.As(err, &corrupt)
	if err != nil && !gone {
		return fmt.Errorf("restore %q: %w", it.path, err)
	}
	if current != nil || !gone {
		if err := rs.touch(); err != nil {
			return fmt.Errorf("restore %q: %w", it.path, err)
		}
	}
	if current != nil {
		next := it.art
		if gone {
			next = nil
		}
		if err := rs.clear(ctx, it.path, current, next, tree); err != nil {
			return fmt.Errorf("restore %q: %w", it.path, err)
		}
	}
	if gone {
		rs.report.Missing = append(rs.report.Missing, MissingArtifact{Path: it.path, Hash: it.art.Hash})
		return nil
	}
	return rs.putOrGiveUp(ctx, it, tree, current)
}

// putOrGiveUp is put for content of which everything seemed to be there.
func (rs *restorer) putOrGiveUp(ctx context.Context, it item, tree cas.Tree, current *workspace.Object) error {
	err := rs.put(ctx, it, tree, current)
	var corrupt *cas.CorruptError
	for errors.As(err, &corrupt) && corrupt.Quarantine != "" {
		// One damaged object less in the way: the origin may have a good one.
		if tree, err = rs.fetch(ctx, it.art, nil); err == nil {
			err = rs.put(ctx, it, tree, nil)
		}
	}
	var missing *cas.MissingError
	var unsafe *cas.UnsafeError
	switch {
	case errors.As(err, &corrupt), errors.As(err, &missing):
		return rs.giveUp(ctx, it)
	case errors.As(err, &unsafe):
		rs.leave(it.path, err)
	case err != nil:
		return err
	default:
		rs.report.Placed = append(rs.report.Placed, it.path)
	}
	return nil
}

// giveUp takes away what is at a path whose content turned out to be damaged
// when something was in the way already, or in place in part: that an artifact
// is missing shows, that it is another one does not.
func (rs *restorer) giveUp(ctx context.Context, it item) error {
	rs.report.Missing = append(rs.report.Missing, MissingArtifact{Path: it.path, Hash: it.art.Hash})
	current, err := rs.Workspace.Scan(ctx, it.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !current.Folder {
		err = rs.clear(ctx, it.path, current, nil, nil)
	} else if err == nil {
		// Its files came from the store or were saved before; as a whole they never were a folder of anybody's.
		err = rs.clearFolder(ctx, it.path, current)
	}
	if err != nil {
		return fmt.Errorf("restore %q: %w", it.path, err)
	}
	return nil
}

// matches reports whether what was scanned is what the lock names.
func matches(o *workspace.Object, art *lockfile.Artifact) bool {
	return o.Digest == art.Hash && o.Folder == art.Folder && (o.Folder || !modeMatters || o.Executable == art.Executable)
}

func (rs *restorer) leave(file string, err error) {
	var named *FileError
	if errors.As(err, &named) && named.Path == file {
		err = named.Err
	}
	rs.report.Left = append(rs.report.Left, Untouched{Path: file, Err: err})
}

func (rs *restorer) isTracked(ctx context.Context, file string) (bool, error) {
	if t, ok := rs.tracked[file]; ok {
		return t, nil
	}
	t, err := rs.Git.Tracked(ctx, []string{file})
	if err != nil {
		return false, err
	}
	if rs.tracked == nil {
		rs.tracked = map[string]bool{}
	}
	rs.tracked[file] = t[file]
	return t[file], nil
}
