package git

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// leftovers are folders of tools and packages that no run means to write, as
// exclude patterns: walking them costs more than the rest of a worktree.
var leftovers = []string{"__pycache__/", ".venv/", "venv/", "node_modules/", ".ipynb_checkpoints/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/"}

// Files returns the paths of all tracked files of that name, sorted, also those
// that a sparse checkout leaves out of the worktree.
func (r *Repo) Files(ctx context.Context, name string) ([]string, error) {
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

// StagedFile is a file as the index has it.
type StagedFile struct {
	Path       string
	Executable bool
	// Link says that Data is the target of a symbolic link.
	Link bool
	Data []byte
}

// StagedFolder returns the files below a folder as they are staged, sorted by
// path, honouring GIT_INDEX_FILE. Submodules are left out.
func (r *Repo) StagedFolder(ctx context.Context, folder string) ([]StagedFile, error) {
	c := r.command()
	c.env = append(stagedEnv(), literal...)
	out, err := c.run(ctx, below(folder, "ls-files", "-z", "--stage")...)
	if err != nil {
		return nil, err
	}
	var files []StagedFile
	var ids []string
	for _, entry := range splitNUL(out) {
		meta, name, _ := strings.Cut(entry, "\t")
		fields := strings.Fields(meta)
		if len(fields) != 3 || fields[0] == "160000" {
			continue
		}
		files = append(files, StagedFile{Path: path.Clean(name), Executable: fields[0] == "100755", Link: fields[0] == "120000"})
		ids = append(ids, fields[1])
	}
	if len(files) == 0 {
		return nil, nil
	}
	b, err := r.newBatch(ctx, true)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	missing := ""
	err = b.ask(len(ids), func(i int) string { return ids[i] }, func(i int, o object) {
		if o.kind != "blob" {
			missing = files[i].Path
		}
		files[i].Data = o.data
	})
	if err == nil && missing != "" {
		err = fmt.Errorf("read %q from the index: %w", missing, ErrObjectMissing)
	}
	return files, err
}
