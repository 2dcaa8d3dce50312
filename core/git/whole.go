package git

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Whole is a repository with all of its worktrees, seen from the folder that they share.
type Whole struct{ repo *Repo }

// Whole returns the repository of this worktree with all others.
func (r *Repo) Whole() *Whole { return whole(r.CommonDir) }

// WholeAt is Whole for the repository whose shared folder is dir: a clone's .git,
// or that of a bare repository. It starts nothing.
func WholeAt(dir string) (*Whole, error) {
	abs, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	if !isGitDir(abs, abs) {
		return nil, fmt.Errorf("open repository: %q is none", dir)
	}
	return whole(abs), nil
}

// whole has Git discover the repository in the folder itself: then Git refuses
// one of another user, unless safe.directory has it.
func whole(dir string) *Whole {
	return &Whole{&Repo{Root: dir, GitDir: dir, CommonDir: dir, Worktree: Main, inside: true}}
}

// Dir returns the folder that the worktrees share.
func (w *Whole) Dir() string { return w.repo.CommonDir }

// FileVersion is a content that a file had, has, or is staged to have.
type FileVersion struct {
	// Path is where Git came by it first.
	Path string
	// Blob is the id of the content.
	Blob string
	// Newest is the newest commit that gave a file this content; its ID is empty
	// where no commit is known that did. Commits is how many did.
	Newest  Commit
	Commits int
}

// wholeEnv is for looking at a repository as Git does before it collects what
// nothing leads to: replacements hide nothing, and nothing is fetched.
var wholeEnv = []string{"GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1"}

// Versions returns every version of all files called name that anything in the
// repository leads to: a branch, a tag or any other ref, an entry of a reflog, the
// stash, HEAD and the index of each worktree, what an unfinished merge, rebase or
// bisection is about, in all of history.
//
// Where a partial clone does not have a version it is not among them, and is not
// fetched: this clone has never looked at it. Anything else that is missing is an
// error, for what lies behind it can't be told.
func (w *Whole) Versions(ctx context.Context, name string) ([]FileVersion, error) {
	f := &finder{Whole: w, name: name, at: map[string]int{}}
	err := f.staged(ctx)
	if promised, _ := filepath.Glob(filepath.Join(w.Dir(), "objects", "pack", "*.promisor")); len(promised) > 0 {
		// Following a path through history means comparing trees that such a clone may not have.
		return f.found, errors.Join(err, f.objects(ctx))
	}
	if err == nil {
		err = f.history(ctx)
	}
	return f.found, err
}

// finder gathers versions.
type finder struct {
	*Whole
	name  string
	found []FileVersion
	at    map[string]int // by id
}

func (f *finder) add(file, id string) *FileVersion {
	i, known := f.at[id]
	if !known {
		i = len(f.found)
		f.at[id] = i
		f.found = append(f.found, FileVersion{Path: file, Blob: id})
	}
	return &f.found[i]
}

// staged finds what the indexes hold, also those of worktrees that are gone.
func (f *finder) staged(ctx context.Context) error {
	dirs, err := f.gitDirs()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		c := whole(dir).repo.command()
		out, err := c.run(ctx, "ls-files", "-z", "--stage", "--", ":(top,glob)**/"+f.name)
		if err != nil {
			return fmt.Errorf("read the index in %q: %w", dir, err)
		}
		for _, entry := range splitNUL(out) {
			meta, file, _ := strings.Cut(entry, "\t")
			if fields := strings.Fields(meta); len(fields) == 3 && strings.HasPrefix(fields[0], "100") {
				f.add(file, fields[1])
			}
		}
	}
	return nil
}

// history finds what all commits hold. Commits say what they have that a parent
// has not, so one walk shows every version; one that a merge threw away is on the
// side branch, which is why that must not be left out.
func (f *finder) history(ctx context.Context) error {
	commits, trees, err := f.tips(ctx)
	if err != nil {
		return err
	}
	c := f.repo.command()
	c.options = append(c.options, "-c", "log.showRoot=true")
	c.stdin = strings.NewReader(strings.Join(commits, "\n") + "\n")
	args := []string{
		"log", "--all", "--reflog", "--stdin", "--full-history", "--date-order",
		"--raw", "--no-abbrev", "--diff-merges=separate", "--no-renames", "--no-follow", "--no-relative", "-O/dev/null",
		"--no-show-signature", "--no-notes", "--no-color", "--no-mailmap", "--encoding=UTF-8", "-z", "--format=format:" + logFields,
		"--", ":(top,glob)**/" + f.name,
	}
	last := map[string]string{}
	err = c.output(ctx, args, func(out io.Reader) error {
		p := &logParser{in: bufio.NewReaderSize(out, 64<<10)}
		p.changed = func(c *Commit, file string) {
			if c.New == "" || last[c.New] == c.ID { // Merges come once for each parent.
				return
			}
			last[c.New] = c.ID
			v := f.add(file, c.New)
			if v.Commits++; v.Commits == 1 {
				v.Newest = *c
			}
		}
		_, err := p.all()
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range trees {
		if err := f.tree(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// tree finds what a tree holds that no commit has: a ref may name one.
func (f *finder) tree(ctx context.Context, id string) error {
	out, err := f.repo.git(ctx, "ls-tree", "-r", "-z", "--full-tree", id)
	if err != nil {
		return err
	}
	for _, entry := range splitNUL(out) {
		meta, file, _ := strings.Cut(entry, "\t")
		if fields := strings.Fields(meta); len(fields) == 3 && strings.HasPrefix(fields[0], "100") && path.Base(file) == f.name {
			f.add(file, fields[2])
		}
	}
	return nil
}

// objects finds what the trees name that this repository has, whether anything
// leads to them or not, and leaves out what it does not have.
func (f *finder) objects(ctx context.Context) error {
	var trees []string
	blobs := map[string]bool{}
	c := f.repo.command()
	err := c.lines(ctx, []string{"cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectname)"}, func(line string) error {
		kind, id, _ := strings.Cut(line, " ")
		switch kind {
		case "tree":
			trees = append(trees, id)
		case "blob":
			blobs[id] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	b, err := f.repo.newBatch(ctx, false)
	if err != nil {
		return err
	}
	defer b.stop()
	err = b.ask(len(trees), func(i int) string { return trees[i] }, func(i int, o object) {
		eachEntry(o.data, len(trees[i])/2, func(mode, name string, id []byte) {
			if name == f.name && strings.HasPrefix(mode, "100") {
				f.add(name, hex.EncodeToString(id))
			}
		})
	})
	f.found = slices.DeleteFunc(f.found, func(v FileVersion) bool { return !blobs[v.Blob] })
	return err
}

// ReadBlobs hands over the content of blobs, in order. One that is missing is an
// error that wraps ErrObjectMissing. An error of do ends it.
func (w *Whole) ReadBlobs(ctx context.Context, ids []string, do func(i int, data []byte) error) error {
	if len(ids) == 0 {
		return nil
	}
	b, err := w.repo.newBatch(ctx, false)
	if err != nil {
		return err
	}
	defer b.stop()
	var failed error
	err = b.ask(len(ids), func(i int) string { return ids[i] }, func(i int, o object) {
		switch {
		case failed != nil:
		case o.kind == "":
			failed = fmt.Errorf("read blob %.10s: %w", ids[i], ErrObjectMissing)
		case o.kind == "blob":
			failed = do(i, o.data)
		}
	})
	return errors.Join(err, failed)
}

// lines runs Git and hands over its output line by line.
func (c *command) lines(ctx context.Context, args []string, do func(line string) error) error {
	return c.output(ctx, args, func(out io.Reader) error {
		in := bufio.NewScanner(out)
		for in.Scan() {
			if err := do(in.Text()); err != nil {
				return err
			}
		}
		return in.Err()
	})
}

// output runs Git and has read read its output.
func (c *command) output(ctx context.Context, args []string, read func(io.Reader) error) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, err := c.prepare(running, args)
	if err != nil {
		return err
	}
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = c.stdin, &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("run git %s: %w", args[0], err)
	}
	broken := read(stdout)
	if broken != nil {
		cancel() // Git may have more to say than the pipe holds.
	}
	err = cmd.Wait() // before anybody looks at stderr, which is written until then
	err = commandError(ctx, args, stderr.String(), err)
	if broken != nil && ctx.Err() == nil && exitCode(err) <= 0 {
		return fmt.Errorf("read what git %s printed: %w", args[0], broken)
	}
	return err
}

// pseudoRefs are the names besides refs by which Git remembers commits, and the
// files in which it does. Some of them hold several lines.
var (
	pseudoRefs = []string{"HEAD", "ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "REBASE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_HEAD", "AUTO_MERGE", "MERGE_AUTOSTASH"}
	tipFiles   = []string{
		"FETCH_HEAD", "MERGE_HEAD", "MERGE_AUTOSTASH", "rebase-merge/orig-head", "rebase-merge/autostash", "rebase-merge/onto", "rebase-merge/stopped-sha",
		"rebase-apply/orig-head", "rebase-apply/autostash", "rebase-apply/onto",
	}
)

// tips returns the commits that "log --all" does not start from by itself, which
// are what an unfinished operation is about, in each worktree, and the refs that
// each linked worktree has for itself; and the trees that refs and operations
// name. What such a file notes and is gone is no tip: Git does not protect it
// either.
func (w *Whole) tips(ctx context.Context) (commits, trees []string, err error) {
	dirs, err := w.gitDirs()
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, dir := range dirs {
		prefix := "main-worktree/"
		if dir != w.Dir() {
			prefix = "worktrees/" + filepath.Base(dir) + "/"
			own, err := w.ownRefs(ctx, dir)
			if err != nil {
				return nil, nil, err
			}
			names = append(names, own...)
		}
		for _, name := range pseudoRefs {
			names = append(names, prefix+name)
		}
		for _, name := range tipFiles {
			ids, err := idsIn(filepath.Join(dir, filepath.FromSlash(name)))
			if err != nil {
				return nil, nil, err
			}
			names = append(names, ids...)
		}
	}
	odd, err := w.oddRefs(ctx)
	if err != nil {
		return nil, nil, err
	}
	names = append(names, odd...)
	c := w.repo.command()
	c.stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	err = c.lines(ctx, []string{"cat-file", "--batch-check"}, func(line string) error {
		switch fields := strings.Fields(line); {
		case len(fields) != 3 || !isID(fields[0]):
		case fields[1] == "commit":
			commits = append(commits, fields[0])
		case fields[1] == "tree":
			trees = append(trees, fields[0])
		}
		return nil
	})
	slices.Sort(commits)
	slices.Sort(trees)
	return slices.Compact(commits), slices.Compact(trees), err
}

// oddRefs returns names for the trees to which refs lead, by a tag or themselves.
func (w *Whole) oddRefs(ctx context.Context) ([]string, error) {
	var names []string
	c := w.repo.command()
	err := c.lines(ctx, []string{"for-each-ref", "--format=%(objecttype) %(*objecttype) %(objectname)"}, func(line string) error {
		// "commit  ID" and "tag commit ID" are what nearly all are.
		if fields := strings.Fields(line); len(fields) > 0 && fields[len(fields)-2] != "commit" && fields[len(fields)-2] != "blob" {
			names = append(names, fields[len(fields)-1]+"^{tree}")
		}
		return nil
	})
	return names, err
}

// gitDirs returns the folder of each worktree in the repository, the main one's first.
func (w *Whole) gitDirs() ([]string, error) {
	dirs := []string{w.Dir()}
	linked := filepath.Join(w.Dir(), "worktrees")
	entries, err := os.ReadDir(linked)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the worktrees: %w", err)
	}
	for _, e := range entries {
		dir := filepath.Join(linked, e.Name())
		if _, err := os.Stat(filepath.Join(dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
			continue // Not a worktree, or not any more.
		} else if err != nil {
			return nil, fmt.Errorf("list the worktrees: %w", err)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// ownRefs returns what the refs point to that the linked worktree dir shares with no other.
func (w *Whole) ownRefs(ctx context.Context, dir string) ([]string, error) {
	c := whole(dir).repo.command()
	out, err := c.run(ctx, "for-each-ref", "--format=%(objectname)", "refs/bisect", "refs/worktree", "refs/rewritten")
	if err != nil {
		return nil, fmt.Errorf("read the refs of worktree %q: %w", filepath.Base(dir), err)
	}
	return strings.Fields(string(out)), nil
}

// idsIn returns the ids with which lines of a file begin; none where there is no such file.
func idsIn(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 0 && isID(fields[0]) {
			ids = append(ids, fields[0])
		}
	}
	return ids, err
}

// Exist reports which of names are objects, such as "ID:path". One that holds a
// line feed is none.
func (w *Whole) Exist(ctx context.Context, names []string) ([]bool, error) {
	there := make([]bool, len(names))
	if len(names) == 0 {
		return there, nil
	}
	var input strings.Builder
	for _, name := range names {
		input.WriteString(strings.ReplaceAll(name, "\n", "") + "\n")
	}
	c := w.repo.command()
	c.stdin = strings.NewReader(input.String())
	i := 0
	err := c.lines(ctx, []string{"cat-file", "--batch-check=%(objectname)"}, func(line string) error {
		if i < len(there) {
			there[i] = isID(line)
		}
		i++
		return nil
	})
	if err == nil && i != len(names) {
		err = fmt.Errorf("git cat-file answered %d of %d names", i, len(names))
	}
	return there, err
}
