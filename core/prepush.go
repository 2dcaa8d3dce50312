package core

import (
	"context"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// PushOutgoing makes remotes have what the locks name in the commits that a push
// of Git is about to send, each the remote that kept.toml names there. Where none is
// configured, or no lock goes along, it does nothing and returns nil.
func (r *Repository) PushOutgoing(ctx context.Context, gitRemote string, updates []git.Update, o TransferOptions) (*Transfers, error) {
	versions, err := r.Git.Outgoing(ctx, gitRemote, updates, lockfile.Name)
	if err != nil || len(versions) == 0 {
		return nil, err
	}
	tables := r.tablesIn(ctx, updates)
	if configured, err := r.anyRemote(versions, tables); err != nil || !configured {
		return nil, err
	}
	n := &namer{Repository: r, whole: r.Git.Whole()}
	ids := make([]string, len(versions))
	for i, v := range versions {
		ids[i] = v.Blob
	}
	var parser lockfile.Parser
	err = r.Git.ReadBlobs(ctx, ids, func(i int, data []byte, err error) {
		if err != nil {
			return
		}
		// One that can't be read names nothing that anybody could restore.
		if lock, err := parser.Parse(data); err == nil {
			n.locks = append(n.locks, namedLock{FileVersion: versions[i], lock: lock})
		}
	})
	if err != nil {
		return nil, err
	}
	needs, err := n.needs(ctx)
	if err != nil {
		return nil, err
	}
	list, _, err := r.route(needs, o.Remote, tables)
	if err != nil {
		return nil, err
	}
	all := &Transfers{}
	for _, s := range list {
		t, err := r.push(ctx, s, o, func() []cas.Wanted { return r.basesOfAll(ctx, s.needs) })
		all.List = append(all.List, t)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// basesOfAll is basesOf for every lock that needs something.
func (r *Repository) basesOfAll(ctx context.Context, needs []need) []cas.Wanted {
	var bases []cas.Wanted
	var done []string
	for _, n := range needs {
		if !slices.Contains(done, n.Lock) && len(bases) < mostBases {
			done = append(done, n.Lock)
			bases = append(bases, r.basesOf(ctx, n.Lock, needs)...)
		}
	}
	return bases
}

// tablesIn returns a function that finds the tables of remotes for the lock in a
// folder in the commits that are sent: the one in the working tree may be another
// branch's.
func (r *Repository) tablesIn(ctx context.Context, updates []git.Update) func(dir string) ([]remoteTables, error) {
	return func(dir string) ([]remoteTables, error) {
		for _, u := range updates {
			if u.Deletes() {
				continue
			}
			tables, err := tablesAbove(dir, func(file string) ([]byte, error) { return r.Git.ReadFile(ctx, u.LocalID, file) })
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(tables, func(t remoteTables) bool { return len(t.tables) > 0 }) {
				return tables, nil
			}
		}
		return nil, nil
	}
}

// anyRemote reports whether one of the locks has a remote, before any of them is read.
func (r *Repository) anyRemote(versions []git.FileVersion, tables func(dir string) ([]remoteTables, error)) (bool, error) {
	var asked []string
	for _, v := range versions {
		dir := parent(v.Path)
		if slices.Contains(asked, dir) {
			continue
		}
		asked = append(asked, dir)
		m, err := r.remoteFor(dir, "", tables)
		if m != nil || err != nil {
			return err == nil, err
		}
	}
	return false, nil
}
