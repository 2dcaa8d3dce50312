package core

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// Follow makes the working tree follow its locks after a Git operation, which
// may have moved any of them. It is what the restore hooks call, so it has to
// cost next to nothing when no lock moved, and it leaves alone
//
//   - an artifact whose lock entry did not move: a change to it is the user's,
//   - a lock with conflict markers, or one that this version can't read,
//   - everything while a run is in progress here (*BusyError).
//
// A moved artifact is restored as Restore does it. Where this clone's hooks may
// fetch, what no store here has is fetched first, by dial.
func (r *Repository) Follow(ctx context.Context, dial *Dial) (*Restored, error) {
	s, err := r.readState()
	if err != nil {
		return nil, err
	}
	files, err := r.lockFiles(ctx, s)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(files, func(f string) bool { return r.moved(f, s) }) {
		return &Restored{}, nil
	}
	release, err := r.hold(ctx, "restore")
	var busy *BusyError
	if errors.As(err, &busy) && busy.Running() && !slices.ContainsFunc(files, func(f string) bool { return r.lockMoved(f, s) }) {
		return &Restored{}, nil // The run itself is what changes artifacts.
	}
	if err != nil {
		return nil, err
	}
	defer release()
	if s, err = r.readState(); err != nil {
		return nil, err
	}
	rs := r.restorer()
	for _, file := range files {
		if !r.moved(file, s) {
			continue
		}
		if dial != nil && r.HooksFetch() {
			rs.report.NotFetched = errors.Join(rs.report.NotFetched, r.fetchFor(ctx, file, dial))
		}
		if err := rs.follow(ctx, s, file); err != nil {
			return rs.report, err
		}
	}
	return rs.report, r.writeState(s)
}

// fetchFor fetches the artifacts of a lock that no store here has.
func (r *Repository) fetchFor(ctx context.Context, file string, dial *Dial) error {
	lock, _, err := r.readLock(file)
	if err != nil {
		return nil //nolint:nilerr // Who restores by it says what is wrong with it.
	}
	n := &namer{Repository: r, whole: r.Git.Whole()}
	n.locks = []namedLock{{FileVersion: git.FileVersion{Path: file}, lock: lock, tree: r.Git}}
	needs, err := n.needs(ctx)
	if err != nil {
		return err
	}
	needs = slices.DeleteFunc(needs, func(n need) bool { return n.Kind != "artifact" })
	list, _, err := r.route(needs, "", r.tablesAt)
	for _, s := range list {
		_, failed := r.fetch(ctx, s, TransferOptions{Dial: dial})
		err = errors.Join(err, failed)
	}
	return err
}

// lockFiles returns the locks that a Git operation can have moved: those that
// the index names now, and those that something was restored from.
func (r *Repository) lockFiles(ctx context.Context, s *state) ([]string, error) {
	named, err := r.Git.Files(ctx, lockfile.Name)
	if err != nil {
		return nil, err
	}
	files := slices.Concat(named, slices.Collect(maps.Keys(s.Locks)))
	slices.Sort(files)
	return slices.Compact(files), nil
}

// lockMoved reports whether the lock is another than the one last restored from.
func (r *Repository) lockMoved(file string, s *state) bool {
	return r.fileDigest(file) != s.Locks[file].Lock
}

// moved reports whether the lock is another than the one last restored from, or
// an artifact of it is gone or was being changed by a kept that was killed.
func (r *Repository) moved(file string, s *state) bool {
	if r.lockMoved(file, s) {
		return true
	}
	for artifact, was := range s.Locks[file].Artifacts {
		if was.inFlux() || !r.Workspace.Exists(artifact) {
			return true
		}
	}
	return false
}

func (r *Repository) fileDigest(file string) cas.Digest {
	data, err := r.readOwn(file, lockfile.MaxSize)
	if err != nil {
		return cas.Digest{}
	}
	return cas.Sum(data)
}

func (rs *restorer) follow(ctx context.Context, s *state, file string) error {
	was := s.Locks[file]
	lock, digest, err := rs.readLock(file)
	var conflict *lockfile.ConflictError
	switch {
	case errors.As(err, &conflict):
		return nil
	case err != nil:
		// Said once: the lock counts as seen, with nothing restored from it.
		rs.leave(file, err)
		s.Locks[file] = restored{Lock: rs.fileDigest(file), Artifacts: was.Artifacts, Mixed: was.Mixed}
		return nil
	}
	wanted := items(parent(file), lock)
	rs.marks(file, wanted, was)
	// First, for an artifact may now be a file in what was one, or around it.
	if err := rs.removeGone(ctx, s, file, wanted); err != nil {
		return err
	}
	now := placedOf(wanted)
	failed := len(rs.failed)
	for _, it := range wanted {
		if was.Artifacts[it.path] == now[it.path] && rs.Workspace.Exists(it.path) {
			continue
		}
		if err := rs.ensure(ctx, it); err != nil {
			rs.failed = append(rs.failed, it.path)
			rs.leave(it.path, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if len(rs.failed) > failed {
		// Not seen: a full disk or the like is worth another try next time.
		digest = cas.Digest{}
	}
	s.Locks[file] = restored{Lock: digest, Artifacts: rs.inPlace(wanted), Mixed: rs.stillMixed(file)}
	return nil
}
