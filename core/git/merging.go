package git

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Operation is what Git is in the middle of.
type Operation string

// The operations that leave conflicts. None is also what a stash that does not
// apply cleanly leaves: Git notes nothing of it but the conflicts.
const (
	None       Operation = ""
	Merge      Operation = "merge"
	Rebase     Operation = "rebase"
	CherryPick Operation = "cherry-pick"
	Revert     Operation = "revert"
	Apply      Operation = "am"
)

// CommitName is a commit by id, with the first line of its message.
type CommitName struct{ ID, Subject string }

// Merging is what a file that is in conflict is made of. "Ours" and "theirs"
// are as in the stages of Git's index: in a rebase, ours is the branch that one
// rebases onto and theirs the commit that is put on top of it; in a revert,
// theirs is what was before the commit.
type Merging struct {
	Operation Operation
	// Unmerged is set where the index holds a conflict of the file.
	Unmerged bool
	// Base, Ours and Theirs are the file in its three versions; nil where one has none.
	Base, Ours, Theirs []byte
	// Head is the commit that is checked out, the newest one of a rebase so far,
	// and Other the one that is merged, picked or reverted; empty where there is none.
	Head, Other CommitName
	// Stash is set where theirs is what the newest stash has.
	Stash bool
}

// otherHeads are the names under which Git notes the commit that it works on.
var otherHeads = map[Operation]string{
	Merge: "MERGE_HEAD", Rebase: "REBASE_HEAD", Apply: "REBASE_HEAD", CherryPick: "CHERRY_PICK_HEAD", Revert: "REVERT_HEAD",
}

// Merging returns what a file is made of whose merge is not finished. It starts
// one process, and a second one where a version of the file is missing.
func (r *Repo) Merging(ctx context.Context, path string) (*Merging, error) {
	heads := []Operation{Merge, Rebase, CherryPick, Revert}
	names := []string{":1:" + path, ":2:" + path, ":3:" + path, "HEAD"}
	if strings.Contains(path, "\n") {
		// The protocol is line by line; a name that is none answers "missing".
		names = []string{":1:", ":2:", ":3:", "HEAD"}
	}
	for _, op := range heads {
		names = append(names, otherHeads[op])
	}
	names = append(names, "refs/stash:"+strings.ReplaceAll(path, "\n", ""))
	found := make([]object, len(names))
	b, err := r.newBatch(ctx, false)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	if err := b.ask(len(names), func(i int) string { return names[i] }, func(i int, o object) { found[i] = o }); err != nil {
		return nil, err
	}

	m := &Merging{Head: commitOf(found[3])}
	others := map[Operation]CommitName{}
	for i, op := range heads {
		others[op] = commitOf(found[4+i])
	}
	m.Operation = r.operation(others)
	m.Other = others[m.Operation]
	if m.Operation == Apply {
		m.Other = CommitName{}
	}
	versions := []*[]byte{&m.Base, &m.Ours, &m.Theirs}
	ids, err := r.unmergedIDs(ctx, path, found[:3])
	if err != nil {
		return nil, err
	}
	for i, v := range versions {
		if ids[i] == "" {
			continue
		}
		m.Unmerged = true
		if found[i].id != ids[i] {
			err := b.ask(1, func(int) string { return ids[i] }, func(_ int, o object) { found[i] = o })
			if err != nil {
				return nil, err
			}
		}
		if found[i].kind != "blob" {
			return nil, fmt.Errorf("read version %d of %q from the index: %w", i+1, path, ErrObjectMissing)
		}
		*v = slices.Concat([]byte{}, found[i].data)
	}
	stash := found[len(found)-1]
	m.Stash = m.Operation == None && ids[2] != "" && stash.id == ids[2]
	return m, nil
}

// unmergedIDs returns the ids of the three versions of a file in the index. The
// answers of a batch tell where they are complete; else one of them may be an
// object that this repository lacks.
func (r *Repo) unmergedIDs(ctx context.Context, path string, found []object) (ids [3]string, err error) {
	for i, o := range found {
		if ids[i] = o.id; o.id == "" {
			return r.listUnmerged(ctx, path)
		}
	}
	return ids, nil
}

func (r *Repo) listUnmerged(ctx context.Context, path string) (ids [3]string, err error) {
	c := r.command()
	c.env = literal
	out, err := c.run(ctx, "ls-files", "-z", "--unmerged", "--", path)
	if err != nil {
		return ids, err
	}
	for _, entry := range splitNUL(out) {
		meta, name, _ := strings.Cut(entry, "\t")
		fields := strings.Fields(meta)
		if name == path && len(fields) == 3 && len(fields[2]) == 1 && fields[2][0] >= '1' && fields[2][0] <= '3' {
			ids[fields[2][0]-'1'] = fields[1]
		}
	}
	return ids, nil
}

// operation tells what Git is in the middle of. A rebase comes first: it picks
// commits, and may merge some.
func (r *Repo) operation(others map[Operation]CommitName) Operation {
	exists := func(name ...string) bool {
		_, err := os.Lstat(filepath.Join(append([]string{r.GitDir}, name...)...))
		return err == nil
	}
	switch {
	case exists("rebase-apply", "applying"):
		return Apply
	case exists("rebase-merge"), exists("rebase-apply"):
		return Rebase
	}
	for _, op := range []Operation{Merge, CherryPick, Revert} {
		if others[op].ID != "" {
			return op
		}
	}
	return None
}

// commitOf reads the first line of a commit's message.
func commitOf(o object) CommitName {
	if o.kind != "commit" {
		return CommitName{}
	}
	_, message, _ := bytes.Cut(o.data, []byte("\n\n"))
	subject, _, _ := strings.Cut(strings.TrimSpace(string(message)), "\n")
	return CommitName{ID: o.id, Subject: strings.TrimSpace(subject)}
}

// MayBeMerging reports whether Git may be in the middle of something that
// leaves conflicts. It starts nothing, and does not see a stash.
func (r *Repo) MayBeMerging() bool {
	for _, name := range []string{"MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"} {
		if _, err := os.Lstat(filepath.Join(r.GitDir, name)); err == nil {
			return true
		}
	}
	return false
}

// Unmerged returns the paths of all files in conflict, sorted.
func (r *Repo) Unmerged(ctx context.Context) ([]string, error) {
	c := r.command()
	out, err := c.run(ctx, "ls-files", "-z", "--unmerged", "--full-name", "--", ":/")
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range splitNUL(out) {
		if _, name, ok := strings.Cut(entry, "\t"); ok {
			paths = append(paths, name)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// Add stages a file as it lies in the worktree, or that it is gone, which ends
// a conflict. It stages nothing else.
func (r *Repo) Add(ctx context.Context, path string) error {
	c := r.command()
	c.env = literal
	_, err := c.run(ctx, "add", "--all", "--force", "--", path)
	return err
}

// MayBeUnmerged reports whether the index may hold a conflict of a file. It
// starts nothing, and sees only conflicts of operations that Git notes.
func (r *Repo) MayBeUnmerged(path string) bool {
	if !r.MayBeMerging() {
		return false
	}
	paths, ok := r.unmergedInIndex(path)
	return !ok || slices.Contains(paths, path)
}

// TakeSide gives a file that is in conflict the content of one side, ours or
// theirs as in Merging, and stages it. It reports false where that side has no such file.
func (r *Repo) TakeSide(ctx context.Context, path string, theirs bool) (bool, error) {
	stage, option := "2", "--ours"
	if theirs {
		stage, option = "3", "--theirs"
	}
	if _, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ":"+stage+":"+path); err != nil {
		if exitCode(err) == 1 {
			return false, nil
		}
		return false, err
	}
	c := r.command()
	c.env = literal
	if _, err := c.run(ctx, "checkout", option, "--", path); err != nil {
		return false, err
	}
	return true, r.Add(ctx, path)
}
