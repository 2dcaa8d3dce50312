package core

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/kept-dev/kept/lockfile"
)

// tracked is the answer of Git to which locks the index names. Asking costs a
// process, so the answer is remembered for as long as the index is the same.
type tracked struct {
	Index string   `json:"index"`
	Locks []string `json:"locks"`
}

// trackedLocks returns the locks that the index names.
func (r *Repository) trackedLocks(ctx context.Context) ([]string, error) {
	index, err := r.Git.IndexID()
	if err != nil {
		return nil, err
	}
	var known tracked
	data, err := os.ReadFile(r.Local.Tracked())
	if err == nil && json.Unmarshal(data, &known) == nil && known.Index == index {
		return known.Locks, nil
	}
	locks, err := r.Git.Files(ctx, lockfile.Name)
	if err != nil {
		return nil, err
	}
	if after, err := r.Git.IndexID(); err == nil && after == index {
		r.rememberTracked(tracked{Index: index, Locks: locks})
	}
	return locks, nil
}

// rememberTracked takes no lock and waits for no disk: every hook of a Git
// command may call it, and what is lost or torn only means that Git is asked again.
func (r *Repository) rememberTracked(t tracked) {
	data, err := json.Marshal(t)
	if err != nil || os.MkdirAll(filepath.Dir(r.Local.Tracked()), 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(r.Local.Tracked()), ".tracked-*")
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if closed := f.Close(); err == nil && closed == nil {
		err = os.Rename(f.Name(), r.Local.Tracked())
	}
	if err != nil {
		os.Remove(f.Name())
	}
}
