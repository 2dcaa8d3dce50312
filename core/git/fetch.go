package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/lazy"
)

// origin is the remote that fetches ask: the name that a clone gives it, and so
// does every CI system.
const origin = "origin"

// fetchLimit is how long one fetch may take; tests are less patient.
var fetchLimit = 2 * time.Minute

// ErrNoAnswer reports a remote that took too long. Asking it again is no use.
var ErrNoAnswer = errors.New("no answer from " + origin)

// RefNameError reports a name that no branch or tag can have, or none that may
// be handed to Git as an argument.
type RefNameError struct{ Name string }

func (e *RefNameError) Error() string { return fmt.Sprintf("%q is not the name of a branch", e.Name) }

// Ref is a branch, remote-tracking branch or tag.
type Ref struct {
	// Name is the full name, such as "refs/heads/main".
	Name string
	// ID is the object that it points to; an annotated tag's is not a commit.
	ID string
	// Target is the full name of the ref that a symbolic one stands for, or "".
	Target string
}

// Refs returns those of the refs, given by full name, that exist, in the order given.
func (r *Repo) Refs(ctx context.Context, names ...string) ([]Ref, error) {
	args := []string{"for-each-ref", "--format=%(refname) %(objectname) %(symref)"}
	for _, name := range names {
		if validRef(name) { // anything else would be a pattern
			args = append(args, name)
		}
	}
	if len(args) == 2 {
		return nil, nil
	}
	out, err := r.git(ctx, args...)
	if err != nil {
		return nil, err
	}
	known := map[string]Ref{}
	for line := range strings.Lines(string(out)) {
		// A name also matches the refs below it, "refs/heads/a" those of "a/b".
		if fields := strings.Fields(line); len(fields) >= 2 && slices.Contains(names, fields[0]) {
			known[fields[0]] = Ref{Name: fields[0], ID: fields[1], Target: strings.Join(fields[2:], "")}
		}
	}
	var refs []Ref
	for _, name := range names {
		if ref, ok := known[name]; ok {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// RevisionNames returns the branches, those of remotes, and the tags, as somebody
// types them: the shortest name that is not another one's.
func (r *Repo) RevisionNames(ctx context.Context) ([]string, error) {
	out, err := r.git(ctx, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags")
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(out)), nil
}

// Parents returns the ids of a commit's parents as the commit itself names
// them, so also those that a shallow clone cut off.
func (r *Repo) Parents(ctx context.Context, id string) ([]string, error) {
	out, err := r.git(ctx, "cat-file", "commit", id)
	if err != nil {
		return nil, err
	}
	return parentsIn(out), nil
}

// parentsIn returns the parents that a raw commit names.
func parentsIn(commit []byte) []string {
	var parents []string
	for line := range strings.Lines(string(commit)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			break // the message
		}
		if parent, ok := strings.CutPrefix(line, "parent "); ok && IsID(parent) {
			parents = append(parents, parent)
		}
	}
	return parents
}

// IsID reports whether s is a full object name, SHA-1 or SHA-256.
func IsID(s string) bool { return isID(s) }

// HasCommit reports whether a commit, given by id, is in the clone. Git 2.45 and
// later does not ask the remote of a partial clone for it.
func (r *Repo) HasCommit(ctx context.Context, id string) (bool, error) {
	if !IsID(id) {
		return false, nil
	}
	c := r.command()
	c.env = []string{"GIT_NO_LAZY_FETCH=1"}
	_, err := c.run(ctx, "cat-file", "-e", id+"^{commit}")
	if code := exitCode(err); code == 1 || code == 128 {
		return false, nil
	}
	return err == nil, err
}

// FetchCommit brings one commit from origin. A shallow clone gets that commit
// alone, and its files only when somebody reads them; a complete one also gets
// what leads to it, because a depth would make it shallow.
func (r *Repo) FetchCommit(ctx context.Context, id string) error {
	if !IsID(id) {
		return &RevisionError{Revision: id}
	}
	return r.fetch(ctx, r.shallowArgs(1), id)
}

// FetchBranch brings a branch of origin, as the remote-tracking branch. In a
// shallow clone the history of the branch and that of the commit head then reach
// back for depth commits, or as far as they did before.
func (r *Repo) FetchBranch(ctx context.Context, branch, head string, depth int) error {
	if !ValidBranch(branch) {
		return &RefNameError{Name: branch}
	}
	tracking := "refs/remotes/" + origin + "/" + branch
	spec := "+refs/heads/" + branch + ":" + tracking
	if !r.Shallow() {
		return r.fetch(ctx, nil, spec)
	}
	// One fetch for both would be half the work, but Git then asks only for what it
	// does not have, so that the one which it has is not deepened.
	if err := r.deepen(ctx, tracking, spec, depth); err != nil {
		return err
	}
	err := r.Deepen(ctx, head, depth)
	if unadvertised(err) {
		return nil // the branch alone may do
	}
	return err
}

// FetchTag brings a tag of origin.
func (r *Repo) FetchTag(ctx context.Context, tag string) error {
	if !ValidBranch(tag) {
		return &RefNameError{Name: tag}
	}
	depth, err := r.firstParents(ctx, "HEAD")
	if err != nil {
		depth = 1
	}
	// The tag may be in the history that is here, which a depth of 1 would end there.
	return r.fetch(ctx, r.shallowArgs(depth), "refs/tags/"+tag+":refs/tags/"+tag)
}

// Deepen lets the history of a commit, given by id, reach back for depth commits,
// or as far as it did before. A complete clone has all of it.
func (r *Repo) Deepen(ctx context.Context, commit string, depth int) error {
	if !r.Shallow() {
		return nil
	}
	return r.deepen(ctx, commit, commit, depth)
}

// deepen fetches what with a depth that cuts nothing of the history of tip.
func (r *Repo) deepen(ctx context.Context, tip, what string, depth int) error {
	for _, known := range []string{"HEAD", tip} {
		if n, err := r.firstParents(ctx, known); err == nil {
			depth = max(depth, n)
		}
	}
	return r.fetch(ctx, r.shallowArgs(depth), what)
}

// RemoteDefault asks origin for the name of its default branch.
func (r *Repo) RemoteDefault(ctx context.Context) (string, error) {
	out, err := r.askOrigin(ctx, "ls-remote", "--symref", "--", origin, "HEAD")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		target, found := strings.CutPrefix(line, "ref: refs/heads/")
		branch, name, _ := strings.Cut(strings.TrimSpace(target), "\t")
		if found && name == "HEAD" && ValidBranch(branch) {
			return branch, nil
		}
	}
	return "", errors.New("origin names no default branch")
}

func (r *Repo) shallowArgs(depth int) []string {
	if !r.Shallow() {
		return nil
	}
	return []string{"--depth=" + strconv.Itoa(depth), "--filter=blob:none"}
}

// firstParents counts a commit and its first parents as far as they are in the clone.
func (r *Repo) firstParents(ctx context.Context, commit string) (int, error) {
	out, err := r.git(ctx, "rev-list", "--count", "--first-parent", commit, "--")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

// fetch runs "git fetch" for refspecs and ids that the caller has checked.
func (r *Repo) fetch(ctx context.Context, options []string, what ...string) error {
	args := slices.Concat([]string{"fetch", "--quiet", "--no-tags", "--no-recurse-submodules"}, options, []string{"--", origin}, what)
	_, err := r.askOrigin(ctx, args...)
	return err
}

// askOrigin runs a Git that talks to origin: without questions, and for so long only.
func (r *Repo) askOrigin(ctx context.Context, args ...string) ([]byte, error) {
	limited, cancel := context.WithTimeoutCause(ctx, fetchLimit, fmt.Errorf("%w in %v", ErrNoAnswer, fetchLimit))
	defer cancel()
	c := r.command()
	c.options = append(c.options, "-c", "gc.auto=0", "-c", "maintenance.auto=false")
	c.env = []string{"GCM_INTERACTIVE=never"}
	if _, own, err := r.Config(ctx, "core.sshCommand"); err != nil {
		return nil, err
	} else if !own && os.Getenv("GIT_SSH_COMMAND") == "" && os.Getenv("GIT_SSH") == "" {
		c.env = append(c.env, "GIT_SSH_COMMAND=ssh -oBatchMode=yes")
	}
	out, err := c.run(limited, args...)
	var failed *Error
	if errors.As(err, &failed) {
		// A CI job's URL carries its token.
		failed.Stderr = credentials().ReplaceAllString(failed.Stderr, "://")
	}
	return out, err
}

var credentials = lazy.Regexp(`://[^/@\s]+@`)

// unadvertised reports whether a server refused to hand out a commit by its id.
func unadvertised(err error) bool {
	var failed *Error
	return errors.As(err, &failed) &&
		(strings.Contains(failed.Stderr, "unadvertised object") || strings.Contains(failed.Stderr, "not our ref"))
}

// ValidBranch reports whether a branch or tag can have that short name. Names
// that start with a dash, which Git allows in a ref but takes for an option, do
// not count.
func ValidBranch(name string) bool {
	return !strings.HasPrefix(name, "-") && validRef("refs/heads/"+name)
}

// validRef follows git-check-ref-format(1).
func validRef(name string) bool {
	if len(name) > 1000 || strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.Contains(name, "..") || strings.Contains(name, "@{") ||
		strings.HasSuffix(name, ".") || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' }) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return strings.HasPrefix(name, "refs/")
}
