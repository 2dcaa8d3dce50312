package git

import (
	"bufio"
	"context"
	"io"
	"strings"
)

// Update is a ref that a push of Git changes, as Git tells the pre-push hook.
type Update struct {
	// LocalRef and LocalID are what is sent; the ID is all zeros where a ref is deleted.
	LocalRef, LocalID string
	// RemoteRef and RemoteID are what is there; the ID is all zeros for a new ref.
	RemoteRef, RemoteID string
}

// Deletes reports whether nothing is sent.
func (u Update) Deletes() bool { return strings.Trim(u.LocalID, "0") == "" }

// ReadUpdates reads what Git writes to a pre-push hook, a ref a line.
func ReadUpdates(in io.Reader) ([]Update, error) {
	var list []Update
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f := strings.Split(lines.Text(), " ")
		if len(f) != 4 || !isID(f[1]) || !isID(f[3]) {
			continue
		}
		list = append(list, Update{f[0], f[1], f[2], f[3]})
	}
	return list, lines.Err()
}

// Outgoing returns the versions of all files called name that the commits bring
// which a push is about to send to a remote, and which the remote-tracking branches
// do not have: the newest first, each content once for each path.
func (r *Repo) Outgoing(ctx context.Context, remote string, updates []Update, name string) ([]FileVersion, error) {
	sent, there, err := r.commitsOf(ctx, updates)
	if err != nil || len(sent) == 0 {
		return nil, err
	}
	var input strings.Builder
	input.WriteString(strings.Join(sent, "\n") + "\n")
	for _, id := range there {
		input.WriteString("^" + id + "\n")
	}
	c := r.command()
	c.options = append(c.options, "-c", "log.showRoot=true")
	c.stdin = strings.NewReader(input.String())
	args := []string{
		"log", "--stdin", "--full-history", "--topo-order",
		"--raw", "--no-abbrev", "--diff-merges=separate", "--no-renames", "--no-follow", "--no-relative", "-O/dev/null",
		"--no-show-signature", "--no-notes", "--no-color", "--no-mailmap", "--encoding=UTF-8", "-z", "--format=format:" + logFields,
	}
	if ValidBranch(remote) {
		args = append(args, "--not", "--remotes="+remote)
	}
	args = append(args, "--", ":(top,glob)**/"+name)
	var found []FileVersion
	at := map[[2]string]bool{}
	err = c.output(ctx, args, func(out io.Reader) error {
		p := &logParser{in: bufio.NewReaderSize(out, 64<<10)}
		p.changed = func(c *Commit, file string) {
			key := [2]string{file, c.New}
			if c.New == "" || at[key] {
				return
			}
			at[key] = true
			found = append(found, FileVersion{Path: file, Blob: c.New, Newest: *c, Commits: 1})
		}
		_, err := p.all()
		return err
	})
	return found, err
}

// commitsOf returns the commits that a push sends, and those on the remote that this
// clone has. A ref can also point to something else, which has no history.
func (r *Repo) commitsOf(ctx context.Context, updates []Update) (sent, there []string, err error) {
	var input strings.Builder
	n := 0
	for _, u := range updates {
		if !u.Deletes() {
			input.WriteString(u.LocalID + "^{commit}\n")
			n++
		}
	}
	if n == 0 {
		return nil, nil, nil
	}
	for _, u := range updates {
		if strings.Trim(u.RemoteID, "0") != "" {
			input.WriteString(u.RemoteID + "^{commit}\n")
		}
	}
	c := r.command()
	c.env = []string{"GIT_NO_LAZY_FETCH=1"}
	c.stdin = strings.NewReader(input.String())
	i := 0
	err = c.lines(ctx, []string{"cat-file", "--batch-check=%(objectname)"}, func(line string) error {
		switch {
		case !isID(line):
		case i < n:
			sent = append(sent, line)
		default:
			there = append(there, line)
		}
		i++
		return nil
	})
	return sent, there, err
}
