package core

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

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
	if err := n.eachNamed(visit); err != nil {
		return err
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

// eachNamed calls visit for everything that the locks themselves name.
func (n *namer) eachNamed(visit func(u use, folder bool) error) error {
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
