package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// TreeFile is a file of a commit.
type TreeFile struct {
	// Path is relative to the top of the worktree.
	Path string
	// Mode is Git's: "100644", "100755", "120000" for a link, "160000" for a submodule.
	Mode string
}

// Tree lists the files at or below a path of a commit, sorted bytewise. A path
// that the commit does not have gives none.
func (r *Repo) Tree(ctx context.Context, rev, path string) ([]TreeFile, error) {
	c := r.command()
	c.env = literal
	out, err := c.run(ctx, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", rev, "--", path)
	if exitCode(err) == 128 {
		if _, missing := r.Resolve(ctx, rev); missing != nil {
			return nil, missing
		}
	}
	if err != nil {
		return nil, err
	}
	var files []TreeFile
	for _, line := range splitNUL(out) {
		head, name, ok := bytes.Cut([]byte(line), []byte("\t"))
		fields := bytes.Fields(head)
		if !ok || len(fields) != 3 {
			return nil, fmt.Errorf("list %q at %s: %w", path, rev, errors.New("git ls-tree printed something else"))
		}
		files = append(files, TreeFile{Path: string(name), Mode: string(fields[0])})
	}
	return files, nil
}
