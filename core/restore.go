package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// Restored is what Restore or Follow did to the working tree. The paths are
// relative to the top of the worktree.
type Restored struct {
	// Placed are artifacts that now have the content of the lock.
	Placed []string
	// Removed are artifacts that no lock names any more.
	Removed []string
	// Same is the number of artifacts that needed nothing.
	Same int
	// Saved are contents that were in no lock; the store has them now.
	Saved []SavedContent
	// Missing are artifacts whose objects no store within reach has; nothing is left at their paths.
	Missing []MissingArtifact
	// Left are paths that were left as they are, with the reason.
	Left []Untouched
	// NotFetched is why a remote could not be asked for what is missing, where it should be.
	NotFetched error
}

// MissingArtifact is an artifact that can't be restored.
type MissingArtifact struct {
	Path string
	Hash cas.Digest
}

// Untouched is a lock or an artifact that was left alone.
type Untouched struct {
	Path string
	Err  error
}

// ErrTracked reports a path that Git tracks: Git restores it, kept never touches it.
var ErrTracked = errors.New("tracked by Git")

// NotInLockError reports a path that the lock does not name.
type NotInLockError struct{ Path string }

func (e *NotInLockError) Error() string {
	return fmt.Sprintf("%s names no artifact or input %q", lockfile.Name, e.Path)
}

// item is one artifact of a lock with its path in the worktree.
type item struct {
	path string
	art  *lockfile.Artifact
	name string
	// input is set for what a stage reads; nothing removes or follows it.
	input bool
}

// items returns the artifacts of a lock in folder rel, sorted by path.
func items(rel string, lock *lockfile.Lock) []item {
	var list []item
	for _, a := range artifactsOf(lock) {
		list = append(list, item{path: path.Join(rel, a.Path), art: a.Artifact, name: a.Name})
	}
	slices.SortFunc(list, func(a, b item) int { return strings.Compare(a.path, b.path) })
	return list
}

// Restore makes the artifacts of the lock, or those of them that paths name,
// match it. Paths are relative to the experiment. Content that is in no store
// is saved first. Inputs that the store has can be named too.
func (p *Project) Restore(ctx context.Context, paths []string) (*Restored, error) {
	release, err := p.hold(ctx, "restore")
	if err != nil {
		return nil, err
	}
	defer release()
	return p.restoreHeld(ctx, paths)
}

// RestoreWithInputs is Restore of all, and of the inputs that are not there: what
// was kept of what the stages read.
func (p *Project) RestoreWithInputs(ctx context.Context) (*Restored, error) {
	report, err := p.Restore(ctx, nil)
	if report == nil || err != nil {
		return report, err
	}
	inputs, err := p.absentInputs(ctx)
	if err != nil || len(inputs) == 0 {
		return report, err
	}
	more, err := p.Restore(ctx, inputs)
	if more != nil {
		report.Placed = append(report.Placed, more.Placed...)
		report.Left = append(report.Left, more.Left...)
		report.Missing = append(report.Missing, more.Missing...)
	}
	return report, err
}

// absentInputs lists the inputs that are not in the working tree, in the store, and
// not Git's to restore.
func (p *Project) absentInputs(ctx context.Context) ([]string, error) {
	lock, err := p.Lock()
	if err != nil {
		return nil, err
	}
	absent := map[string]string{}
	for _, stage := range lock.Stages {
		for name, in := range stage.Inputs {
			if p.Workspace.Exists(p.join(name)) {
				continue
			}
			has, err := p.has(ctx, cas.Wanted{Digest: in.Hash, Folder: in.Folder})
			if err != nil {
				return nil, err
			}
			if has {
				absent[p.join(name)] = name
			}
		}
	}
	if len(absent) == 0 {
		return nil, nil
	}
	tracked, err := p.Git.Tracked(ctx, slices.Collect(maps.Keys(absent)))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range slices.Sorted(maps.Keys(absent)) {
		if !tracked[file] {
			names = append(names, absent[file])
		}
	}
	return names, nil
}

// restoreHeld is Restore for who holds the worktree.
func (p *Project) restoreHeld(ctx context.Context, paths []string) (*Restored, error) {
	// Not before: whoever was waited for may have written the lock.
	lock, digest, err := p.readLock(p.LockPath())
	if err == nil && digest.IsZero() {
		err = p.leftOut(p.LockPath())
	}
	if err != nil {
		return nil, err
	}
	s, err := p.readState()
	if err != nil {
		return nil, err
	}
	rs := p.restorer()
	wanted := items(p.Rel, lock)
	if len(paths) > 0 {
		if wanted, err = p.choose(lock, paths); err != nil {
			return nil, err
		}
	}
	artifacts := slices.DeleteFunc(slices.Clone(wanted), func(it item) bool { return it.input })
	was := s.Locks[p.LockPath()]
	now := restored{Lock: digest}
	if len(paths) == 0 {
		rs.marks(p.LockPath(), artifacts, was)
		// First, for an artifact may now be a file in what was one, or around it.
		if err := rs.removeGone(ctx, s, p.LockPath(), wanted); err != nil {
			return rs.report, err
		}
	} else {
		rs.marks(p.LockPath(), artifacts, restored{})
		now = restored{Lock: was.Lock, Artifacts: maps.Clone(was.Artifacts), Mixed: maps.Clone(was.Mixed)}
	}
	err = rs.restoreAll(ctx, wanted)
	if ctx.Err() != nil {
		return rs.report, err // The state says that they are in flux.
	}
	if now.Artifacts == nil {
		now.Artifacts = map[string]placed{}
	}
	for _, it := range artifacts {
		delete(now.Artifacts, it.path)
		delete(now.Mixed, it.path)
	}
	if unfinished := rs.stillMixed(p.LockPath()); now.Mixed == nil {
		now.Mixed = unfinished
	} else {
		maps.Copy(now.Mixed, unfinished)
	}
	maps.Copy(now.Artifacts, rs.inPlace(artifacts))
	if err != nil {
		now.Lock = cas.Digest{} // Not seen: the hooks try again.
	}
	s.Locks[p.LockPath()] = now
	// Without the note the next restore compares once more, nothing else.
	if noted := p.writeState(s); !cas.IsReadOnly(noted) {
		err = errors.Join(err, noted)
	}
	return rs.report, err
}

// RestoreFrom puts what the lock of another revision names at paths into the
// working tree; the lock itself stays as it is.
func (p *Project) RestoreFrom(ctx context.Context, rev string, paths []string) (*Restored, error) {
	lock, err := p.LockAt(ctx, rev)
	if err != nil {
		return nil, err
	}
	wanted := items(p.Rel, lock)
	if len(paths) > 0 {
		if wanted, err = p.choose(lock, paths); err != nil {
			return nil, err
		}
	}
	return p.restoreItems(ctx, wanted)
}

// RestoreObject puts the object whose digest starts with prefix ("blake3:" and
// at least four hex digits) at one path of the worktree.
func (r *Repository) RestoreObject(ctx context.Context, prefix, file string) (*Restored, error) {
	if err := cas.CheckPath(file); err != nil {
		return nil, err
	}
	found, err := r.objects.Find(strings.TrimPrefix(prefix, cas.Prefix))
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, &ObjectError{Prefix: prefix, Matches: len(found)}
	}
	art := &lockfile.Artifact{Path: file, Hash: found[0]}
	if art.Size, err = r.Store.Stat(ctx, art.Hash); err != nil {
		return nil, err
	}
	if art.Folder, err = r.isTree(ctx, art.Hash); err != nil {
		return nil, err
	}
	return r.restoreItems(ctx, []item{{path: file, art: art}})
}

// ObjectError reports a digest prefix that names no object, or several.
type ObjectError struct {
	Prefix  string
	Matches int
}

func (e *ObjectError) Error() string {
	if e.Matches == 0 {
		return fmt.Sprintf("no object %s in the store", e.Prefix)
	}
	return fmt.Sprintf("%s is the start of %d objects: add digits", e.Prefix, e.Matches)
}

func (r *Repository) restoreItems(ctx context.Context, wanted []item) (*Restored, error) {
	release, err := r.hold(ctx, "restore")
	if err != nil {
		return nil, err
	}
	defer release()
	rs := r.restorer()
	return rs.report, rs.restoreAll(ctx, wanted)
}

// choose returns the artifacts and stored inputs that paths name: an artifact's
// name, its path, or a folder above it.
func (p *Project) choose(lock *lockfile.Lock, paths []string) ([]item, error) {
	all := items(p.Rel, lock)
	for _, stage := range lock.Stages {
		for name, in := range stage.Inputs {
			art := &lockfile.Artifact{Path: name, Hash: in.Hash, Size: in.Size, Folder: in.Folder, Files: in.Files}
			all = append(all, item{path: p.join(name), art: art, input: true})
		}
	}
	var chosen []item
	for _, want := range paths {
		full := p.join(want)
		if full == "." {
			full = ""
		}
		n := len(chosen)
		for _, it := range all {
			if (it.name == want || it.path == full || full == "" || strings.HasPrefix(it.path, full+"/")) &&
				!slices.ContainsFunc(chosen, func(c item) bool { return c.path == it.path }) {
				chosen = append(chosen, it)
			}
		}
		if len(chosen) == n {
			return nil, &NotInLockError{Path: want}
		}
	}
	return chosen, nil
}

func placedOf(list []item) map[string]placed {
	m := make(map[string]placed, len(list))
	for _, it := range list {
		m[it.path] = placed{Hash: it.art.Hash, Folder: it.art.Folder, Executable: it.art.Executable}
	}
	return m
}
