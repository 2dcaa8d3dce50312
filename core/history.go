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
	"github.com/kept-dev/kept/core/history"
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

// errNotFile reports something else than a file where a lock belongs.
var errNotFile = errors.New("it is not a file")

// History reads all versions of the lock that history has. One that can't be
// read is in the result with its error. A folder that was renamed begins a
// history of its own.
func (p *Project) History(ctx context.Context, o HistoryOptions) (*history.History, error) {
	commits, err := p.Git.Log(ctx, p.LockPath(), git.LogOptions{Revision: o.Revision, Since: o.Since, FirstParent: o.FirstParent})
	if err != nil {
		return nil, err
	}
	h := &history.History{Shallow: len(commits) == 0 && p.Git.Shallow()}
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
func connect(commits []git.Commit) (versions, beyond []*history.Version) {
	byID := make(map[string]*history.Version, len(commits))
	for _, c := range commits {
		v := &history.Version{Commit: commitOf(c), Blob: c.New}
		if c.Odd {
			v.Err = errNotFile
		}
		versions = append(versions, v)
		byID[c.ID] = v
	}
	for i, v := range versions {
		for _, id := range commits[i].Parents {
			parent := byID[id]
			if parent == nil {
				parent = &history.Version{Commit: history.Commit{ID: id}, Beyond: true}
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

func commitOf(c git.Commit) history.Commit {
	return history.Commit{ID: c.ID, Author: c.Author, Subject: c.Subject, Time: c.Time, Boundary: c.Boundary}
}

// uncommitted returns the lock on disk as a version, or nil where it is the
// newest one of versions.
func (p *Project) uncommitted(versions []*history.Version) *history.Version {
	v := &history.Version{Commit: history.Commit{Subject: "not committed yet"}}
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
func (p *Project) readVersions(ctx context.Context, versions, beyond []*history.Version) error {
	byBlob := map[string][]*history.Version{}
	var blobs []string
	for _, v := range versions {
		switch {
		case v.Err != nil:
		case v.Blob == "":
			v.Lock = lockfile.New()
		default:
			if byBlob[v.Blob] == nil {
				blobs = append(blobs, v.Blob)
			}
			byBlob[v.Blob] = append(byBlob[v.Blob], v)
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
func (p *Project) readBeyond(ctx context.Context, beyond []*history.Version) error {
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
