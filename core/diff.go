package core

import (
	"context"
	"fmt"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/environment"
	"github.com/kept-dev/kept/lockfile"
)

// Side is one of the two locks that Diff compares.
type Side struct {
	// Rev is what the user wrote, or "working tree".
	Rev string
	// Commit is the id of the commit, "" for the working tree and for nothing.
	Commit string
	Lock   *lockfile.Lock
}

// WorkingTree is the Rev of a Side that is the lock on disk.
const WorkingTree = "working tree"

// Comparison is what changed between two locks of one experiment.
type Comparison struct {
	Old, New Side
	Changes  []Change
}

// Change is one change with what the store knows of it.
type Change struct {
	lockfile.Change
	// From is the name or path that it had before, where the same content is now
	// under Name; empty where it was not renamed.
	From string
	// Files are the files that differ between two versions of a folder. It is
	// nil where neither the store nor Git has both manifests.
	Files []FileChange
	// Packages are the packages that differ, likewise.
	Packages []environment.PackageChange
}

// FileChange is a file inside a folder that differs. A nil side has no such file.
type FileChange struct {
	Path string
	// From is the path that the file had before, where it was renamed.
	From     string
	Old, New *cas.Entry
}

// Diff compares the locks of two revisions. An empty from is nothing at all, an
// empty to the working tree.
func (p *Project) Diff(ctx context.Context, from, to string) (*Comparison, error) {
	c := &Comparison{Old: Side{Rev: "nothing", Lock: lockfile.New()}}
	revs := []string{from, to}
	if from == "" {
		revs = revs[1:]
	}
	sides, err := p.sides(ctx, revs...)
	if err != nil {
		return nil, err
	}
	c.New = sides[len(sides)-1]
	if from != "" {
		c.Old = sides[0]
	}
	p.fill(ctx, c)
	return c, nil
}

// sides is Side for many revisions, with at most one process of Git.
func (p *Project) sides(ctx context.Context, revs ...string) ([]Side, error) {
	committed := slices.DeleteFunc(slices.Clone(revs), func(rev string) bool { return rev == "" })
	contents, err := p.Git.ReadVersions(ctx, p.LockPath(), committed...)
	if err != nil {
		return nil, err
	}
	sides := make([]Side, len(revs))
	for i, rev := range revs {
		if rev == "" {
			sides[i].Rev = WorkingTree
			sides[i].Lock, err = p.Lock()
		} else {
			sides[i].Rev, sides[i].Commit = rev, contents[0].Commit
			sides[i].Lock, err = p.parseLock(rev, contents[0])
			contents = contents[1:]
		}
		if err != nil {
			return nil, err
		}
	}
	return sides, nil
}

// fill finds the changes between the sides of a comparison.
func (p *Project) fill(ctx context.Context, c *Comparison) {
	for _, change := range lockfile.Diff(c.Old.Lock, c.New.Lock) {
		c.Changes = append(c.Changes, p.explain(ctx, c, change))
	}
	c.Changes = pairRenames(c.Changes)
}

// Side returns the lock of a revision; an empty rev is the working tree.
func (p *Project) Side(ctx context.Context, rev string) (Side, error) {
	sides, err := p.sides(ctx, rev)
	if err != nil {
		return Side{}, err
	}
	return sides[0], nil
}

// explain looks into the objects that changed, as far as the store has them.
func (p *Project) explain(ctx context.Context, comparison *Comparison, change lockfile.Change) Change {
	c := Change{Change: change}
	old, wasFolder := contentHash(change.Old)
	new, isFolder := contentHash(change.New)
	switch change.Kind {
	case lockfile.KindArtifact, lockfile.KindInput:
		if wasFolder && isFolder && old != new {
			a, errOld := p.tree(ctx, old)
			b, errNew := p.tree(ctx, new)
			if errOld == nil && errNew == nil {
				c.Files = compareTrees(a, b)
			}
		}
	case lockfile.KindCode:
		if wasFolder && isFolder {
			a, b := p.codeTree(ctx, comparison.Old, change.Name, old), p.codeTree(ctx, comparison.New, change.Name, new)
			if a != nil && b != nil {
				c.Files = compareTrees(a, b)
			}
		}
	case lockfile.KindEnvironment:
		if change.Name == "packages" {
			c.Packages, _ = p.comparePackages(ctx, change.Old, change.New)
		}
	}
	return c
}

// contentHash returns the hash of an artifact, an input or code, and whether it is a folder.
func contentHash(side any) (hash cas.Digest, folder bool) {
	switch v := side.(type) {
	case *lockfile.Artifact:
		return v.Hash, v.Folder
	case *lockfile.Input:
		return v.Hash, v.Folder
	}
	return cas.Digest{}, false
}

// compareTrees returns the entries that differ, sorted by path.
func compareTrees(a, b cas.Tree) []FileChange {
	var changes []FileChange
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Path < b[0].Path:
			changes = append(changes, FileChange{Path: a[0].Path, Old: &a[0]})
			a = a[1:]
		case len(a) == 0 || b[0].Path < a[0].Path:
			changes = append(changes, FileChange{Path: b[0].Path, New: &b[0]})
			b = b[1:]
		default:
			if a[0] != b[0] {
				changes = append(changes, FileChange{Path: a[0].Path, Old: &a[0], New: &b[0]})
			}
			a, b = a[1:], b[1:]
		}
	}
	return pairMoved(changes)
}

func (p *Project) comparePackages(ctx context.Context, old, new any) ([]environment.PackageChange, error) {
	var lists [2][]environment.Package
	for i, side := range []any{old, new} {
		d, ok := side.(cas.Digest)
		if !ok || d.IsZero() {
			return nil, fmt.Errorf("no package list")
		}
		var err error
		if lists[i], err = p.Packages(ctx, d); err != nil {
			return nil, err
		}
	}
	return environment.Diff(lists[0], lists[1]), nil
}
