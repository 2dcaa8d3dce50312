package git

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// leftovers are folders of tools and packages that no run means to write, as
// exclude patterns: walking them costs more than the rest of a worktree.
var leftovers = []string{"__pycache__/", ".venv/", "venv/", "node_modules/", ".ipynb_checkpoints/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/"}

// Files returns the paths of all tracked files of that name, sorted, also those
// that a sparse checkout leaves out of the worktree.
func (r *Repo) Files(ctx context.Context, name string) ([]string, error) {
	if paths, ok := r.filesInIndex(name); ok {
		return paths, nil
	}
	return r.listFiles(ctx, name)
}

func (r *Repo) listFiles(ctx context.Context, name string) ([]string, error) {
	return r.list(ctx, nil, []string{"ls-files", "-z", "--", ":(top,glob)**/" + name})
}

// List returns the files below a folder that Git tracks or would offer to add,
// sorted; "" is the whole worktree. A tracked file may be missing on disk.
func (r *Repo) List(ctx context.Context, folder string) ([]string, error) {
	return r.list(ctx, literal, below(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard"))
}

// Untracked returns the files below a folder that Git does not track, the
// ignored ones included, sorted. Folders that tools and package managers fill
// are left out.
func (r *Repo) Untracked(ctx context.Context, folder string) ([]string, error) {
	args := []string{"ls-files", "-z", "--others"}
	for _, pattern := range leftovers {
		args = append(args, "--exclude="+pattern)
	}
	return r.list(ctx, literal, below(folder, args...))
}

// Holds reports whether Git has the content of a file or folder as it lies in
// the worktree: all of it is tracked, and none of it differs from the index.
func (r *Repo) Holds(ctx context.Context, path string) (bool, error) {
	tracked, err := r.Tracked(ctx, []string{path})
	if err != nil || !tracked[path] {
		return false, err
	}
	rest, err := r.list(ctx, literal, below(path, "ls-files", "-z", "--others", "--modified"))
	return len(rest) == 0, err
}

// literal makes Git take paths as they are written.
var literal = []string{"GIT_LITERAL_PATHSPECS=1"}

func below(folder string, args ...string) []string {
	if folder == "" {
		folder = "."
	}
	return append(args, "--", folder)
}

func (r *Repo) list(ctx context.Context, env, args []string) ([]string, error) {
	c := r.command()
	c.env = env
	out, err := c.run(ctx, args...)
	if err != nil {
		return nil, err
	}
	names := splitNUL(out)
	slices.Sort(names)
	return slices.Compact(names), nil // a conflict has up to three entries
}

// StagedEntry names a file as the index has it.
type StagedEntry struct {
	Path, ID   string
	Executable bool
	// Link says that the content is the target of a symbolic link.
	Link bool
}

// StagedEntries returns all files of the index, sorted by path, honouring
// GIT_INDEX_FILE. Submodules and conflicts are left out.
func (r *Repo) StagedEntries(ctx context.Context) ([]StagedEntry, error) {
	c := r.command()
	c.env = stagedEnv()
	out, err := c.run(ctx, "ls-files", "-z", "--stage")
	if err != nil {
		return nil, err
	}
	var entries []StagedEntry
	for _, text := range splitNUL(out) {
		meta, name, _ := strings.Cut(text, "\t")
		fields := strings.Fields(meta)
		if len(fields) != 3 || fields[0] == "160000" || fields[2] != "0" {
			continue
		}
		entries = append(entries, StagedEntry{Path: name, ID: fields[1], Executable: fields[0] == "100755", Link: fields[0] == "120000"})
	}
	slices.SortFunc(entries, func(a, b StagedEntry) int { return strings.Compare(a.Path, b.Path) })
	return entries, nil
}

// Blobs hands over the content of the entries, in order.
func (r *Repo) Blobs(ctx context.Context, entries []StagedEntry, do func(e StagedEntry, data []byte)) error {
	if len(entries) == 0 {
		return nil
	}
	b, err := r.newBatch(ctx, true)
	if err != nil {
		return err
	}
	defer b.stop()
	missing := ""
	err = b.ask(len(entries), func(i int) string { return entries[i].ID }, func(i int, o object) {
		if o.kind != "blob" {
			missing = entries[i].Path
			return
		}
		do(entries[i], o.data)
	})
	if err == nil && missing != "" {
		err = fmt.Errorf("read %q from the index: %w", missing, ErrObjectMissing)
	}
	return err
}

// StageIDs returns the id of the blob that "git add" would make of each of the
// files as they lie in the worktree, line ends and clean filters applied. All
// of them have to be there, and none may have a line feed in its name.
func (r *Repo) StageIDs(ctx context.Context, paths []string) ([]string, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	out, err := r.gitInput(ctx, []byte(strings.Join(paths, "\n")+"\n"), "hash-object", "--stdin-paths")
	if err != nil {
		return nil, err
	}
	ids := strings.Fields(string(out))
	if len(ids) != len(paths) {
		return nil, fmt.Errorf("git hash-object answered %d of %d paths", len(ids), len(paths))
	}
	return ids, nil
}

// CheckOutStaged writes staged files below dir, an absolute path, as a checkout
// would write them: line ends and smudge filters applied.
func (r *Repo) CheckOutStaged(ctx context.Context, paths []string, dir string) error {
	c := r.command()
	c.env = stagedEnv()
	c.stdin = bytes.NewReader(joinNUL(paths))
	_, err := c.run(ctx, "checkout-index", "-q", "-z", "--stdin", "--prefix="+filepath.ToSlash(dir)+"/")
	return err
}
