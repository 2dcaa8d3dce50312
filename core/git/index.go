package git

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// argumentBytes bounds the paths handed over in one command line; Windows allows 32 KiB in all.
const argumentBytes = 16 << 10

// stagedEnv passes on the index that the caller of a hook works with: during
// "git commit -a" or "git commit PATH" it is a temporary one.
func stagedEnv() []string {
	file := os.Getenv("GIT_INDEX_FILE")
	if file == "" {
		return nil
	}
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	return []string{"GIT_INDEX_FILE=" + file}
}

// Staged returns a file as it is staged, honouring GIT_INDEX_FILE. A path that
// is not staged, or only with a conflict, gives an error that wraps fs.ErrNotExist.
func (r *Repo) Staged(ctx context.Context, path string) ([]byte, error) {
	if strings.Contains(path, "\n") {
		return r.stagedOdd(ctx, path)
	}
	b, err := r.newBatch(ctx, true)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	var found object
	err = b.ask(1, func(int) string { return ":0:" + path }, func(_ int, o object) { found = o })
	if err != nil {
		return nil, err
	}
	if found.kind != "blob" {
		return nil, fmt.Errorf("read %q from the index: %w", path, fs.ErrNotExist)
	}
	return found.data, nil
}

// stagedOdd is Staged for a name that holds a line feed.
func (r *Repo) stagedOdd(ctx context.Context, path string) ([]byte, error) {
	c := r.command()
	c.env = append(stagedEnv(), "GIT_LITERAL_PATHSPECS=1")
	out, err := c.run(ctx, "ls-files", "-s", "-z", "--", path)
	if err != nil {
		return nil, err
	}
	for _, entry := range splitNUL(out) {
		meta, name, _ := strings.Cut(entry, "\t")
		if fields := strings.Fields(meta); name == path && len(fields) == 3 && fields[2] == "0" {
			return r.git(ctx, "cat-file", "blob", fields[1])
		}
	}
	return nil, fmt.Errorf("read %q from the index: %w", path, fs.ErrNotExist)
}

// StagedNames returns the paths in which the index differs from HEAD, sorted,
// honouring GIT_INDEX_FILE. On a branch without a commit that is all it holds.
func (r *Repo) StagedNames(ctx context.Context) ([]string, error) {
	c := r.command()
	c.env = stagedEnv()
	out, err := c.run(ctx, "diff-index", "--cached", "--name-only", "--no-renames", "-z", "HEAD", "--")
	if exitCode(err) == 128 {
		if head, headErr := r.Head(ctx); headErr == nil && head == "" {
			out, err = c.run(ctx, "ls-files", "-z")
		}
	}
	if err != nil {
		return nil, err
	}
	names := splitNUL(out)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Tracked reports which of paths Git tracks. A folder counts where it holds a
// tracked file, at any depth. Paths that are not tracked are absent.
func (r *Repo) Tracked(ctx context.Context, paths []string) (map[string]bool, error) {
	clean := make([]string, len(paths))
	for i, p := range paths {
		clean[i] = path.Clean(p)
	}
	known, ok := r.trackedInIndex(clean)
	if !ok {
		var err error
		if known, err = r.listTracked(ctx, clean); err != nil {
			return nil, err
		}
	}
	tracked := map[string]bool{}
	for i, p := range paths {
		if known[clean[i]] {
			tracked[p] = true
		}
	}
	return tracked, nil
}

// listTracked is trackedInIndex as Git says. It may return more than was asked for.
func (r *Repo) listTracked(ctx context.Context, paths []string) (map[string]bool, error) {
	known := map[string]bool{}
	c := r.command()
	c.env = literal
	for part := range chunks(paths) {
		out, err := c.run(ctx, append([]string{"ls-files", "-z", "--"}, part...)...)
		if err != nil {
			return nil, err
		}
		for _, name := range splitNUL(out) {
			for ; !known[name]; name = path.Dir(name) {
				known[name] = true
			}
		}
	}
	return known, nil
}

// LeftOut returns those of paths that Git tracks and that a sparse checkout keeps
// out of the worktree, in the order given. Without one it starts nothing.
func (r *Repo) LeftOut(ctx context.Context, paths ...string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(r.GitDir, "info", "sparse-checkout")); err != nil {
		return nil, nil //nolint:nilerr // there is no sparse checkout
	}
	c := r.command()
	c.env = []string{"GIT_LITERAL_PATHSPECS=1"}
	out, err := c.run(ctx, append([]string{"ls-files", "-t", "-z", "--"}, paths...)...)
	if err != nil {
		return nil, err
	}
	entries := splitNUL(out)
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !slices.Contains(entries, "S "+p) }), nil
}

// chunks yields paths in parts that fit a command line.
func chunks(paths []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(paths) > 0 {
			n, bytes := 0, 0
			for n < len(paths) && (n == 0 || bytes+len(paths[n]) < argumentBytes) {
				bytes += len(paths[n]) + 3
				n++
			}
			if !yield(paths[:n]) {
				return
			}
			paths = paths[n:]
		}
	}
}

// Ignored reports which of paths an ignore rule of the user or the repository
// covers and Git does not track. A trailing slash says that a path which does
// not exist is to be a folder. Paths that are not ignored are absent.
func (r *Repo) Ignored(ctx context.Context, paths []string) (map[string]bool, error) {
	ignored := map[string]bool{}
	if len(paths) == 0 {
		return ignored, nil
	}
	out, err := r.gitInput(ctx, joinNUL(paths), "check-ignore", "-z", "--stdin")
	if err != nil && exitCode(err) != 1 { // 1: none of them is
		return nil, err
	}
	for _, name := range splitNUL(out) {
		ignored[name] = true
	}
	return ignored, nil
}
