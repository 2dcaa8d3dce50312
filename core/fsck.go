package core

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/workspace"
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
	// Dial reaches the remotes that are trusted, for what is lost here; nil asks none.
	Dial *Dial
}

// Fsck is what a check of the store found and did.
type Fsck struct {
	*cas.Checked
	// Repaired were lost and are there again, Lost are not.
	Repaired, Lost []LostObject
	// RemoteErrs say why a remote could not be asked for what is lost.
	RemoteErrs []error
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
	if len(result.Lost) > 0 && o.Dial != nil {
		err = r.repairFromRemotes(ctx, n, result, o.Dial)
	}
	return result, err
}

// repairFromRemotes fetches what is still lost: whole artifacts, for a remote knows
// the files of a folder by the folder only.
func (r *Repository) repairFromRemotes(ctx context.Context, n *namer, result *Fsck, d *Dial) error {
	needs, err := n.needs(ctx)
	if err == nil {
		needs, err = r.lacking(ctx, needs)
	}
	if err != nil {
		return err
	}
	list, _, err := r.route(needs, "", r.tablesAt)
	if err != nil {
		result.RemoteErrs = append(result.RemoteErrs, err)
		return nil
	}
	for _, s := range list {
		if _, err := r.fetch(ctx, s, TransferOptions{Dial: d}); err != nil {
			if ctx.Err() != nil || cas.IsDiskFull(err) || cas.IsReadOnly(err) {
				return err
			}
			result.RemoteErrs = append(result.RemoteErrs, err)
		}
		var lost []LostObject
		for _, l := range result.Lost {
			if _, err := r.objects.Stat(ctx, l.Digest); err != nil {
				lost = append(lost, l)
				continue
			}
			l.From = "remote " + s.remote.Name
			result.Repaired = append(result.Repaired, l)
		}
		result.Lost = lost
	}
	return nil
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
