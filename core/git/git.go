// Package git is the only package of kept that starts Git.
//
// A Repo is a worktree with the folders that belong to it; a revision is what a
// user types to name a commit ("HEAD~2", "v1.2", a branch); an id is the full
// hexadecimal name that Resolve makes of it. Paths are relative to the top of
// the worktree, with forward slashes, and are never patterns.
//
//	repo, err := git.Find(".")                        // reads files, starts nothing
//	id, err := repo.Resolve(ctx, "main")              // user's text becomes an id once
//	data, err := repo.ReadFile(ctx, id, "kept.lock")  // as it was there
//	commits, err := repo.Log(ctx, "kept.lock", …)     // who changed it, and to which blobs
//	merging, err := repo.Merging(ctx, "kept.lock")    // what an unfinished merge is between
//
// A repository is data that somebody else may have written, so a started Git is
// told to run nothing that the repository brings (no hooks, no file system
// monitor), not to discover a bare repository inside the worktree, not to ask
// questions and not to write the index in passing. What the user set up for
// "git status" itself, such as a clean filter, stays in force.
package git

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Main is the Worktree name of a worktree that is not a linked one.
const Main = "main"

// ErrMissing reports that no git program was found in PATH.
var ErrMissing = errors.New("git is not installed or not in PATH")

// ErrNoMergeBase reports two commits without a common ancestor in this clone.
var ErrNoMergeBase = errors.New("no common ancestor")

// ErrObjectMissing reports an object that the repository names but does not
// have: a partial clone that cannot reach its remote, or a damaged repository.
var ErrObjectMissing = errors.New("object is missing from the repository")

// NoRepositoryError reports that neither Dir nor a folder above it is in a worktree.
type NoRepositoryError struct{ Dir string }

func (e *NoRepositoryError) Error() string {
	return fmt.Sprintf("no Git repository in %s or a folder above it", e.Dir)
}

// BareError reports a repository without a worktree, where there is nothing to keep in step.
type BareError struct{ Dir string }

func (e *BareError) Error() string {
	return fmt.Sprintf("%s is a bare repository: it has no worktree", e.Dir)
}

// RevisionError reports a revision that names no commit of this repository.
type RevisionError struct {
	Revision string
	// Shallow says that the clone is, so that the commit may just be beyond its end.
	Shallow bool
}

func (e *RevisionError) Error() string {
	if e.Shallow {
		return fmt.Sprintf("unknown revision %q in this shallow clone", e.Revision)
	}
	return fmt.Sprintf("unknown revision %q", e.Revision)
}

// OutsideError reports a path that is not in the worktree.
type OutsideError struct{ Path, Root string }

func (e *OutsideError) Error() string {
	return fmt.Sprintf("%s is outside of the repository %s", e.Path, e.Root)
}

// Error reports a Git command that failed.
type Error struct {
	// Args is the command without the options that every call is given.
	Args []string
	// Stderr is all that Git wrote there.
	Stderr string
	// ExitCode is Git's exit status, or -1 where it was ended by a signal.
	ExitCode int
}

// Error names the command and the first thing that Git complained about.
func (e *Error) Error() string {
	message := ""
	for line := range strings.Lines(e.Stderr) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "fatal: "); ok {
			message = text
			break
		}
		if message == "" {
			message = strings.TrimPrefix(line, "error: ")
		}
	}
	if message == "" {
		message = fmt.Sprintf("exit status %d", e.ExitCode)
	}
	return fmt.Sprintf("git %s: %s", e.Args[0], message)
}

// Repo is a repository as seen from one of its worktrees. Its methods start one
// Git process each, unless they say otherwise, and are safe for concurrent use.
type Repo struct {
	// Root is the top folder of the worktree: absolute, without symbolic links.
	Root string
	// GitDir is the folder of what belongs to this worktree alone (HEAD, index).
	GitDir string
	// CommonDir is the folder that all linked worktrees share (objects, refs,
	// config). It is GitDir in a repository with a single worktree.
	CommonDir string
	// Worktree is a name for this worktree that no other worktree of the
	// repository has and that is safe as a file name: Main, or "linked-" and the
	// name that Git gave it. The prefix keeps a linked worktree called "main" apart.
	Worktree string
	// Temp is the folder for temporary files, such as an index on the side; ""
	// is the system's. It is made when it is needed.
	Temp string

	// explicit says that the caller's environment chose this repository
	// (GIT_DIR), so that Git must be told where it is as it could not find it.
	explicit bool
	// inside says that Root is the Git folder itself, see Whole.
	inside bool
	// foreign says that it was made of another repository, see Foreign.
	foreign bool
}

// Path returns the absolute path of a path relative to Root.
func (r *Repo) Path(rel string) string { return filepath.Join(r.Root, filepath.FromSlash(rel)) }

// Rel returns path, which may be relative to the current folder, as a path
// relative to Root with forward slashes ("." for Root itself). Symbolic links
// in its folders are followed, as Git does; one that path itself names is not.
// A path that does not exist is fine. A path elsewhere gives an *OutsideError.
func (r *Repo) Rel(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("make %q absolute: %w", path, err)
	}
	// Root may be above a link (/tmp on macOS) although path names it through the
	// link, so folders are compared as they really are.
	physical := filepath.Join(Physical(filepath.Dir(abs)), filepath.Base(abs))
	for _, candidate := range []string{physical, Physical(abs)} {
		rel, err := filepath.Rel(r.Root, candidate)
		if err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel), nil
		}
	}
	return "", &OutsideError{Path: path, Root: r.Root}
}

// Physical resolves the symbolic links of an absolute path, as far as it exists.
func Physical(path string) string {
	rest := ""
	for p := path; ; p = filepath.Dir(p) {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			return filepath.Join(real, rest)
		}
		if p == filepath.Dir(p) {
			return path
		}
		rest = filepath.Join(filepath.Base(p), rest)
	}
}
