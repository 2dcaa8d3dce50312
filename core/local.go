package core

import (
	"path/filepath"

	"github.com/kept-dev/kept/core/git"
)

// Local names the places of a clone's own state, all below .git/kept of the
// common Git folder, so that linked worktrees share the store and the runs.
type Local struct {
	dir, worktree string
	// common is the Git folder, cache the store that is shared with other clones; "" is none.
	common, cache string
}

// The names of the local state in the Git folder, and of the store in it.
const (
	localName = "kept"
	storeName = "store"
)

// NewLocal returns the places for the worktree that repo stands in.
func NewLocal(repo *git.Repo) Local {
	return Local{dir: filepath.Join(repo.CommonDir, localName), worktree: repo.Worktree, common: repo.CommonDir}
}

// Dir returns the folder that holds all of it.
func (l Local) Dir() string { return l.dir }

// Store returns the folder of the object store: one that is shared with other
// clones where the settings name one.
func (l Local) Store() string {
	if l.cache != "" {
		return l.cache
	}
	return l.OwnStore()
}

// OwnStore returns the folder of the store that is this clone's alone.
func (l Local) OwnStore() string { return filepath.Join(l.dir, storeName) }

// Config returns the file with the settings of this clone.
func (l Local) Config() string { return filepath.Join(l.dir, "config.toml") }

// Runs returns the folder with one folder per run.
func (l Local) Runs() string { return filepath.Join(l.dir, "runs") }

// Temp returns the folder for files on their way into the working tree.
func (l Local) Temp() string { return filepath.Join(l.dir, "tmp") }

// StatCache returns the file with this worktree's stat cache.
func (l Local) StatCache() string { return filepath.Join(l.dir, "index", l.worktree) }

// State returns the file that says what was restored in this worktree.
func (l Local) State() string { return filepath.Join(l.dir, "state", l.worktree+".json") }

// Busy returns the file whose flock holds off a second writer of this worktree.
func (l Local) Busy() string { return filepath.Join(l.dir, "state", l.worktree+".lock") }

// Command returns the file whose flock the command of a run shares with its kept.
func (l Local) Command() string { return filepath.Join(l.dir, "state", l.worktree+".command") }

// Saved returns the file that lists contents saved before they were replaced.
func (l Local) Saved() string { return filepath.Join(l.dir, "state", "saved.jsonl") }

// States returns the folder of State, Busy and Saved of all worktrees.
func (l Local) States() string { return filepath.Join(l.dir, "state") }

// Views returns the folder with artifacts of other revisions that programs asked for.
func (l Local) Views() string { return filepath.Join(l.dir, "views") }

// Remotes returns the folder with what was learned about remotes, one folder each.
func (l Local) Remotes() string { return filepath.Join(l.dir, "remotes") }
