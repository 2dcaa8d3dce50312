package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// LogOptions says which part of history Log reads.
type LogOptions struct {
	// Revision is what the user wrote: a revision, "A..B" or "A...B"; "" is HEAD.
	Revision string
	// Since leaves out what was committed before it, in any form that "git log --since" takes.
	Since string
	// FirstParent follows the first parent of merges only.
	FirstParent bool
}

// Commit is a commit that gave a path another content, or a merge that brings
// histories of it together.
type Commit struct {
	ID string
	// Parents are the next commits back in the history of the path: those that
	// left the path alone are skipped. One that is in the log comes after its
	// children there; others are beyond the range that was asked for, and have the
	// path as it was before.
	Parents []string
	Author  string
	Time    time.Time // when it was authored
	Subject string
	// Old and New are the blobs before and after. Old is the first parent's. Both
	// are "" where there is no such file, or something else than a file.
	Old, New string
	// Odd says that afterwards a link, a folder or a submodule is there.
	Odd bool
	// Boundary says that a shallow clone ends here: what the commit is said to have
	// added may be older.
	Boundary bool
}

// Log returns the commits that changed what is at path, children before their
// parents, with one Git process. The path is followed under its name only: a
// renamed file begins a history of its own. A repository without a commit has
// an empty log, an unknown revision gives a *RevisionError.
func (r *Repo) Log(ctx context.Context, path string, o LogOptions) ([]Commit, error) {
	boundary, err := r.boundary()
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	c := r.command()
	c.env = literal
	c.options = append(c.options, "-c", "log.showRoot=true")
	args := logArgs(path, o)
	cmd, err := c.prepare(running, args)
	if err != nil {
		return nil, err
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("run git log: %w", err)
	}
	commits, broken := readLog(stdout)
	if broken != nil {
		cancel() // Git may have more to say than the pipe holds.
	}
	err = cmd.Wait()
	if err = commandError(ctx, args, stderr.String(), err); err != nil && (broken == nil || ctx.Err() != nil) {
		return r.noLog(ctx, o, err)
	}
	if broken != nil {
		return nil, fmt.Errorf("read what git log says of %q: %w", path, broken)
	}
	if o.FirstParent {
		for i := range commits {
			commits[i].Parents = commits[i].Parents[:min(1, len(commits[i].Parents))]
		}
	}
	for i := range commits {
		commits[i].Boundary = boundary[commits[i].ID]
	}
	return commits, r.askFor(ctx, path, commits, carry(commits))
}

// logFields are what each commit begins with. None of them can hold a NUL: Git
// ends a message and a name there.
const logFields = "%H%x00%P%x00%at%x00%an%x00%s%x00"

// logArgs are the arguments of Log. What the user may have configured for "git
// log" is said explicitly, so that the output is what readLog reads.
func logArgs(path string, o LogOptions) []string {
	args := []string{
		"log", "--topo-order", "--parents",
		"--raw", "--no-abbrev", "--diff-merges=first-parent", "--no-renames", "--no-follow", "--no-relative", "-O/dev/null",
		"--no-show-signature", "--no-notes", "--no-color", "--no-mailmap", "--encoding=UTF-8", "-z", "--format=format:" + logFields,
	}
	// A side branch whose lock a merge threw away is history as well; a merge that
	// changed nothing and joins nothing is not.
	args = append(args, "--full-history", "--simplify-merges")
	if o.FirstParent {
		args = append(args, "--first-parent")
	}
	if o.Since != "" {
		args = append(args, "--since="+o.Since)
	}
	return append(args, "--end-of-options", orHead(o.Revision), "--", path)
}

// noLog explains a git log that failed.
func (r *Repo) noLog(ctx context.Context, o LogOptions, err error) ([]Commit, error) {
	var failed *Error
	if !errors.As(err, &failed) || failed.ExitCode != 128 {
		return nil, err
	}
	for _, words := range []string{"ambiguous argument", "bad revision", "unknown revision", "bad object"} {
		if !strings.Contains(failed.Stderr, words) {
			continue
		}
		if o.Revision == "" {
			if head, headErr := r.Head(ctx); head == "" && headErr == nil {
				return nil, nil
			}
		}
		return nil, &RevisionError{Revision: orHead(o.Revision)}
	}
	return nil, err
}

// boundary returns the commits at which a shallow clone ends. It starts nothing.
func (r *Repo) boundary() (map[string]bool, error) {
	data, err := os.ReadFile(filepath.Join(r.CommonDir, "shallow"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	ids := map[string]bool{}
	for _, id := range strings.Fields(string(data)) {
		ids[id] = true
	}
	return ids, err
}

// readLog reads what git log prints for logArgs.
func readLog(r io.Reader) ([]Commit, error) {
	p := &logParser{in: bufio.NewReaderSize(r, 64<<10)}
	return p.all()
}

func (p *logParser) all() ([]Commit, error) {
	for {
		c, err := p.commit()
		if errors.Is(err, io.EOF) {
			return p.commits, nil
		}
		if err != nil {
			return nil, fmt.Errorf("commit %d: %w", len(p.commits)+1, err)
		}
		p.commits = append(p.commits, c)
	}
}

type logParser struct {
	in      *bufio.Reader
	commits []Commit
	// changed, if set, is called for each path of a commit, which is in Old and New then.
	changed func(c *Commit, path string)
}

// unknown is the blob of a commit without a line about the path: it has what its
// first parent has.
const unknown = "?"

// commit reads one commit, and io.EOF behind the last one:
//
//	ID NUL PARENTS NUL TIME NUL AUTHOR NUL SUBJECT NUL [LF ":" RAW NUL PATH NUL] NUL
//
// The last NUL separates commits and is not there at the end.
func (p *logParser) commit() (Commit, error) {
	id, err := p.field()
	if err != nil {
		return Commit{}, err
	}
	fields := [4]string{}
	for i := range fields {
		if fields[i], err = p.field(); err != nil {
			return Commit{}, unexpected(err)
		}
	}
	c := Commit{ID: id, Parents: strings.Fields(fields[0]), Author: fields[2], Subject: fields[3], Old: unknown, New: unknown}
	seconds, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil && fields[1] != "" {
		return Commit{}, fmt.Errorf("time %q is none", fields[1])
	}
	c.Time = time.Unix(seconds, 0)
	for _, name := range append(c.Parents, id) {
		if !isID(name) {
			return Commit{}, fmt.Errorf("%q is no commit", name)
		}
	}
	raw, err := p.field()
	for err == nil && raw != "" {
		if err = c.raw(strings.TrimPrefix(raw, "\n")); err != nil {
			return Commit{}, err
		}
		path, pathErr := p.field()
		if pathErr != nil {
			return Commit{}, unexpected(pathErr)
		}
		if p.changed != nil {
			p.changed(&c, path)
		}
		raw, err = p.field()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return Commit{}, err
	}
	return c, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// field reads up to a NUL, or io.EOF where nothing is left.
func (p *logParser) field() (string, error) {
	text, err := p.in.ReadString(0)
	if err != nil {
		if errors.Is(err, io.EOF) && text != "" {
			return "", io.ErrUnexpectedEOF
		}
		return "", err
	}
	return text[:len(text)-1], nil
}

// raw reads ":100644 100644 OLD NEW M".
func (c *Commit) raw(line string) error {
	fields := strings.Fields(line)
	if len(fields) != 5 || !isID(fields[2]) || !isID(fields[3]) {
		return fmt.Errorf("%.100q is no difference", line)
	}
	c.Old, _ = blobOf(strings.TrimPrefix(fields[0], ":"), fields[2])
	c.New, c.Odd = blobOf(fields[1], fields[3])
	return nil
}

// blobOf returns the blob of a regular file, and "" for anything else.
func blobOf(mode, id string) (blob string, odd bool) {
	switch mode {
	case "100644", "100755", "100664": // The last is of the first years of Git.
		return id, false
	case "000000":
		return "", false
	}
	return "", true
}

// carry gives the commits that do not differ from their first parent the blob
// that this has. It returns those whose first parent is beyond the range.
func carry(commits []Commit) (beyond []int) {
	at := make(map[string]int, len(commits))
	for i := range commits {
		at[commits[i].ID] = i
	}
	for i := len(commits) - 1; i >= 0; i-- {
		c := &commits[i]
		if c.New != unknown {
			continue
		}
		c.Old, c.New = "", ""
		if len(c.Parents) == 0 {
			continue
		}
		parent, ok := at[c.Parents[0]]
		if !ok || parent <= i {
			beyond = append(beyond, i)
			continue
		}
		c.Old, c.New, c.Odd = commits[parent].New, commits[parent].New, commits[parent].Odd
	}
	return beyond
}

// askFor looks into commits themselves for what they have at path.
func (r *Repo) askFor(ctx context.Context, path string, commits []Commit, which []int) error {
	if len(which) == 0 || strings.Contains(path, "\n") {
		return nil
	}
	b, err := r.newBatch(ctx, false)
	if err != nil {
		return err
	}
	defer b.stop()
	return b.ask(len(which), func(i int) string { return commits[which[i]].ID + ":" + path }, func(i int, o object) {
		c := &commits[which[i]]
		c.Odd = o.kind != "blob" && o.kind != ""
		if o.kind == "blob" {
			c.Old, c.New = o.id, o.id
		}
	})
}

// ReadBlobs hands over the content of blobs. err wraps ErrObjectMissing where the
// repository does not have one. What a partial clone lacks is fetched first.
func (r *Repo) ReadBlobs(ctx context.Context, ids []string, do func(i int, data []byte, err error)) error {
	if len(ids) == 0 {
		return nil
	}
	absent, err := r.fetchPromised(ctx, ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if absent[id] {
			do(i, nil, fmt.Errorf("read blob %.10s: %w", id, ErrObjectMissing))
		}
	}
	here := without(ids, absent)
	b, err := r.newBatch(ctx, false)
	if err != nil {
		return err
	}
	defer b.stop()
	return b.ask(len(here), func(i int) string { return ids[here[i]] }, func(i int, o object) {
		if o.kind != "blob" {
			do(here[i], nil, fmt.Errorf("read blob %.10s: %w", ids[here[i]], ErrObjectMissing))
			return
		}
		do(here[i], o.data, nil)
	})
}

// Touching returns the commits that old does not have and new does, both given
// by id, and that change one of the paths: files, or folders with all in them.
func (r *Repo) Touching(ctx context.Context, old, new string, paths []string) ([]string, error) {
	c := r.command()
	c.env = literal
	args := append([]string{"rev-list", new, "^" + old, "--"}, paths...)
	out, err := c.run(ctx, args...)
	return strings.Fields(string(out)), err
}

// Commit returns author, time and subject of a commit, given by id.
func (r *Repo) Commit(ctx context.Context, id string) (Commit, error) {
	out, err := r.git(ctx, "log", "-1", "--no-patch", "--no-show-signature", "--no-notes", "--no-color", "--encoding=UTF-8",
		"--format=format:"+logFields, id, "--")
	if err != nil {
		return Commit{}, err
	}
	commits, err := readLog(strings.NewReader(string(out)))
	if err != nil || len(commits) != 1 {
		return Commit{}, fmt.Errorf("read what git log says of %.10s: %w", id, errors.Join(err))
	}
	return commits[0], nil
}
