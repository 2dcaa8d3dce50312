package git

import (
	"bufio"
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
)

// fetchPromised gets, with one request, those of the objects that a partial clone
// does not have, and returns those that it could not get. Git would fetch them
// one by one as they are read, and give up with the first that it can't have. In
// any other clone it does nothing.
func (r *Repo) fetchPromised(ctx context.Context, ids []string) (absent map[string]bool, err error) {
	packs, err := filepath.Glob(filepath.Join(r.CommonDir, "objects", "pack", "*.promisor"))
	if err != nil || len(packs) == 0 {
		return nil, err
	}
	absent, err = r.absent(ctx, ids)
	if err != nil || len(absent) == 0 {
		return absent, err
	}
	remotes, err := r.git(ctx, "config", "--name-only", "--get-regexp", `^remote\..*\.promisor$`)
	if err != nil && exitCode(err) != 1 {
		return nil, err
	}
	for _, key := range strings.Fields(string(remotes)) {
		remote := strings.TrimSuffix(strings.TrimPrefix(key, "remote."), ".promisor")
		c := r.command()
		c.options = append(c.options, "-c", "fetch.negotiationAlgorithm=noop")
		var list bytes.Buffer
		for id := range absent {
			list.WriteString(id + "\n")
		}
		c.stdin = &list
		// As Git itself fetches what it lacks. Without the network the rest of history
		// can be looked at all the same.
		_, err := c.run(ctx, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none", "--stdin", "--", remote)
		if err != nil && ctx.Err() != nil {
			return nil, err
		}
		if absent, err = r.absent(ctx, ids); err != nil || len(absent) == 0 {
			return absent, err
		}
	}
	return absent, nil
}

// absent returns those of the objects that are not in this clone. Asking for one
// by its name would make Git fetch it.
func (r *Repo) absent(ctx context.Context, ids []string) (map[string]bool, error) {
	out, err := r.git(ctx, "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)")
	if err != nil {
		return nil, err
	}
	absent := map[string]bool{}
	for _, id := range ids {
		absent[id] = true
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		delete(absent, lines.Text())
	}
	return absent, lines.Err()
}

// without returns the indices of ids that are not in the set.
func without(ids []string, set map[string]bool) []int {
	indices := make([]int, 0, len(ids))
	for i, id := range ids {
		if !set[id] {
			indices = append(indices, i)
		}
	}
	return slices.Clip(indices)
}
