package core

import (
	"context"
	"errors"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// FsckOptions says how closely Fsck looks.
type FsckOptions struct {
	// Full, Sample and Seed are those of cas.CheckOptions.
	Full   bool
	Sample float64
	Seed   uint64
	// Sources are stores from which lost objects may be had, asked in this order
	// after the working trees and the store of the repository that this one was
	// cloned from.
	Sources  []cas.Store
	Progress workspace.Progress
}

// Fsck is what a check of the store found and did.
type Fsck struct {
	*cas.Checked
	// Repaired were lost and are there again, Lost are not.
	Repaired, Lost []LostObject
}

// LostObject is an object that a lock names and that is not in the store, or not whole.
type LostObject struct {
	Digest cas.Digest
	// Names say what it is, the newest first.
	Names []ObjectName
	// Commits is how many commits brought a lock that names it.
	Commits int
	// From says where a repaired one was found: a path in a working tree, or "another store".
	From string
}

// ObjectName is what a lock calls an object.
type ObjectName struct {
	// Kind is artifact, input, history or packages, or saved for a content that was
	// replaced in the working tree.
	Kind string
	// Name is the artifact or metric, Path the file as seen from the top of the
	// worktree; of a file in a folder both name the file.
	Name, Path string
	// Lock is the path of the lock. Commit is the newest that has it so, with an
	// empty ID where none has: it is staged, or lies in a working tree.
	Lock   string
	Commit git.Commit
}

// Fsck checks the store, and the objects that the locks of this clone name. What
// is lost it puts back if it finds the content elsewhere.
func (r *Repository) Fsck(ctx context.Context, o FsckOptions) (*Fsck, error) {
	// From here on, for an object that a lock names now may be of no use, and gone, by
	// the time it is looked for.
	release, err := r.useStore(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	n, err := r.namer(ctx)
	if err != nil {
		return nil, err
	}
	opts := cas.CheckOptions{Full: o.Full, Sample: o.Sample, Seed: o.Seed, Objects: n.expected}
	if o.Progress != nil {
		opts.Progress = o.Progress.Add
	}
	result := &Fsck{}
	if result.Checked, err = r.objects.Check(ctx, opts); err != nil {
		return result, err
	}
	if len(result.Missing) == 0 {
		return result, nil
	}
	lost, err := n.describe(ctx, result.Missing)
	if err != nil {
		return result, err
	}
	for _, l := range lost {
		if l.From, err = r.repair(ctx, n, l, o.Sources); err != nil {
			return result, err
		}
		if l.From != "" {
			result.Repaired = append(result.Repaired, l)
		} else {
			result.Lost = append(result.Lost, l)
		}
	}
	return result, nil
}

// namer knows what the locks of this clone name.
type namer struct {
	*Repository
	whole *git.Whole
	locks []namedLock
	trees []*git.Repo
	saved []SavedContent
}

// namedLock is a version of a lock.
type namedLock struct {
	git.FileVersion
	lock *lockfile.Lock
	// tree is the worktree where it lies on disk; nil for one that Git has.
	tree *git.Repo
}

// namer reads all locks. One that can't be read names nothing that could be missed.
func (r *Repository) namer(ctx context.Context) (*namer, error) {
	n := &namer{Repository: r, whole: r.Git.Whole()}
	var err error
	if n.saved, err = r.readSaved(); err != nil {
		return nil, err
	}
	if n.trees, err = n.whole.Worktrees(ctx); err != nil {
		return nil, err
	}
	var parser lockfile.Parser
	for _, tree := range n.trees {
		files, err := tree.OnDisk(ctx, lockfile.Name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			data, err := readBounded(tree.Path(file), lockfile.MaxSize)
			if err != nil {
				continue
			}
			if lock, err := parser.Parse(data); err == nil {
				n.locks = append(n.locks, namedLock{FileVersion: git.FileVersion{Path: file}, lock: lock, tree: tree})
			}
		}
	}
	versions, err := n.whole.Versions(ctx, lockfile.Name)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(versions))
	for i, v := range versions {
		ids[i] = v.Blob
	}
	err = n.whole.ReadBlobs(ctx, ids, func(i int, data []byte) error {
		if lock, err := parser.Parse(data); err == nil {
			n.locks = append(n.locks, namedLock{FileVersion: versions[i], lock: lock})
		}
		return nil
	})
	slices.SortStableFunc(n.locks, func(a, b namedLock) int { return b.Newest.Time.Compare(a.Newest.Time) })
	return n, err
}

// use is one name of an object.
type use struct {
	ObjectName
	digest cas.Digest
	lock   *namedLock
	// input says that the bytes may be Git's and not in the store at all.
	input bool
}

// each calls do for everything that the locks name, the files of folders too, as
// far as their trees are there; a tree once, for the first lock that names it,
// unless all is set.
func (n *namer) each(ctx context.Context, all bool, do func(u use) error) error {
	known := map[cas.Digest]cas.Tree{}
	done := map[cas.Digest]bool{}
	visit := func(u use, folder bool) error {
		if err := do(u); err != nil || !folder || done[u.digest] && !all {
			return err
		}
		done[u.digest] = true
		tree, ok := known[u.digest]
		if !ok {
			var err error
			tree, err = n.tree(ctx, u.digest)
			if err != nil && ctx.Err() != nil {
				return ctx.Err()
			}
			if all {
				known[u.digest] = tree
			}
		}
		for _, e := range tree {
			entry := u
			entry.digest, entry.Path, entry.Name = e.Digest, path.Join(u.Path, e.Path), path.Join(u.Name, e.Path)
			if err := do(entry); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range n.locks {
		l := &n.locks[i]
		dir := path.Dir(l.Path)
		base := use{lock: l, ObjectName: ObjectName{Lock: l.Path, Commit: l.Newest}}
		for _, a := range artifactsOf(l.lock) {
			u := base
			u.Kind, u.Name, u.Path, u.digest = "artifact", a.Name, path.Join(dir, a.Path), a.Hash
			if err := visit(u, a.Folder); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(l.lock.Stages)) {
			if err := n.eachOfStage(base, name, l.lock.Stages[name], visit); err != nil {
				return err
			}
		}
	}
	for _, s := range n.saved {
		u := use{lock: &namedLock{}, digest: s.Hash, ObjectName: ObjectName{Kind: "saved", Name: s.Path, Path: s.Path}}
		folder, err := n.isTree(ctx, s.Hash)
		if err == nil || ctx.Err() == nil {
			err = visit(u, folder)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *namer) eachOfStage(base use, name string, stage *lockfile.Stage, visit func(u use, folder bool) error) error {
	dir := path.Dir(base.Lock)
	for _, key := range slices.Sorted(maps.Keys(stage.History)) {
		u := base
		u.Kind, u.Name, u.digest = "history", name+"."+key, stage.History[key]
		if err := visit(u, false); err != nil {
			return err
		}
	}
	for _, file := range slices.Sorted(maps.Keys(stage.Inputs)) {
		u := base
		u.Kind, u.Name, u.Path, u.digest, u.input = "input", file, path.Join(dir, file), stage.Inputs[file].Hash, true
		if err := visit(u, stage.Inputs[file].Folder); err != nil {
			return err
		}
	}
	if env := stage.Environment; env != nil && !env.Packages.IsZero() {
		u := base
		u.Kind, u.Name, u.digest = "packages", name, env.Packages
		return visit(u, false)
	}
	return nil
}

// expected calls each for what has to be in the store. An input that the store
// does not have may be one that Git tracks, so those are looked at one by one.
func (n *namer) expected(ctx context.Context, each func(cas.Digest) error) error {
	var inputs []use
	asked := map[cas.Digest]bool{}
	err := n.each(ctx, false, func(u use) error {
		if !u.input {
			return each(u.digest)
		}
		if asked[u.digest] {
			return nil
		}
		asked[u.digest] = true
		var missing *cas.MissingError
		if _, err := n.Repository.objects.Stat(ctx, u.digest); errors.As(err, &missing) {
			inputs = append(inputs, u)
			return nil
		}
		return each(u.digest)
	})
	if err != nil {
		return err
	}
	kept, err := n.withoutTracked(ctx, inputs)
	for _, u := range kept {
		if err == nil {
			err = each(u.digest)
		}
	}
	return err
}

// withoutTracked leaves out inputs that Git tracks where their lock says so.
func (n *namer) withoutTracked(ctx context.Context, inputs []use) ([]use, error) {
	var kept, asked []use
	var names []string
	for _, u := range inputs {
		switch {
		case u.lock.tree != nil:
			tracked, err := u.lock.tree.Tracked(ctx, []string{u.Path})
			if err != nil {
				return nil, err
			}
			if !tracked[u.Path] {
				kept = append(kept, u)
			}
		case u.lock.Newest.ID != "":
			asked = append(asked, u)
			names = append(names, u.lock.Newest.ID+":"+u.Path)
		default:
			asked = append(asked, u)
			names = append(names, ":"+u.Path)
		}
	}
	there, err := n.whole.Exist(ctx, names)
	for i, u := range asked {
		if err == nil && !there[i] {
			kept = append(kept, u)
		}
	}
	return kept, err
}

// mostNames bounds how many names of a lost object are told.
const mostNames = 5

// describe says what lost objects are, in the order of their names.
func (n *namer) describe(ctx context.Context, lost []cas.Digest) ([]LostObject, error) {
	byDigest := map[cas.Digest]*LostObject{}
	for _, d := range lost {
		byDigest[d] = &LostObject{Digest: d}
	}
	counted := map[cas.Digest]map[*namedLock]bool{}
	err := n.each(ctx, true, func(u use) error {
		l := byDigest[u.digest]
		if l == nil {
			return nil
		}
		if counted[u.digest] == nil {
			counted[u.digest] = map[*namedLock]bool{}
		}
		if !counted[u.digest][u.lock] {
			counted[u.digest][u.lock] = true
			l.Commits += u.lock.Commits
		}
		same := slices.ContainsFunc(l.Names, func(o ObjectName) bool {
			return o.Kind == u.Kind && o.Path == u.Path && o.Name == u.Name && o.Lock == u.Lock
		})
		if !same && len(l.Names) < mostNames {
			l.Names = append(l.Names, u.ObjectName)
		}
		return nil
	})
	list := make([]LostObject, 0, len(lost))
	for _, d := range lost {
		list = append(list, *byDigest[d])
	}
	return list, err
}

// repair brings a lost object back from where its content still is, and says
// where that was; "" where it is nowhere.
func (r *Repository) repair(ctx context.Context, n *namer, l LostObject, sources []cas.Store) (from string, err error) {
	for _, tree := range n.trees {
		for _, name := range l.Names {
			if name.Path == "" {
				continue
			}
			found, err := r.repairFrom(ctx, tree, name.Path, l.Digest)
			if err != nil {
				return "", err
			}
			if found {
				return tree.Path(name.Path), nil
			}
		}
	}
	for _, source := range append([]cas.Store{r.Store}, sources...) {
		c, err := source.Open(ctx, l.Digest)
		if err == nil {
			_, _, err = r.objects.Put(ctx, c)
			c.Close()
		}
		if cas.IsDiskFull(err) || cas.IsReadOnly(err) || ctx.Err() != nil {
			return "", err
		}
		if err == nil {
			return "another store", nil
		}
	}
	return "", nil
}

// repairFrom keeps what lies in a working tree again if it is what is lost.
func (r *Repository) repairFrom(ctx context.Context, tree *git.Repo, file string, want cas.Digest) (bool, error) {
	ws := r.Workspace
	if tree.Worktree != r.Git.Worktree {
		ws = workspace.Open(tree.Root, filepath.Join(filepath.Dir(r.Local.StatCache()), tree.Worktree))
	}
	o, err := ws.Scan(ctx, file)
	if err != nil || o.Digest != want {
		return false, ctx.Err()
	}
	o, err = ws.Keep(ctx, r.objects, file)
	switch {
	case cas.IsDiskFull(err), cas.IsReadOnly(err):
		return false, err
	case err != nil, o.Digest != want:
		return false, ctx.Err()
	}
	_, err = r.objects.Stat(ctx, want)
	var missing *cas.MissingError
	if errors.As(err, &missing) {
		return false, nil
	}
	return err == nil, err
}
