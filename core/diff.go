package core

import (
	"context"
	"fmt"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/environment"
	"github.com/kept-dev/kept/lockfile"
)

// Side is one of the two locks that Diff compares.
type Side struct {
	// Rev is what the user wrote, or "working tree".
	Rev  string
	Lock *lockfile.Lock
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
	// Files are the files that differ between two versions of a folder. It is
	// nil where the store does not have both manifests.
	Files []FileChange
	// Packages are the packages that differ, likewise.
	Packages []environment.PackageChange
}

// FileChange is a file inside a folder that differs. A nil side has no such file.
type FileChange struct {
	Path     string
	Old, New *cas.Entry
}

// Diff compares the locks of two revisions. An empty from is nothing at all, an
// empty to the working tree.
func (p *Project) Diff(ctx context.Context, from, to string) (*Comparison, error) {
	c := &Comparison{Old: Side{Rev: from}, New: Side{Rev: to}}
	var err error
	if from == "" {
		c.Old = Side{Rev: "nothing", Lock: lockfile.New()}
	} else if c.Old.Lock, err = p.LockAt(ctx, from); err != nil {
		return nil, err
	}
	if to == "" {
		c.New.Rev = WorkingTree
		c.New.Lock, err = p.Lock()
	} else {
		c.New.Lock, err = p.LockAt(ctx, to)
	}
	if err != nil {
		return nil, err
	}
	for _, change := range lockfile.Diff(c.Old.Lock, c.New.Lock) {
		c.Changes = append(c.Changes, p.explain(ctx, change))
	}
	return c, nil
}

// explain looks into the objects that changed, as far as the store has them.
func (p *Project) explain(ctx context.Context, change lockfile.Change) Change {
	c := Change{Change: change}
	switch change.Kind {
	case lockfile.KindArtifact, lockfile.KindInput, lockfile.KindCode:
		old, isOld := folderHash(change.Old)
		new, isNew := folderHash(change.New)
		if isOld && isNew {
			c.Files, _ = p.compareTrees(ctx, old, new)
		}
	case lockfile.KindEnvironment:
		if change.Name == "packages" {
			c.Packages, _ = p.comparePackages(ctx, change.Old, change.New)
		}
	}
	return c
}

func folderHash(side any) (cas.Digest, bool) {
	switch v := side.(type) {
	case *lockfile.Artifact:
		return v.Hash, v.Folder
	case *lockfile.Input:
		return v.Hash, v.Folder
	}
	return cas.Digest{}, false
}

func (p *Project) compareTrees(ctx context.Context, old, new cas.Digest) ([]FileChange, error) {
	a, err := p.tree(ctx, old)
	if err != nil {
		return nil, err
	}
	b, err := p.tree(ctx, new)
	if err != nil {
		return nil, err
	}
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
	return changes, nil
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
