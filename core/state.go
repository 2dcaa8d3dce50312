package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kept-dev/kept/cas"
)

// stateVersion is the shape of the state file. A file of another shape counts
// as none: what is on disk is then compared with the lock, which costs time.
const stateVersion = 1

// state says what kept put into this worktree. Comparing it with the locks on
// disk tells which artifacts a Git operation moved, and so which may be
// replaced; an artifact whose lock entry did not move is the user's to change.
type state struct {
	Version int `json:"version"`
	// Locks maps a lock's path to what was restored from it.
	Locks map[string]restored `json:"locks"`
}

type restored struct {
	// Lock is the digest of the lock's bytes; zero when there was no lock.
	Lock cas.Digest `json:"lock"`
	// Artifacts maps paths relative to the worktree to the digests put there.
	Artifacts map[string]placed `json:"artifacts,omitempty"`
	// Mixed maps folders in flux to the trees that their files may come from: a
	// restore that is killed leaves files of the one that was there and of the one
	// that was to be.
	Mixed map[string][]cas.Digest `json:"mixed,omitempty"`
}

// placed is what kept put at a path. The zero value says that kept is changing
// what is there, or was when it was killed: nobody knows what it is.
type placed struct {
	Hash   cas.Digest `json:"hash"`
	Folder bool       `json:"folder,omitempty"`
	// Executable is part of what was placed: a commit may change nothing else.
	Executable bool `json:"executable,omitempty"`
}

func (p placed) inFlux() bool { return p.Hash.IsZero() }

// maxMixed is how many trees of a folder in flux are remembered.
const maxMixed = 8

// setInFlux notes that artifacts of a lock are about to become next, where that
// is known. Without that note, a kept that is killed before it writes what it
// placed would leave a state that looks as if nothing had happened, and the next
// checkout of the former lock would leave the artifacts of another one in place.
func (r *Repository) setInFlux(lock string, next map[string]placed) error {
	s, err := r.readState()
	if err != nil {
		return err
	}
	entry := s.Locks[lock]
	if entry.Artifacts == nil {
		entry.Artifacts = map[string]placed{}
	}
	if entry.Mixed == nil {
		entry.Mixed = map[string][]cas.Digest{}
	}
	for file, will := range next {
		trees := entry.Mixed[file]
		for _, p := range []placed{entry.Artifacts[file], will} {
			if p.Folder && !slices.Contains(trees, p.Hash) {
				trees = append(trees, p.Hash)
			}
		}
		if len(trees) > 0 {
			entry.Mixed[file] = trees[max(0, len(trees)-maxMixed):]
		}
		entry.Artifacts[file] = placed{}
	}
	s.Locks[lock] = entry
	return r.writeState(s)
}

// setPlaced updates what the state says of some artifacts of a lock.
func (r *Repository) setPlaced(lock string, changes map[string]placed) error {
	s, err := r.readState()
	if err != nil {
		return err
	}
	entry := s.Locks[lock]
	if entry.Artifacts == nil {
		entry.Artifacts = map[string]placed{}
	}
	maps.Copy(entry.Artifacts, changes)
	for file := range changes {
		delete(entry.Mixed, file)
	}
	s.Locks[lock] = entry
	return r.writeState(s)
}

func (r *Repository) readState() (*state, error) {
	empty := &state{Version: stateVersion, Locks: map[string]restored{}}
	data, err := os.ReadFile(r.Local.State())
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return nil, err
	}
	var s state
	if json.Unmarshal(data, &s) != nil || s.Version != stateVersion || s.Locks == nil {
		return empty, nil
	}
	return &s, nil
}

func (r *Repository) writeState(s *state) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if old, err := os.ReadFile(r.Local.State()); err == nil && bytes.Equal(old, data) {
		return nil // waiting for the disk is most of what a command takes that changes nothing
	}
	if err := os.MkdirAll(filepath.Dir(r.Local.State()), 0o700); err != nil {
		return err
	}
	return writeAtomic(r.Local.State(), r.Local.Temp(), data, 0o600)
}

// SavedContent is a content that was in no lock and was put into the store
// before the file that held it was replaced or removed.
type SavedContent struct {
	Path string     `json:"path"`
	Hash cas.Digest `json:"hash"`
	Time time.Time  `json:"time"`
}

// noteSaved appends to the list of saved contents, which is what keeps them
// from being collected and lets a user find them again.
func (r *Repository) noteSaved(s SavedContent) error {
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.Local.Saved()), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(r.Local.Saved(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("note saved content of %q: %w", s.Path, err)
	}
	return nil
}

// readSaved returns the list of saved contents. A line that was torn is left out.
func (r *Repository) readSaved() ([]SavedContent, error) {
	data, err := os.ReadFile(r.Local.Saved())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []SavedContent
	for line := range bytes.Lines(data) {
		var s SavedContent
		if json.Unmarshal(line, &s) == nil && !s.Hash.IsZero() {
			list = append(list, s)
		}
	}
	return list, nil
}

// useStore keeps the store from losing anything until release is called: what
// is kept, or found to be there, meanwhile is still there when a lock names it.
// Whoever writes a lock takes it before the last look at what the lock will name.
func (r *Repository) useStore(ctx context.Context) (release func(), err error) {
	return r.objects.Use(ctx)
}
