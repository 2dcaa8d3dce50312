package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/internal/lazy"
)

// snapshotRefs is where snapshots are kept: outside of refs/heads and refs/tags,
// so that no clone, fetch or push takes them along.
const snapshotRefs = "refs/kept/snap/"

// Snapshots is how many snapshots PruneSnapshots is meant to be called with: as
// many as stay cheap where refs are files.
const Snapshots = 1000

// snapshotName is what a snapshot can be called, less the names that Git refuses for a ref.
var snapshotName = lazy.Regexp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// snapshotEnv makes a snapshot's id depend on its content and its parent alone,
// not on who took it or when.
var snapshotEnv = []string{
	"GIT_AUTHOR_NAME=kept", "GIT_AUTHOR_EMAIL=kept@localhost", "GIT_AUTHOR_DATE=@1 +0000",
	"GIT_COMMITTER_NAME=kept", "GIT_COMMITTER_EMAIL=kept@localhost", "GIT_COMMITTER_DATE=@1 +0000",
}

// Snapshot is the code of a run as a commit.
type Snapshot struct {
	// Commit is the id of the snapshot, or of HEAD where nothing differs from it;
	// "" where there is neither a commit nor a file.
	Commit string `json:"commit,omitempty"`
	// Ref keeps Commit from being collected; "" where Commit is HEAD.
	Ref string `json:"ref,omitempty"`
	// Skipped lists what differs from HEAD and is not in the snapshot.
	Skipped []Skipped `json:"skipped,omitempty"`
}

// Skipped is a path that a snapshot leaves out.
type Skipped struct {
	Path string `json:"path"`
	// Size is in bytes, 0 for a folder.
	Size int64 `json:"size"`
	// Reason is "too large", "not readable" or "a repository of its own".
	Reason string `json:"reason"`
}

// durable has Git sync the objects of a snapshot, all with one flush, before the
// ref that names them. By default it syncs the ref alone: after a power cut it
// could name nothing, and then every git log --all fails.
var durable = []string{"-c", "core.fsync=loose-object,reference", "-c", "core.fsyncMethod=batch"}

// Snapshot stores the worktree as it is, untracked files included and ignored
// ones not, as a commit on top of HEAD under refs/kept/snap/<id>. The index, the
// worktree and the status are left as they were. Files over maxFileBytes are
// left out as they were at HEAD, and listed: data belongs in the store, not in
// Git's objects.
func (r *Repo) Snapshot(ctx context.Context, id string, maxFileBytes int64) (Snapshot, error) {
	if !snapshotName().MatchString(id) || strings.Contains(id, "..") || strings.HasSuffix(id, ".lock") || strings.HasSuffix(id, ".") {
		return Snapshot{}, fmt.Errorf("take snapshot %q: the id is not usable in the name of a ref", id)
	}
	s, err := r.snapshot(ctx, id, maxFileBytes)
	if err != nil {
		return Snapshot{}, fmt.Errorf("take snapshot %q: %w", id, err)
	}
	return s, nil
}

func (r *Repo) snapshot(ctx context.Context, id string, maxFileBytes int64) (Snapshot, error) {
	head, err := r.Head(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	if r.Temp != "" {
		if err := os.MkdirAll(r.Temp, 0o700); err != nil {
			return Snapshot{}, err
		}
	}
	tmp, err := os.MkdirTemp(r.Temp, "snapshot-")
	if err != nil {
		return Snapshot{}, err
	}
	defer os.RemoveAll(tmp)
	// A copy of the index brings its knowledge of what is unchanged on disk;
	// starting from HEAD's tree would read every file again.
	index := filepath.Join(tmp, "index")
	if err := copyIndex(filepath.Join(r.GitDir, "index"), index); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, err
	}
	c := r.command()
	c.env = []string{"GIT_INDEX_FILE=" + index}
	c.options = append(c.options, "-c", "core.safecrlf=false", "-c", "core.splitIndex=false")
	c.options = append(c.options, durable...)

	out, err := c.run(ctx, "ls-files", "-z", "--modified", "--others", "--exclude-standard")
	if err != nil {
		return Snapshot{}, err
	}
	add, remove, skipped := r.sift(splitNUL(out), maxFileBytes)
	// update-index takes names as they are: no patterns, no ignore rules, no
	// advice about embedded repositories, no regard for a sparse checkout.
	for _, change := range []struct {
		names   []string
		options []string
	}{
		{remove, []string{"--force-remove"}},
		{add, []string{"--add", "--remove", "--replace"}},
	} {
		if len(change.names) == 0 {
			continue
		}
		c.stdin = bytes.NewReader(joinNUL(change.names))
		if _, err := c.run(ctx, slices.Concat([]string{"update-index"}, change.options, []string{"-z", "--stdin"})...); err != nil {
			return Snapshot{}, err
		}
	}
	c.stdin = nil
	tree, err := c.run(ctx, "write-tree")
	if err != nil {
		return Snapshot{}, err
	}
	s, err := r.commitTree(ctx, strings.TrimSpace(string(tree)), head, id)
	s.Skipped = skipped
	return s, err
}

// sift sorts out what a snapshot cannot or should not hold.
func (r *Repo) sift(names []string, maxFileBytes int64) (add, remove []string, skipped []Skipped) {
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			continue // a conflicted path is listed once per side
		}
		seen[name] = true
		if strings.HasSuffix(name, "/") { // Git does not look inside
			skipped = append(skipped, Skipped{Path: strings.TrimSuffix(name, "/"), Reason: "a repository of its own"})
			continue
		}
		info, err := os.Lstat(r.Path(name))
		switch {
		case err == nil && info.IsDir() && !r.hasRepository(name):
			remove = append(remove, name) // a folder took the place of a file
		case err != nil || !info.Mode().IsRegular():
			add = append(add, name) // removed, a link, or a tracked submodule
		case info.Size() > maxFileBytes:
			skipped = append(skipped, Skipped{Path: name, Size: info.Size(), Reason: "too large"})
		case !readable(r.Path(name)):
			skipped = append(skipped, Skipped{Path: name, Size: info.Size(), Reason: "not readable"})
		default:
			add = append(add, name)
		}
	}
	return add, remove, skipped
}

// hasRepository reports whether the folder name is the top of a repository, as a submodule is.
func (r *Repo) hasRepository(name string) bool {
	_, err := os.Lstat(filepath.Join(r.Path(name), ".git"))
	return err == nil
}

func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// commitTree makes the snapshot's commit and ref, unless tree is what HEAD has.
func (r *Repo) commitTree(ctx context.Context, tree, head, id string) (Snapshot, error) {
	args := []string{"commit-tree", tree, "-m", "kept: worktree of a run"}
	if head != "" {
		out, err := r.git(ctx, "rev-parse", "--verify", "--quiet", head+"^{tree}")
		if err != nil {
			return Snapshot{}, err
		}
		if strings.TrimSpace(string(out)) == tree {
			return Snapshot{Commit: head}, nil
		}
		args = append(args, "-p", head)
	} else {
		out, err := r.git(ctx, "ls-tree", tree)
		if err != nil || len(out) == 0 {
			return Snapshot{}, err
		}
	}
	c := r.command()
	c.env = snapshotEnv
	c.options = append(c.options, "-c", "i18n.commitEncoding=UTF-8", "-c", "core.logAllRefUpdates=false")
	c.options = append(c.options, durable...)
	out, err := c.run(ctx, args...)
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Commit: strings.TrimSpace(string(out)), Ref: snapshotRefs + id}
	_, err = c.run(ctx, "update-ref", "--no-deref", s.Ref, s.Commit)
	return s, err
}

// PruneSnapshots removes the refs of all but the newest keep snapshots, which
// are those with the greatest ids: ids of runs begin with their time. It
// returns how many it removed. Git collects the commits in its own time.
func (r *Repo) PruneSnapshots(ctx context.Context, keep int) (int, error) {
	out, err := r.git(ctx, "for-each-ref", "--sort=-refname", "--format=%(refname)", snapshotRefs)
	if err != nil {
		return 0, err
	}
	refs := strings.Fields(string(out))
	if len(refs) <= keep {
		return 0, nil
	}
	var input strings.Builder
	for _, ref := range refs[keep:] {
		input.WriteString("delete " + ref + "\n")
	}
	if _, err := r.gitInput(ctx, []byte(input.String()), "update-ref", "--no-deref", "--stdin"); err != nil {
		return 0, fmt.Errorf("prune snapshots: %w", err)
	}
	return len(refs) - keep, nil
}

// copyIndex copies an index together with its time: Git takes a file for
// unchanged if it has the size and time that the index has for it, except where
// that time is not older than the index itself. A copy with a time of its own
// would hide a change made right after the original was written.
func copyIndex(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}
