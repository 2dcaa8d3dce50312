package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// Base is the commit that a gate compares with.
type Base struct {
	// Commit is its full id.
	Commit string
	// Note says how it was chosen, such as "merge base with main".
	Note string
}

// NoBaseError reports that there is no commit to compare with, or that this
// clone does not have it. A comparison that cannot be made is no pass.
type NoBaseError struct {
	Reason string
	// Try is the command, or the setting of the CI system, that helps; it may be empty.
	Try string
}

func (e *NoBaseError) Error() string { return "no base to compare with: " + e.Reason }

// depths are the steps in which a shallow clone is deepened for a merge base.
var depths = []int{50, 200, 1000}

// FindBase returns the commit that a gate compares with; docs/spec/base.md has
// the table. A spec that names a branch stands for the merge base of it and HEAD,
// any other revision for itself; one that names nothing is a *git.RevisionError.
// An empty spec leaves the choice to what env says of the CI system that runs
// this process, else it is the merge base with the default branch.
//
// Only in CI does it fetch what the clone lacks. Where that is not allowed or
// fails, and where there is nothing to compare with, it returns a *NoBaseError.
func (p *Project) FindBase(ctx context.Context, spec string, env func(string) string) (Base, error) {
	f := &baseFinder{p: p, git: p.Git, ci: whichCI(env)}
	var err error
	if f.at.head, f.at.parents, err = p.Git.HeadCommit(ctx); err != nil {
		return Base{}, err
	}
	if f.at.head == "" {
		return Base{}, &NoBaseError{Reason: "nothing is committed yet"}
	}
	if spec != "" {
		return f.given(ctx, spec)
	}
	var ideas []idea
	switch f.ci {
	case gitHub:
		event, eventErr := readEvent(env("GITHUB_EVENT_PATH"))
		if ideas, err = githubIdeas(env, event, eventErr, f.at); err != nil {
			return Base{}, &NoBaseError{Reason: err.Error()}
		}
	case gitLab:
		ideas = gitlabIdeas(env, f.at)
	}
	return f.first(ctx, ideas)
}

type baseFinder struct {
	p   *Project
	git *git.Repo
	ci  ci
	at  checkout
	// silent is set once origin did not answer in time.
	silent error
}

// fetch runs something that asks origin, unless that did not answer before.
func (f *baseFinder) fetch(do func() error) error {
	if f.silent != nil {
		return f.silent
	}
	err := do()
	if errors.Is(err, git.ErrNoAnswer) {
		f.silent = err
	}
	return err
}

func (f *baseFinder) fetchBranch(ctx context.Context, branch string, depth int) error {
	return f.fetch(func() error { return f.git.FetchBranch(ctx, branch, f.at.head, depth) })
}

func (f *baseFinder) deepen(ctx context.Context, depth int) error {
	return f.fetch(func() error { return f.git.Deepen(ctx, f.at.head, depth) })
}

// first returns the base of the first idea that has one.
func (f *baseFinder) first(ctx context.Context, ideas []idea) (Base, error) {
	if len(ideas) == 0 {
		return f.withDefault(ctx)
	}
	var reasons []string
	var try string
	for _, i := range ideas {
		base, err := f.follow(ctx, i)
		var none *NoBaseError
		if !errors.As(err, &none) {
			return base, err
		}
		reasons = append(reasons, none.Reason)
		try = none.Try
	}
	return Base{}, &NoBaseError{Reason: strings.Join(reasons, "; "), Try: try}
}

// follow returns the base that an idea leads to.
func (f *baseFinder) follow(ctx context.Context, i idea) (Base, error) {
	if i.commit != "" {
		return Base{Commit: i.commit, Note: i.note}, f.have(ctx, i.commit, i.branch)
	}
	tip := i.with
	if tip == "" {
		var err error
		if tip, err = f.fetchTip(ctx, i.branch); err != nil {
			return Base{}, err
		}
	} else if err := f.have(ctx, tip, i.branch); err != nil {
		return Base{}, err
	}
	id, err := f.mergeBase(ctx, tip, i.branch)
	if err != nil {
		return Base{}, err
	}
	if id != f.at.head {
		return Base{Commit: id, Note: i.note}, nil
	}
	if i.outside {
		// For pull_request_target the target itself is checked out unless told otherwise.
		return Base{}, &NoBaseError{
			Reason: fmt.Sprintf("%.10s, which is checked out, is on %s already: it is not the pull request", f.at.head, i.branch),
			Try:    "in the workflow, give actions/checkout \"ref: ${{ github.event.pull_request.head.sha }}\"",
		}
	}
	return f.onBranch(ctx)
}

// have makes sure that a commit is in the clone. branch may name one of origin
// that has it.
func (f *baseFinder) have(ctx context.Context, id, branch string) error {
	found, err := f.git.HasCommit(ctx, id)
	if found || err != nil {
		return err
	}
	if f.ci == noCI {
		command := "git fetch origin " + id
		if f.git.Shallow() {
			command = "git fetch --depth=1 origin " + id
		}
		return &NoBaseError{Reason: fmt.Sprintf("commit %.10s is not in this clone", id), Try: command}
	}
	refused := f.fetch(func() error { return f.git.FetchCommit(ctx, id) })
	if ctx.Err() != nil {
		return refused
	}
	// A server may hand out branches only.
	for n := 0; refused != nil && branch != "" && n < len(depths); n++ {
		if err := f.fetchBranch(ctx, branch, depths[n]); err != nil {
			break
		}
		if found, err = f.git.HasCommit(ctx, id); found || err != nil {
			return err
		}
		if !f.git.Shallow() {
			break
		}
	}
	if found, err = f.git.HasCommit(ctx, id); found || err != nil {
		return err
	}
	return &NoBaseError{
		Reason: fmt.Sprintf("commit %.10s is not in this clone and could not be fetched: %v", id, refused),
		Try:    f.ci.deeper(f.git.Shallow()),
	}
}

// fetchTip returns the commit that a branch of origin is at: now, where it may be
// asked, else when it was last fetched.
func (f *baseFinder) fetchTip(ctx context.Context, branch string) (string, error) {
	var refused error
	if f.ci != noCI {
		// Also where the branch is known: the workspace of an earlier job may be behind.
		if refused = f.fetchBranch(ctx, branch, depths[0]); ctx.Err() != nil {
			return "", refused
		}
	}
	refs, err := f.git.Refs(ctx, "refs/remotes/origin/"+branch, "refs/heads/"+branch)
	if err != nil {
		return "", err
	}
	if len(refs) > 0 {
		return refs[0].ID, nil
	}
	reason := fmt.Sprintf("branch %s is not in this clone", branch)
	if refused != nil {
		reason += fmt.Sprintf(" and could not be fetched: %v", refused)
	}
	return "", &NoBaseError{Reason: reason, Try: f.ci.deeper(f.git.Shallow())}
}

// mergeBase returns the merge base of HEAD and tip, which is on branch; a clone
// that does not reach back that far is deepened step by step.
func (f *baseFinder) mergeBase(ctx context.Context, tip, branch string) (string, error) {
	if tip == f.at.head {
		return tip, nil
	}
	id, err := f.git.MergeBase(ctx, f.at.head, tip)
	var refused error
	for n := 0; errors.Is(err, git.ErrNoMergeBase) && f.ci != noCI && f.git.Shallow() && n < len(depths); n++ {
		if branch == "" {
			refused = f.deepen(ctx, depths[n])
		} else {
			refused = f.fetchBranch(ctx, branch, depths[n])
		}
		if refused != nil {
			break
		}
		id, err = f.git.MergeBase(ctx, f.at.head, tip)
	}
	if ctx.Err() != nil && refused != nil {
		return "", refused
	}
	if !errors.Is(err, git.ErrNoMergeBase) {
		return id, err
	}
	name := orCommit(branch, tip)
	none := &NoBaseError{Reason: fmt.Sprintf("HEAD and %s have no common ancestor", name)}
	if f.git.Shallow() {
		none.Reason = fmt.Sprintf("this clone is shallow, and its history ends before that of HEAD and %s meets", name)
		none.Try = f.ci.deeper(true)
	}
	if refused != nil {
		none.Reason += fmt.Sprintf(": %v", refused)
	}
	return "", none
}

// onBranch is the base of a HEAD that has nothing of its own: what is on disk is
// compared with it where that differs, else HEAD with its parent.
func (f *baseFinder) onBranch(ctx context.Context) (Base, error) {
	changed, err := f.p.lockChanged(ctx)
	if err != nil {
		return Base{}, err
	}
	if changed {
		return Base{Commit: f.at.head, Note: "HEAD"}, nil
	}
	if len(f.at.parents) == 0 {
		return Base{}, &NoBaseError{Reason: "HEAD is the first commit, and " + f.p.LockPath() + " is as it was committed"}
	}
	base := Base{Commit: f.at.parents[0], Note: "parent of HEAD"}
	if !f.git.Shallow() {
		return base, nil // a complete clone has it
	}
	return base, f.have(ctx, base.Commit, "")
}

// withDefault is the base of a HEAD of which nobody says what it is for.
func (f *baseFinder) withDefault(ctx context.Context) (Base, error) {
	branches, err := f.defaultBranches(ctx)
	if err != nil {
		return Base{}, err
	}
	var last *NoBaseError
	for _, b := range branches {
		id, err := f.mergeBase(ctx, b.ID, onOrigin(b.Name))
		switch {
		case errors.As(err, &last):
			continue
		case err != nil:
			return Base{}, err
		case id == f.at.head:
			return f.onBranch(ctx)
		}
		return Base{Commit: id, Note: "merge base with " + shortRef(b.Name)}, nil
	}
	if last != nil {
		return Base{}, last
	}
	if f.ci != noCI && f.silent == nil {
		if branch, err := f.git.RemoteDefault(ctx); err == nil {
			return f.follow(ctx, mergeBaseWith(branch, false))
		}
	}
	return Base{}, &NoBaseError{
		Reason: "the default branch is not known: there is no origin/HEAD, and neither main nor master",
		Try:    "git remote set-head origin --auto",
	}
}

// defaultBranches returns what may be the default branch, best first. In a clone
// of a fork the remote called "upstream" is where it forks from, and the fork's
// own copy of the branch may be old.
func (f *baseFinder) defaultBranches(ctx context.Context) ([]git.Ref, error) {
	refs, err := f.git.Refs(ctx,
		"refs/remotes/upstream/HEAD", "refs/remotes/upstream/main", "refs/remotes/upstream/master",
		"refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/remotes/origin/master",
		"refs/heads/main", "refs/heads/master")
	for i, ref := range refs {
		if ref.Target != "" {
			refs[i].Name = ref.Target
		}
	}
	return refs, err
}

// onOrigin returns the name that a branch has on origin as far as that is
// known, else "".
func onOrigin(name string) string {
	for _, prefix := range []string{"refs/heads/", "refs/remotes/origin/"} {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			return short
		}
	}
	return ""
}

func shortRef(name string) string {
	for _, prefix := range []string{"refs/heads/", "refs/remotes/", "refs/tags/"} {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			return short
		}
	}
	return name
}

// lockChanged reports whether the lock on disk says something else than HEAD's.
func (p *Project) lockChanged(ctx context.Context) (bool, error) {
	committed, err := p.Git.ReadFile(ctx, "HEAD", p.LockPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	isCommitted := err == nil
	onDisk, err := p.readOwn(p.LockPath(), lockfile.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return isCommitted, p.leftOut(p.LockPath())
	}
	if err != nil {
		return false, &FileError{Path: p.LockPath(), Err: reason(err)}
	}
	// Line ends are the checkout's.
	return !bytes.Equal(bytes.ReplaceAll(onDisk, []byte("\r\n"), []byte("\n")), committed), nil
}

// given returns the base that the user named.
func (f *baseFinder) given(ctx context.Context, spec string) (Base, error) {
	branch, err := f.branch(ctx, spec)
	if err == nil && branch.Name == "" {
		var base Base
		base, err = f.revision(ctx, spec)
		var unknown *git.RevisionError
		if !errors.As(err, &unknown) {
			return base, err
		}
		branch, err = f.fetchGiven(ctx, spec, unknown)
	}
	if err != nil {
		return Base{}, err
	}
	if branch.Name == "" { // it was fetched, and is a tag or a commit
		return f.revision(ctx, spec)
	}
	id, err := f.mergeBase(ctx, branch.ID, onOrigin(branch.Name))
	return Base{Commit: id, Note: "merge base with " + spec}, err
}

// branch returns the branch of this clone that spec names, if any.
func (f *baseFinder) branch(ctx context.Context, spec string) (git.Ref, error) {
	if spec == "HEAD" || spec == "@" {
		return git.Ref{}, nil
	}
	names := []string{"refs/heads/" + spec, "refs/remotes/" + spec, "refs/remotes/origin/" + spec}
	if strings.HasPrefix(spec, "refs/heads/") || strings.HasPrefix(spec, "refs/remotes/") {
		names = append([]string{spec}, names...)
	}
	refs, err := f.git.Refs(ctx, names...)
	if err != nil || len(refs) == 0 {
		return git.Ref{}, err
	}
	return refs[0], nil
}

// revision returns the commit that spec names by itself.
func (f *baseFinder) revision(ctx context.Context, spec string) (Base, error) {
	id, err := f.git.Resolve(ctx, spec)
	if err != nil {
		return Base{}, err
	}
	tags, err := f.git.Refs(ctx, "refs/tags/"+spec)
	if err != nil {
		return Base{}, err
	}
	if len(tags) > 0 {
		return Base{Commit: id, Note: "tag " + spec}, nil
	}
	return Base{Commit: id, Note: "revision " + spec}, nil
}

// fetchGiven brings what the user named and this clone lacks. It returns the
// branch, or no branch where it is another revision. unknown is why it is asked for.
func (f *baseFinder) fetchGiven(ctx context.Context, spec string, unknown error) (git.Ref, error) {
	if f.ci == noCI {
		if f.git.Shallow() {
			return git.Ref{}, f.notInShallow(spec)
		}
		return git.Ref{}, unknown
	}
	switch name := strings.TrimPrefix(spec, "origin/"); {
	case git.IsID(spec):
		return git.Ref{}, f.have(ctx, spec, "")
	case git.ValidBranch(name):
		branchErr := f.fetchBranch(ctx, name, depths[0])
		if branchErr == nil {
			return f.branch(ctx, "refs/remotes/origin/"+name)
		}
		if ctx.Err() != nil {
			return git.Ref{}, branchErr
		}
		if f.fetch(func() error { return f.git.FetchTag(ctx, name) }) == nil {
			return git.Ref{}, nil
		}
		if strings.Contains(branchErr.Error(), "couldn't find remote ref") {
			return git.Ref{}, unknown
		}
		return git.Ref{}, &NoBaseError{
			Reason: fmt.Sprintf("%q is not in this clone and could not be fetched: %v", spec, branchErr),
			Try:    f.ci.deeper(f.git.Shallow()),
		}
	case f.git.Shallow():
		// HEAD~3 and the like reach past the end of what is here.
		for _, depth := range depths {
			if err := f.deepen(ctx, depth); err != nil || !f.git.Shallow() {
				break
			}
			if _, err := f.git.Resolve(ctx, spec); err == nil {
				break
			}
		}
		if _, err := f.git.Resolve(ctx, spec); err != nil && f.git.Shallow() {
			return git.Ref{}, f.notInShallow(spec)
		}
		return git.Ref{}, nil
	}
	return git.Ref{}, unknown
}

func (f *baseFinder) notInShallow(spec string) error {
	none := &NoBaseError{Reason: fmt.Sprintf("%q is not in this clone, which is shallow", spec), Try: f.ci.deeper(true)}
	if f.ci == noCI && git.ValidBranch(spec) && !git.IsID(spec) {
		none.Try = "git fetch --depth=50 origin +refs/heads/" + spec + ":refs/remotes/origin/" + spec
	} else if f.ci == noCI && git.IsID(spec) {
		none.Try = "git fetch --depth=1 origin " + spec
	}
	return none
}
