package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// clearFolder removes a folder whose files the store has one by one.
func (rs *restorer) clearFolder(ctx context.Context, file string, current *workspace.Object) error {
	tree := current.Tree()
	if kept, err := rs.hasAll(ctx, compare(tree, nil).lost()); err != nil {
		return err
	} else if !kept {
		return rs.clear(ctx, file, current, nil, nil)
	}
	if err := rs.removeEntries(ctx, file, tree); err != nil {
		return err
	}
	return rs.place.RemoveEmpty(file)
}

// clear makes room at file for next, which is nil when nothing is to follow:
// it saves what is there unless the store has it, then removes what the new
// content will not replace in place.
func (rs *restorer) clear(ctx context.Context, file string, current *workspace.Object, next *lockfile.Artifact, tree cas.Tree) error {
	if !current.Folder {
		replaced := next != nil && !next.Folder
		lost := []cas.Digest{current.Digest}
		if replaced {
			lost = rs.unshared(ctx, current.Digest, next.Hash)
		}
		if err := rs.save(ctx, file, current, lost); err != nil || replaced {
			return err
		}
		return rs.place.Remove(file)
	}
	if next == nil || !next.Folder {
		tree = nil
	}
	change := compare(current.Tree(), tree)
	if err := rs.save(ctx, file, current, change.lost()); err != nil {
		return err
	}
	if err := rs.removeEntries(ctx, file, change.gone); err != nil {
		return err
	}
	if next == nil || !next.Folder {
		return rs.place.RemoveEmpty(file)
	}
	return nil
}

// save puts the content at file into the store and reports it, unless the store
// has it: then it was recorded or saved before. What is about to be removed, the
// objects lost, may be the last good copies of damaged ones, so the store's are
// read, not believed.
func (rs *restorer) save(ctx context.Context, file string, current *workspace.Object, lost []cas.Digest) error {
	kept, err := rs.hasAll(ctx, []cas.Digest{current.Digest})
	if err != nil {
		return err
	}
	switch {
	case kept && rs.was[file].Hash != current.Digest:
		// The store has it by chance, or from a run that nobody committed: it is
		// worth saving from a collection all the same.
		if err := rs.noteSaved(rs.savedNow(file, current.Digest)); err != nil {
			return err
		}
	case kept:
	case !rs.isHalfWay(ctx, file, current):
		return rs.saveNew(ctx, file)
	}
	if kept && current.Folder {
		lost = append(lost, current.Digest)
	}
	whole, err := rs.isWhole(ctx, lost)
	if err != nil || whole {
		return err
	}
	_, err = rs.Workspace.Keep(ctx, rs.objects, file)
	return err
}

// saveNew puts the content at file, which nobody recorded, into the store.
func (rs *restorer) saveNew(ctx context.Context, file string) error {
	saved, err := rs.Workspace.Keep(ctx, rs.objects, file)
	if err != nil {
		return err
	}
	note := rs.savedNow(file, saved.Digest)
	if err := rs.noteSaved(note); err != nil {
		return err
	}
	rs.report.Saved = append(rs.report.Saved, note)
	return nil
}

// unshared returns the parts of the content old that next does not have: the
// others are read, and verified, to place next before old is replaced by it.
func (rs *restorer) unshared(ctx context.Context, old, next cas.Digest) []cas.Digest {
	had, err := rs.objects.Ranges(ctx, old)
	if err != nil {
		return []cas.Digest{old}
	}
	has, err := rs.objects.Ranges(ctx, next)
	if err != nil {
		return []cas.Digest{old}
	}
	shared := map[cas.Digest]bool{}
	for _, part := range has {
		shared[part.Digest] = true
	}
	var lost []cas.Digest
	for _, part := range had {
		if !shared[part.Digest] {
			lost = append(lost, part.Digest)
		}
	}
	return lost
}

func (rs *restorer) savedNow(file string, d cas.Digest) SavedContent {
	return SavedContent{Path: file, Hash: d, Time: rs.now.UTC().Truncate(time.Second)}
}

// isHalfWay reports whether the folder at file is what a restore that was killed
// left: every file in it is as it is in one of the folders that the restore went
// from and to. Such a mixture is nobody's.
func (rs *restorer) isHalfWay(ctx context.Context, file string, current *workspace.Object) bool {
	mixed := rs.mixed[file]
	if len(mixed) == 0 || !current.Folder {
		return false
	}
	placed := map[cas.Entry]bool{}
	for _, d := range mixed {
		tree, err := rs.tree(ctx, d)
		if err != nil {
			continue // what only that one has will count as the user's
		}
		for _, e := range tree {
			placed[e] = true
		}
	}
	for _, e := range current.Tree() {
		if !placed[e] {
			return false
		}
	}
	return true
}

// isKept reports whether the clone's own store has all of o.
func (r *Repository) isKept(ctx context.Context, o *workspace.Object) (bool, error) {
	return r.hasAll(ctx, append(compare(o.Tree(), nil).lost(), o.Digest))
}

func (r *Repository) hasAll(ctx context.Context, digests []cas.Digest) (bool, error) {
	for _, d := range digests {
		if _, err := r.objects.Stat(ctx, d); err != nil {
			var missing *cas.MissingError
			var corrupt *cas.CorruptError
			if errors.As(err, &missing) || errors.As(err, &corrupt) {
				return false, nil
			}
			return false, err
		}
	}
	return true, nil
}

// isWhole reads objects from the clone's own store, which takes damaged ones out
// of use, and reports whether every byte was right.
func (r *Repository) isWhole(ctx context.Context, digests []cas.Digest) (bool, error) {
	var broken atomic.Bool
	digests = inOrder(cas.Store(r.objects), digests, func(d cas.Digest) cas.Digest { return d })
	size := func(cas.Digest) int64 { return 0 } // not known without a look
	err := inParts(ctx, digests, size, func(ctx context.Context, part []cas.Digest) error {
		for _, d := range part {
			err := copyObject(ctx, io.Discard, r.objects, d)
			var missing *cas.MissingError
			var corrupt *cas.CorruptError
			switch {
			case errors.As(err, &missing), errors.As(err, &corrupt):
				broken.Store(true)
			case err != nil:
				return err
			}
		}
		return nil
	})
	return err == nil && !broken.Load(), err
}

// removeGone removes artifacts that this lock brought and no lock names any
// more, as long as they are as they were placed: a changed one is the user's.
func (rs *restorer) removeGone(ctx context.Context, s *state, lockPath string, wanted []item) error {
	named := placedOf(wanted)
	for other, r := range s.Locks {
		if other == lockPath {
			continue
		}
		for file, p := range r.Artifacts {
			named[file] = p
		}
	}
	was := s.Locks[lockPath].Artifacts
	if len(was) == 0 {
		return nil
	}
	unused, err := rs.useStore(ctx) // as in restoreAll
	if err != nil {
		return err
	}
	defer unused()
	for _, file := range slices.Sorted(maps.Keys(was)) {
		if _, ok := named[file]; ok {
			continue
		}
		if err := rs.removeOne(ctx, file, was[file]); err != nil {
			return err
		}
	}
	slices.Sort(rs.report.Removed)
	return nil
}

func (rs *restorer) removeOne(ctx context.Context, file string, was placed) error {
	current, err := rs.Workspace.Scan(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		rs.leave(file, err)
		return nil
	}
	if !was.inFlux() && (current.Digest != was.Hash || current.Folder != was.Folder) {
		rs.leave(file, ErrModified)
		return nil
	}
	if tracked, err := rs.isTracked(ctx, file); err != nil || tracked {
		return err
	}
	if kept, err := rs.isKept(ctx, current); err != nil || !kept && !rs.isHalfWay(ctx, file, current) {
		return err
	}
	if err := rs.touch(); err != nil {
		return fmt.Errorf("remove %q: %w", file, err)
	}
	if err := rs.clear(ctx, file, current, nil, nil); err != nil {
		return fmt.Errorf("remove %q: %w", file, err)
	}
	rs.report.Removed = append(rs.report.Removed, file)
	return nil
}

// ErrModified reports a file that is not as kept placed it.
var ErrModified = errors.New("changed since kept placed it")
