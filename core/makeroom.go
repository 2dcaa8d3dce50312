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
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// clearFolder removes a folder whose files the store has one by one.
func (rs *restorer) clearFolder(ctx context.Context, file string, current *workspace.Object) error {
	for _, e := range current.Tree() {
		if kept, err := rs.isKept(ctx, &workspace.Object{Digest: e.Digest}); err != nil {
			return err
		} else if !kept {
			return rs.clear(ctx, file, current, nil, nil)
		}
	}
	for _, e := range current.Tree() {
		if err := rs.place.Remove(path.Join(file, e.Path)); err != nil {
			return err
		}
	}
	return rs.place.RemoveEmpty(file)
}

// clear makes room at file for next, which is nil when nothing is to follow:
// it saves what is there unless the store has it, then removes what the new
// content will not replace in place.
func (rs *restorer) clear(ctx context.Context, file string, current *workspace.Object, next *lockfile.Artifact, tree cas.Tree) error {
	folder := next != nil && next.Folder
	same := map[string]cas.Entry{}
	if folder {
		for _, e := range tree {
			same[e.Path] = e
		}
	}
	doomed := slices.DeleteFunc(slices.Clone(current.Tree()), func(e cas.Entry) bool { return same[e.Path] == e })
	if err := rs.save(ctx, file, current, doomed); err != nil {
		return err
	}
	if !current.Folder {
		if next != nil && !folder {
			return nil
		}
		return rs.place.Remove(file)
	}
	for _, e := range doomed {
		if err := rs.place.Remove(path.Join(file, e.Path)); err != nil {
			return err
		}
	}
	if !folder {
		return rs.place.RemoveEmpty(file)
	}
	return nil
}

// save puts the content at file into the store and reports it, unless the store
// has it: then it was recorded or saved before. What is about to be removed, of
// a folder the entries doomed, may be the last good copy of a damaged object, so
// the store's is read, not believed.
func (rs *restorer) save(ctx context.Context, file string, current *workspace.Object, doomed cas.Tree) error {
	kept, err := rs.isKept(ctx, current)
	if err != nil {
		return err
	}
	if kept {
		digests := []cas.Digest{current.Digest}
		for _, e := range doomed {
			digests = append(digests, e.Digest)
		}
		whole, err := rs.isWhole(ctx, digests)
		if err != nil || whole {
			return err
		}
		_, err = rs.Workspace.Keep(ctx, rs.objects, file)
		return err
	}
	saved, err := rs.Workspace.Keep(ctx, rs.objects, file)
	if err != nil {
		return err
	}
	note := SavedContent{Path: file, Hash: saved.Digest, Time: rs.now.UTC().Truncate(time.Second)}
	if err := rs.noteSaved(note); err != nil {
		return err
	}
	rs.report.Saved = append(rs.report.Saved, note)
	return nil
}

// isKept reports whether the clone's own store has all of o.
func (r *Repository) isKept(ctx context.Context, o *workspace.Object) (bool, error) {
	digests := []cas.Digest{o.Digest}
	for _, e := range o.Tree() {
		digests = append(digests, e.Digest)
	}
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
	whole := true
	for _, d := range digests {
		err := copyObject(ctx, io.Discard, r.objects, d)
		var missing *cas.MissingError
		var corrupt *cas.CorruptError
		switch {
		case errors.As(err, &missing), errors.As(err, &corrupt):
			whole = false
		case err != nil:
			return false, err
		}
	}
	return whole, nil
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
	if kept, err := rs.isKept(ctx, current); err != nil || !kept {
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
