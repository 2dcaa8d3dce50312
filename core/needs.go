package core

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
)

// need is an object that a lock names, with all that belongs to it.
type need struct {
	use
	folder bool
}

func (n need) wanted() cas.Wanted { return cas.Wanted{Digest: n.digest, Folder: n.folder} }

func wantedOf(needs []need) []cas.Wanted {
	list := make([]cas.Wanted, len(needs))
	for i, n := range needs {
		list[i] = n.wanted()
	}
	return list
}

// needs returns what the locks name, the newest first, once for each folder of a
// lock. An input that the store does not have may be one that Git tracks; those
// are left out.
func (n *namer) needs(ctx context.Context) ([]need, error) {
	type place struct {
		digest cas.Digest
		dir    string
	}
	var list []need
	at := map[place]int{}
	err := n.eachNamed(func(u use, folder bool) error {
		p := place{u.digest, path.Dir(u.Lock)}
		if i, known := at[p]; known {
			list[i].folder = list[i].folder || folder
			list[i].input = list[i].input && u.input
			return ctx.Err()
		}
		at[p] = len(list)
		list = append(list, need{use: u, folder: folder})
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return n.keptOnly(ctx, list)
}

// keptOnly leaves out the inputs whose bytes are Git's.
func (n *namer) keptOnly(ctx context.Context, list []need) ([]need, error) {
	var inputs []use
	doubtful := map[int]bool{}
	for i, need := range list {
		if !need.input {
			continue
		}
		var missing *cas.MissingError
		if _, err := n.objects.Stat(ctx, need.digest); errors.As(err, &missing) {
			inputs = append(inputs, need.use)
			doubtful[i] = true
		}
	}
	if len(inputs) == 0 {
		return list, nil
	}
	kept, err := n.withoutTracked(ctx, inputs)
	if err != nil {
		return nil, err
	}
	var rest []need
	for i, need := range list {
		if !doubtful[i] || slices.ContainsFunc(kept, func(u use) bool { return u.digest == need.digest && u.Lock == need.Lock }) {
			rest = append(rest, need)
		}
	}
	return rest, nil
}

// needsOf returns what locks of this experiment name: the one in the working tree
// and, with head, that of HEAD, which is what the next push of Git sends.
func (p *Project) needsOf(ctx context.Context, head bool) ([]need, error) {
	lock, err := p.Lock()
	if err != nil {
		return nil, err
	}
	n := &namer{Repository: p.Repository, whole: p.Git.Whole()}
	n.locks = append(n.locks, namedLock{FileVersion: git.FileVersion{Path: p.LockPath()}, lock: lock, tree: p.Git})
	if head {
		id, err := p.Git.Head(ctx)
		if err != nil {
			return nil, err
		}
		if id != "" {
			committed, err := p.LockAt(ctx, id)
			if err == nil {
				version := git.FileVersion{Path: p.LockPath(), Newest: git.Commit{ID: id}}
				n.locks = append(n.locks, namedLock{FileVersion: version, lock: committed})
			}
		}
	}
	return n.needs(ctx)
}

// chooseNeeds returns those that paths name: an artifact's name, its path, a
// folder above it, or an input's. Paths are relative to the experiment.
func (p *Project) chooseNeeds(all []need, paths []string) ([]need, error) {
	if len(paths) == 0 {
		return all, nil
	}
	var chosen []need
	for _, want := range paths {
		full := p.join(want)
		if full == "." {
			full = ""
		}
		before := len(chosen)
		for _, n := range all {
			if full != "" && (n.Path == "" || n.Name != want && n.Path != full && !strings.HasPrefix(n.Path, full+"/")) {
				continue
			}
			if !slices.ContainsFunc(chosen, func(c need) bool { return c.digest == n.digest }) {
				chosen = append(chosen, n)
			}
		}
		if len(chosen) == before {
			return nil, &NotInLockError{Path: want}
		}
	}
	return chosen, nil
}

// has reports whether the store has an object with all that belongs to it; what
// the repository that this one was cloned from has is brought along.
func (r *Repository) has(ctx context.Context, w cas.Wanted) (bool, error) {
	_, err := r.Store.Stat(ctx, w.Digest)
	if err == nil && w.Folder {
		var tree cas.Tree
		if tree, err = r.tree(ctx, w.Digest); err == nil {
			for _, e := range tree {
				if _, err = r.Store.Stat(ctx, e.Digest); err != nil {
					break
				}
			}
		}
	}
	var missing *cas.MissingError
	var corrupt *cas.CorruptError
	if errors.As(err, &missing) || errors.As(err, &corrupt) {
		return false, nil
	}
	return err == nil, err
}

// lacking returns those that the store does not have whole.
func (r *Repository) lacking(ctx context.Context, needs []need) ([]need, error) {
	var list []need
	for _, n := range needs {
		has, err := r.has(ctx, n.wanted())
		if err != nil {
			return nil, err
		}
		if !has {
			list = append(list, n)
		}
	}
	return list, nil
}

// shipment is what goes to, or comes from, one remote.
type shipment struct {
	remote *Remote
	needs  []need
}

// route sorts what is needed by the remote of the experiment that needs it, each
// object once. Without is the folders of experiments that have no remote.
func (r *Repository) route(needs []need, name string, tables func(dir string) ([]remoteTables, error)) (list []shipment, without []string, err error) {
	byDir := map[string]int{}
	byID := map[string]int{}
	sent := map[int]map[cas.Digest]bool{}
	for _, n := range needs {
		dir := parent(n.Lock)
		i, known := byDir[dir]
		if !known {
			m, err := r.remoteFor(dir, name, tables)
			if err != nil {
				return nil, nil, err
			}
			switch {
			case m == nil:
				i = -1
				without = append(without, dir)
			default:
				if i, known = byID[m.id()]; !known {
					i = len(list)
					byID[m.id()] = i
					sent[i] = map[cas.Digest]bool{}
					list = append(list, shipment{remote: m})
				}
			}
			byDir[dir] = i
		}
		if i < 0 || sent[i][n.digest] {
			continue
		}
		sent[i][n.digest] = true
		list[i].needs = append(list[i].needs, n)
	}
	return list, without, nil
}

// remoteFor returns the remote of the lock in a folder, nil where there is none
// and none was asked for by name.
func (r *Repository) remoteFor(dir, name string, tables func(dir string) ([]remoteTables, error)) (*Remote, error) {
	found, err := tables(dir)
	if err != nil {
		return nil, err
	}
	list, err := r.remotesOf(found)
	if err != nil {
		return nil, err
	}
	m, err := ChooseRemote(list, name)
	var none *NoRemoteError
	if errors.As(err, &none) && len(list) == 0 {
		return nil, nil
	}
	return m, err
}
