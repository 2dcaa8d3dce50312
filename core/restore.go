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
	"strings"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/workspace"
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
	paths := slices.Collect(maps.Keys(was.Artifacts))
	for _, it := range wanted {
		paths = append(paths, it.path)
	}
	rs.mark = func() error { return rs.setInFlux(lock, paths) }
}

func (r *Repository) restorer() *restorer {
	return &restorer{
		Repository: r,
		place:      cas.NewPlacer(r.Git.Root, r.Local.Temp()),
		report:     &Restored{},
		now:        time.Now(),
	}
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
	// Not before: whoever was waited for may have written the lock.
	lock, digest, err := p.readLock(p.LockPath())
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
		now = restored{Lock: was.Lock, Artifacts: maps.Clone(was.Artifacts)}
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

// restoreAll restores what can be: one artifact that can't does not keep the
// others from it.
func (rs *restorer) restoreAll(ctx context.Context, wanted []item) error {
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
	tree, err := rs.fetch(ctx, it.art)
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
	err = rs.put(ctx, it, tree)
	for errors.As(err, &corrupt) && corrupt.Quarantine != "" {
		// One damaged object less in the way: the origin may have a good one.
		if tree, err = rs.fetch(ctx, it.art); err == nil {
			err = rs.put(ctx, it, tree)
		}
	}
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

// clearFolder removes a folder whose files the store has one by one.
func (rs *restorer) clearFolder(ctx context.Context, file string, current *workspace.Object) error {
	for _, e := range current.Tree {
		if kept, err := rs.isKept(ctx, &workspace.Object{Digest: e.Digest}); err != nil {
			return err
		} else if !kept {
			return rs.clear(ctx, file, current, nil, nil)
		}
	}
	for _, e := range current.Tree {
		if err := rs.place.Remove(path.Join(file, e.Path)); err != nil {
			return err
		}
	}
	return rs.place.RemoveEmpty(file)
}

// matches reports whether what was scanned is what the lock names.
func matches(o *workspace.Object, art *lockfile.Artifact) bool {
	return o.Digest == art.Hash && o.Folder == art.Folder && (o.Folder || !modeMatters || o.Executable == art.Executable)
}

// fetch makes sure that all objects of art are in the store before anything in
// the working tree is touched, and returns a folder's tree.
func (rs *restorer) fetch(ctx context.Context, art *lockfile.Artifact) (cas.Tree, error) {
	if !art.Folder {
		return nil, rs.fetchObject(ctx, art.Hash, art.Size)
	}
	tree, err := rs.tree(ctx, art.Hash)
	if err != nil {
		return nil, err
	}
	for _, e := range tree {
		if err := rs.fetchObject(ctx, e.Digest, e.Size); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// fetchObject makes sure that an object is in the store and has the size that
// is recorded for it. Where it has another, reading it tells who is wrong.
func (rs *restorer) fetchObject(ctx context.Context, d cas.Digest, size int64) error {
	got, err := rs.Store.Stat(ctx, d)
	if err != nil || got == size {
		return err
	}
	r, err := rs.Store.Open(ctx, d)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	if err = errors.Join(err, r.Close()); err == nil {
		err = fmt.Errorf("object %s: %w: %d bytes, want %d", d.Short(), cas.ErrSize, got, size)
	}
	return err
}

// maxManifest bounds the manifest that is read into memory: some ten million entries.
const maxManifest = 1 << 30

func (r *Repository) tree(ctx context.Context, d cas.Digest) (cas.Tree, error) {
	data, err := cas.ReadAll(ctx, r.Store, d, maxManifest)
	if err != nil {
		return nil, err
	}
	return cas.ParseTree(data)
}

// isTree reports whether the object is a tree manifest. A file could hold the
// text of one too; then it comes back as the folder that it describes.
func (r *Repository) isTree(ctx context.Context, d cas.Digest) (bool, error) {
	f, err := r.Store.Open(ctx, d)
	if err != nil {
		return false, err
	}
	defer f.Close()
	const begin = "kept tree "
	head := make([]byte, len(begin))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != begin {
		return false, nil
	}
	_, err = r.tree(ctx, d)
	return err == nil, nil
}

// clear makes room at file for next, which is nil when nothing is to follow:
// it saves what is there unless the store has it, then removes what the new
// content will not replace in place.
func (rs *restorer) clear(ctx context.Context, file string, current *workspace.Object, next *lockfile.Artifact, tree cas.Tree) error {
	if err := rs.save(ctx, file, current); err != nil {
		return err
	}
	folder := next != nil && next.Folder
	if !current.Folder {
		if next != nil && !folder {
			return nil
		}
		return rs.place.Remove(file)
	}
	same := map[string]cas.Entry{}
	if folder {
		for _, e := range tree {
			same[e.Path] = e
		}
	}
	for _, e := range current.Tree {
		if same[e.Path] == e {
			continue
		}
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
// has it: then it was recorded or saved before. What is about to be removed may
// be the last good copy of a damaged object, so the store's is read, not believed.
func (rs *restorer) save(ctx context.Context, file string, current *workspace.Object) error {
	kept, err := rs.isKept(ctx, current)
	if err != nil {
		return err
	}
	if kept {
		whole, err := rs.isWhole(ctx, current)
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
	for _, e := range o.Tree {
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

// isWhole reads all of o from the clone's own store, which takes damaged objects
// out of use, and reports whether every byte was right.
func (r *Repository) isWhole(ctx context.Context, o *workspace.Object) (bool, error) {
	digests := []cas.Digest{o.Digest}
	for _, e := range o.Tree {
		digests = append(digests, e.Digest)
	}
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

// copyObject writes the verified content of d to w.
func copyObject(ctx context.Context, w io.Writer, store cas.Store, d cas.Digest) error {
	r, err := store.Open(ctx, d)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

// put places the content of art, which the store has.
func (rs *restorer) put(ctx context.Context, it item, tree cas.Tree) error {
	if !it.art.Folder {
		info, err := rs.place.File(ctx, rs.Store, it.path, it.art.Hash, it.art.Size, it.art.Executable)
		if err != nil {
			return err
		}
		rs.Workspace.Note(it.path, info, it.art.Hash)
		return nil
	}
	if err := rs.place.Folder(it.path); err != nil {
		return err
	}
	var links []cas.Entry
	for _, e := range tree {
		if e.Kind == cas.Link {
			links = append(links, e)
			continue
		}
		if err := rs.putEntry(ctx, it.path, e); err != nil {
			return err
		}
	}
	// Links come last, so that no file is ever written through one of them.
	for _, e := range links {
		if err := rs.putLink(ctx, it.path, e); err != nil {
			return err
		}
	}
	return nil
}

// putLink places a link, which must stay inside its own folder.
func (rs *restorer) putLink(ctx context.Context, folder string, e cas.Entry) error {
	target, err := cas.ReadAll(ctx, rs.Store, e.Digest, e.Size)
	if err != nil {
		return err
	}
	if err := cas.CheckLink(e.Path, string(target)); err != nil {
		return err
	}
	return rs.place.Link(path.Join(folder, e.Path), string(target))
}

func (rs *restorer) putEntry(ctx context.Context, folder string, e cas.Entry) error {
	file := path.Join(folder, e.Path)
	if d, ok := rs.Workspace.Known(file); ok && d == e.Digest {
		return nil
	}
	info, err := rs.place.File(ctx, rs.Store, file, e.Digest, e.Size, e.Kind == cas.Executable)
	if err != nil {
		return err
	}
	rs.Workspace.Note(file, info, e.Digest)
	return nil
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
