package core

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"sync"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// HistoryOptions says which versions History reads.
type HistoryOptions struct {
	// Revision, Since and FirstParent are those of git.LogOptions.
	Revision, Since string
	FirstParent     bool
	// WorkingTree puts the lock on disk first where it is not the one that was
	// committed last. Revision has to be empty.
	WorkingTree bool
}

// History is the lock of an experiment over time.
type History struct {
	// Versions come before what they were made of, the newest first.
	Versions []*Version
	// Shallow says that the clone ends before the history does.
	Shallow bool
}

// Version is the lock as a commit left it.
type Version struct {
	// Commit is the commit that changed the lock. It has no ID where the version is
	// the working tree's, and nothing but its ID where it is Beyond.
	Commit git.Commit
	// Parents are the versions that this one replaced: none for the first, several
	// for a merge.
	Parents []*Version
	// Beyond marks a version outside of the range that was asked for. It is a parent
	// of one inside and in no list, and its own parents are not known.
	Beyond bool
	// Lock is empty where the commit has no lock, and nil where Err says why it
	// can't be read: nobody resolved a conflict, a merge spliced it, a newer kept
	// wrote it.
	Lock *lockfile.Lock
	Err  error
}

// Uncommitted reports whether the version is the working tree's.
func (v *Version) Uncommitted() bool { return v.Commit.ID == "" }

// errNotFile reports something else than a file where a lock belongs.
var errNotFile = errors.New("it is not a file")

// History reads all versions of the lock that history has. One that can't be
// read is in the result with its error. A folder that was renamed begins a
// history of its own.
func (p *Project) History(ctx context.Context, o HistoryOptions) (*History, error) {
	commits, err := p.Git.Log(ctx, p.LockPath(), git.LogOptions{Revision: o.Revision, Since: o.Since, FirstParent: o.FirstParent})
	if err != nil {
		return nil, err
	}
	h := &History{Shallow: len(commits) == 0 && p.Git.Shallow()}
	versions, beyond := connect(commits)
	for _, v := range versions {
		h.Shallow = h.Shallow || v.Commit.Boundary
	}
	if err := p.readVersions(ctx, versions, beyond); err != nil {
		return nil, err
	}
	if o.WorkingTree && o.Revision == "" {
		if v := p.uncommitted(versions); v != nil {
			versions = slices.Insert(versions, 0, v)
		}
	}
	h.Versions = versions
	return h, nil
}

// connect makes versions of commits. Parents that are not among these are
// returned as well.
func connect(commits []git.Commit) (versions, beyond []*Version) {
	byID := make(map[string]*Version, len(commits))
	for _, c := range commits {
		v := &Version{Commit: c}
		versions = append(versions, v)
		byID[c.ID] = v
	}
	for _, v := range versions {
		for _, id := range v.Commit.Parents {
			parent := byID[id]
			if parent == nil {
				parent = &Version{Commit: git.Commit{ID: id}, Beyond: true}
				byID[id] = parent
				beyond = append(beyond, parent)
			}
			if !slices.Contains(v.Parents, parent) {
				v.Parents = append(v.Parents, parent)
			}
		}
	}
	return versions, beyond
}

// uncommitted returns the lock on disk as a version, or nil where it is the
// newest one of versions.
func (p *Project) uncommitted(versions []*Version) *Version {
	v := &Version{Commit: git.Commit{Subject: "not committed yet"}}
	if len(versions) > 0 {
		v.Parents = versions[:1:1]
	}
	data, err := p.readOwn(p.LockPath(), lockfile.MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if p.leftOut(p.LockPath()) != nil {
			return nil // A sparse checkout without the lock does not remove it.
		}
		v.Lock = lockfile.New()
	case err != nil:
		v.Err = reason(err)
	default:
		v.Lock, v.Err = lockfile.Parse(data)
	}
	switch {
	case v.Err != nil:
		return v
	case len(v.Parents) == 0:
		if len(v.Lock.Stages)+len(v.Lock.Artifacts) == 0 {
			return nil
		}
	case v.Parents[0].Lock != nil && bytes.Equal(v.Parents[0].Lock.Marshal(), v.Lock.Marshal()):
		return nil
	}
	return v
}

// readVersions fills in the locks. Parsing takes longer than what Git does, so
// it goes on beside it, and equal blobs are parsed once.
func (p *Project) readVersions(ctx context.Context, versions, beyond []*Version) error {
	byBlob := map[string][]*Version{}
	var blobs []string
	for _, v := range versions {
		switch {
		case v.Commit.Odd:
			v.Err = errNotFile
		case v.Commit.New == "":
			v.Lock = lockfile.New()
		default:
			if byBlob[v.Commit.New] == nil {
				blobs = append(blobs, v.Commit.New)
			}
			byBlob[v.Commit.New] = append(byBlob[v.Commit.New], v)
		}
	}
	var locks lockfile.Parser
	type blob struct {
		id   string
		data []byte
		err  error
	}
	read := make(chan blob, 64)
	var parsing sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		parsing.Go(func() {
			for b := range read {
				var lock *lockfile.Lock
				if b.err == nil {
					lock, b.err = locks.Parse(b.data)
				}
				for _, v := range byBlob[b.id] {
					v.Lock, v.Err = lock, b.err
				}
			}
		})
	}
	err := p.Git.ReadBlobs(ctx, blobs, func(i int, data []byte, err error) { read <- blob{blobs[i], data, err} })
	close(read)
	parsing.Wait()
	if err != nil {
		return err
	}
	return p.readBeyond(ctx, beyond)
}

// readBeyond reads the locks of commits that the log does not have.
func (p *Project) readBeyond(ctx context.Context, beyond []*Version) error {
	files := make([]git.File, len(beyond))
	for i, v := range beyond {
		files[i] = git.File{Revision: v.Commit.ID, Path: p.LockPath()}
	}
	contents, err := p.Git.ReadFiles(ctx, files)
	if err != nil {
		return err
	}
	for i, v := range beyond {
		switch err := contents[i].Err; {
		case errors.Is(err, fs.ErrNotExist):
			v.Lock = lockfile.New()
		case err != nil:
			v.Err = err
		default:
			v.Lock, v.Err = lockfile.Parse(contents[i].Data)
		}
	}
	return nil
}

// Before returns the nearest versions before v whose locks can be read: its
// parents, or what is behind those that can't be.
func (v *Version) Before() []*Version {
	if !slices.ContainsFunc(v.Parents, func(p *Version) bool { return p.Lock == nil }) {
		return v.Parents
	}
	var found []*Version
	seen := map[*Version]bool{}
	queue := slices.Clone(v.Parents)
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		if p.Lock != nil {
			found = append(found, p)
			continue
		}
		queue = append(queue, p.Parents...)
	}
	return found
}

// Changed returns what v changed in the lock, against the first version before
// it: nothing where v has the content of any version before it, as a merge that
// takes one side, and nothing where v can't be read.
func (v *Version) Changed() []lockfile.Change {
	if v.Lock == nil {
		return nil
	}
	before := v.Before()
	if len(before) == 0 {
		return lockfile.Diff(nil, v.Lock)
	}
	var first []lockfile.Change
	for i, old := range before {
		if old.Lock == v.Lock {
			return nil
		}
		changes := lockfile.Diff(old.Lock, v.Lock)
		if len(changes) == 0 {
			return nil
		}
		if i == 0 {
			first = changes
		}
	}
	return first
}
