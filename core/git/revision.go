package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Resolve returns the id of the commit that rev names: a branch, a tag (also an
// annotated one), an abbreviated id, "HEAD~2", "@{upstream}". What names no
// commit gives a *RevisionError.
func (r *Repo) Resolve(ctx context.Context, rev string) (string, error) {
	if rev == "" || strings.ContainsAny(rev, "\x00\n\r") {
		return "", &RevisionError{Revision: rev}
	}
	// --end-of-options: "-x" is a legal name of a ref.
	out, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if err != nil {
		if code := exitCode(err); code == 1 || code == 128 {
			return "", r.revisionError(rev, err)
		}
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// revisionError tells a revision that is not there from a repository that Git refuses.
func (r *Repo) revisionError(rev string, err error) error {
	var failed *Error
	if errors.As(err, &failed) && strings.TrimSpace(failed.Stderr) != "" &&
		!strings.Contains(failed.Stderr, "Needed a single revision") &&
		!strings.Contains(failed.Stderr, "expected commit type") &&
		!strings.Contains(failed.Stderr, "ambiguous") {
		return err
	}
	return &RevisionError{Revision: rev, Shallow: r.Shallow()}
}

// Range is two sides of a comparison.
type Range struct {
	// Old is the id of the older commit, or "" where nothing is committed yet.
	Old string
	// New is the id of the newer commit, or "" for the worktree as it is on disk.
	New string
}

// Range resolves what users write for two sides, as "git diff" reads it:
//
//	""       HEAD and the worktree
//	"A"      A and the worktree
//	"A..B"   A and B; an empty side is HEAD
//	"A...B"  the merge base of A and B, and B
//
// A side that names no commit gives a *RevisionError, "A...B" without a common
// ancestor ErrNoMergeBase.
func (r *Repo) Range(ctx context.Context, spec string) (Range, error) {
	if spec == "" {
		old, err := r.Head(ctx)
		return Range{Old: old}, err
	}
	a, b, symmetric := strings.Cut(spec, "...")
	two := symmetric
	if !symmetric {
		a, b, two = strings.Cut(spec, "..")
	}
	if !two {
		old, err := r.Resolve(ctx, spec)
		return Range{Old: old}, err
	}
	ids, err := r.resolveAll(ctx, orHead(a), orHead(b))
	if err != nil {
		return Range{}, err
	}
	old, new := ids[0], ids[1]
	if symmetric {
		old, err = r.MergeBase(ctx, old, new)
	}
	return Range{Old: old, New: new}, err
}

// resolveAll is Resolve for many revisions with one process, unless one of them
// names no commit.
func (r *Repo) resolveAll(ctx context.Context, revs ...string) ([]string, error) {
	b, err := r.newBatch(ctx, false)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	known := map[string]string{}
	if err := b.resolve(revs, known); err != nil {
		return nil, err
	}
	ids := make([]string, len(revs))
	for i, rev := range revs {
		if ids[i] = known[rev]; ids[i] == "" {
			if ids[i], err = r.Resolve(ctx, rev); err != nil { // it knows why
				return nil, err
			}
		}
	}
	return ids, nil
}

func orHead(rev string) string {
	if rev == "" {
		return "HEAD"
	}
	return rev
}

// Head returns the id of the commit that is checked out, and "" on a branch that has none yet.
func (r *Repo) Head(ctx context.Context) (string, error) {
	id, err := r.Resolve(ctx, "HEAD")
	var unknown *RevisionError
	if errors.As(err, &unknown) {
		return "", nil
	}
	return id, err
}

// HeadCommit returns what Head does, and the ids of the commit's parents as
// [Repo.Parents] does, with one process.
func (r *Repo) HeadCommit(ctx context.Context) (id string, parents []string, err error) {
	b, err := r.newBatch(ctx, false)
	if err != nil {
		return "", nil, err
	}
	defer b.stop()
	err = b.ask(1, func(int) string { return "HEAD^{commit}" }, func(_ int, o object) {
		if o.kind == "commit" {
			id, parents = o.id, parentsIn(o.data)
		}
	})
	if err == nil && id == "" {
		id, err = r.Head(ctx) // it knows why
	}
	return id, parents, err
}

// MergeBase returns the id of the best common ancestor of two commits, given by
// id. Without one it returns ErrNoMergeBase, and says so where the clone is
// shallow and may just not reach back far enough.
func (r *Repo) MergeBase(ctx context.Context, a, b string) (string, error) {
	out, err := r.git(ctx, "merge-base", a, b)
	if exitCode(err) == 1 {
		if r.Shallow() {
			return "", fmt.Errorf("%w of %.10s and %.10s in this shallow clone", ErrNoMergeBase, a, b)
		}
		return "", fmt.Errorf("%w of %.10s and %.10s", ErrNoMergeBase, a, b)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// Shallow reports whether the clone lacks a part of its history. It starts nothing.
func (r *Repo) Shallow() bool {
	info, err := os.Stat(filepath.Join(r.CommonDir, "shallow"))
	return err == nil && info.Size() > 0
}
