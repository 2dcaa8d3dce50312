package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// WorktreeError reports a worktree that can't be looked at, though it may be there.
type WorktreeError struct {
	// Root is its top folder, Name what Git calls it.
	Root, Name string
	Err        error
}

func (e *WorktreeError) Error() string {
	return fmt.Sprintf("worktree %q at %s: %v", e.Name, e.Root, e.Err)
}

// Unwrap returns e.Err.
func (e *WorktreeError) Unwrap() error { return e.Err }

var errLocked = errors.New("it is locked, as one is that is on a drive which is not always there")

// Worktrees returns the worktrees that are there, the main one first if there is
// one. One whose folder is gone is left out; one that is locked has to be there.
func (w *Whole) Worktrees(ctx context.Context) ([]*Repo, error) {
	dirs, err := w.gitDirs()
	if err != nil {
		return nil, err
	}
	var found []*Repo
	for _, dir := range dirs {
		repo := &Repo{GitDir: dir, CommonDir: w.Dir(), Worktree: Main}
		if dir == w.Dir() {
			err = w.mainRoot(ctx, repo)
		} else {
			repo.Worktree = "linked-" + filepath.Base(dir)
			err = linkedRoot(repo)
		}
		if err != nil {
			return nil, err
		}
		if repo.Root != "" {
			found = append(found, repo)
		}
	}
	return found, nil
}

// mainRoot fills in where the main worktree is, if the repository has one.
func (w *Whole) mainRoot(ctx context.Context, repo *Repo) error {
	bare, _, err := w.repo.Config(ctx, "core.bare")
	if err != nil {
		return err
	}
	moved, isMoved, err := w.repo.Config(ctx, "core.worktree")
	if err != nil {
		return err
	}
	switch {
	case isMoved:
		if !filepath.IsAbs(moved) {
			moved = filepath.Join(w.Dir(), moved)
		}
		repo.Root, repo.explicit = filepath.Clean(moved), true
	case bare != "true" && filepath.Base(w.Dir()) == ".git":
		repo.Root = filepath.Dir(w.Dir())
	default:
		return nil
	}
	if _, err := os.Stat(repo.Root); errors.Is(err, fs.ErrNotExist) {
		repo.Root = ""
	} else if err != nil {
		return &WorktreeError{Root: repo.Root, Name: Main, Err: err}
	}
	return nil
}

// linkedRoot fills in where a linked worktree is, unless it is gone.
func linkedRoot(repo *Repo) error {
	name := filepath.Base(repo.GitDir)
	pointer, err := readPointer(filepath.Join(repo.GitDir, "gitdir"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Git does not know where it was, either.
	}
	if err != nil {
		return &WorktreeError{Root: repo.GitDir, Name: name, Err: err}
	}
	if !filepath.IsAbs(pointer) {
		pointer = filepath.Join(repo.GitDir, pointer)
	}
	root := filepath.Dir(pointer)
	_, err = os.Stat(pointer)
	_, locked := os.Stat(filepath.Join(repo.GitDir, "locked"))
	switch {
	case err == nil:
		repo.Root = root
	case !errors.Is(err, fs.ErrNotExist):
		return &WorktreeError{Root: root, Name: name, Err: err}
	case locked == nil:
		return &WorktreeError{Root: root, Name: name, Err: errLocked}
	}
	return nil
}

// OnDisk returns the paths of all files of that name in the worktree, whether Git
// tracks, ignores or does not know them.
func (r *Repo) OnDisk(ctx context.Context, name string) ([]string, error) {
	names, err := r.list(ctx, nil, []string{"ls-files", "-z", "--cached", "--others", "--", ":(top,glob)**/" + name})
	if err != nil {
		return nil, &WorktreeError{Root: r.Root, Name: r.Worktree, Err: err}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		info, err := os.Lstat(r.Path(name))
		return err == nil && !info.Mode().IsRegular() || errors.Is(err, fs.ErrNotExist)
	}), nil
}
