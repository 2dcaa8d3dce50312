package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// File names a file as it was committed.
type File struct {
	// Revision is an id, or anything else that Resolve takes.
	Revision string
	// Path is relative to the top of the worktree.
	Path string
}

// Content is what ReadFiles found for one File.
type Content struct {
	// Commit is the id that the File's revision stands for, "" where there is no such commit.
	Commit string
	Data   []byte
	// Err wraps fs.ErrNotExist where the commit has no such file, is a
	// *RevisionError where there is no such commit, and wraps ErrObjectMissing
	// where the commit has the file but this repository lacks its bytes.
	Err error
}

// ReadFile returns a file as it was in the commit rev, without any conversion
// of line ends. Errors are those of Content.
func (r *Repo) ReadFile(ctx context.Context, rev, path string) ([]byte, error) {
	contents, err := r.ReadFiles(ctx, []File{{rev, path}})
	if err != nil {
		return nil, err
	}
	return contents[0].Data, contents[0].Err
}

// ReadFiles reads many files with one Git process. The result has one Content
// for each file, in order; the error is for what stopped all of it.
func (r *Repo) ReadFiles(ctx context.Context, files []File) ([]Content, error) {
	return r.readFiles(ctx, files, isID)
}

// ReadVersions reads a file at several revisions, as users write them, with one
// Git process. Unlike ReadFiles it takes the id of nothing but a commit for a
// revision: that of an annotated tag stands for the commit, that of a tree for nothing.
func (r *Repo) ReadVersions(ctx context.Context, path string, revs ...string) ([]Content, error) {
	files := make([]File, len(revs))
	for i, rev := range revs {
		files[i] = File{rev, path}
	}
	return r.readFiles(ctx, files, func(string) bool { return false })
}

// readFiles is ReadFiles with a function that tells revisions to take as they are.
func (r *Repo) readFiles(ctx context.Context, files []File, resolved func(string) bool) ([]Content, error) {
	contents := make([]Content, len(files))
	if len(files) == 0 {
		return contents, nil
	}
	b, err := r.newBatch(ctx, false)
	if err != nil {
		return nil, err
	}
	defer b.stop()

	ids, names := map[string]string{}, []string(nil)
	for _, f := range files {
		if resolved(f.Revision) {
			ids[f.Revision] = f.Revision
		} else {
			names = append(names, f.Revision)
		}
	}
	if err := b.resolve(names, ids); err != nil {
		return nil, err
	}

	var wanted []int
	for i, f := range files {
		contents[i].Commit = ids[f.Revision]
		switch {
		case ids[f.Revision] == "":
			contents[i].Err = &RevisionError{Revision: f.Revision, Shallow: r.Shallow()}
		case strings.Contains(f.Path, "\n"):
			// The protocol is line by line, so such a name needs a process of its own.
			contents[i].Data, contents[i].Err = r.readOdd(ctx, ids[f.Revision], f.Path)
		default:
			wanted = append(wanted, i)
		}
	}
	var missing []int
	err = b.ask(len(wanted), func(i int) string { return ids[files[wanted[i]].Revision] + ":" + files[wanted[i]].Path },
		func(i int, o object) {
			f, c := files[wanted[i]], &contents[wanted[i]]
			switch o.kind {
			case "blob":
				c.Data = o.data
			case "":
				missing = append(missing, wanted[i])
			default:
				c.Err = fmt.Errorf("read %q at %s: it is a %s, not a file: %w", f.Path, f.Revision, o.kind, fs.ErrNotExist)
			}
		})
	if err != nil {
		return nil, err
	}
	for _, i := range missing {
		reason, err := b.whyMissing(ids[files[i].Revision], files[i].Path)
		if err != nil {
			return nil, err
		}
		contents[i].Err = fmt.Errorf("read %q at %s: %w", files[i].Path, files[i].Revision, reason)
		if errors.Is(reason, errNoCommit) {
			contents[i] = Content{Err: &RevisionError{Revision: files[i].Revision, Shallow: r.Shallow()}}
		}
	}
	return contents, nil
}

// resolve adds to ids the commits that names stand for. A name of no commit is left out.
func (b *batch) resolve(names []string, ids map[string]string) error {
	var asked []string
	for _, name := range names {
		if _, known := ids[name]; !known && name != "" && !strings.ContainsAny(name, "\n\r\x00") {
			ids[name] = ""
			asked = append(asked, name)
		}
	}
	return b.ask(len(asked), func(i int) string { return asked[i] + "^{commit}" }, func(i int, o object) {
		if o.kind == "commit" {
			ids[asked[i]] = o.id
		}
	})
}

// isID reports whether s is a full object name, SHA-1 or SHA-256.
func isID(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// readOdd reads a file whose name holds a line feed.
func (r *Repo) readOdd(ctx context.Context, id, path string) ([]byte, error) {
	c := r.command()
	c.env = []string{"GIT_LITERAL_PATHSPECS=1"}
	out, err := c.run(ctx, "ls-tree", "-z", "--full-tree", "--format=%(objecttype) %(objectname)", id, "--", path)
	if err != nil {
		return nil, err
	}
	blob, ok := strings.CutPrefix(strings.TrimSuffix(string(out), "\x00"), "blob ")
	if !ok {
		return nil, fmt.Errorf("read %q at %s: %w", path, id, fs.ErrNotExist)
	}
	return r.git(ctx, "cat-file", "blob", blob)
}

// object is one answer of "git cat-file --batch". kind is "" where there is no such object.
type object struct {
	id, kind string
	data     []byte
}

// batch is a running "git cat-file --batch".
type batch struct {
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr *bytes.Buffer
	wait   func() error
	cancel context.CancelFunc
}

// newBatch starts a batch. With staged it reads the index that the caller's
// environment names, which during a commit is not the one on disk.
func (r *Repo) newBatch(ctx context.Context, staged bool) (*batch, error) {
	running, cancel := context.WithCancel(ctx)
	c := r.command()
	if staged {
		c.env = stagedEnv()
	}
	args := []string{"cat-file", "--batch"}
	cmd, err := c.prepare(running, args)
	if err != nil {
		cancel()
		return nil, err
	}
	b := &batch{stderr: new(bytes.Buffer), cancel: cancel}
	cmd.Stderr = b.stderr
	stdin, err := cmd.StdinPipe()
	if err == nil {
		var stdout io.ReadCloser
		stdout, err = cmd.StdoutPipe()
		b.stdin, b.stdout = stdin, bufio.NewReaderSize(stdout, 64<<10)
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("run git cat-file: %w", err)
	}
	b.wait = func() error {
		// ctx and not running: ask ends a process that answers nonsense by the latter.
		return commandError(ctx, args, "", cmd.Wait())
	}
	return b, nil
}

// ask sends n requests and hands over the answers in order. Requests are
// written while answers are read: a pair of full pipes would stop both ends.
func (b *batch) ask(n int, request func(int) string, answer func(int, object)) error {
	if n == 0 {
		return nil
	}
	written := make(chan error, 1)
	go func() {
		w := bufio.NewWriter(b.stdin)
		for i := range n {
			w.WriteString(request(i)) // a bufio.Writer keeps its first error for Flush
			w.WriteByte('\n')
		}
		written <- w.Flush()
	}()
	for i := range n {
		o, err := b.read()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				b.cancel() // unblocks the writer; at the end of output Git itself has
			}
			<-written //nolint:errcheck // what stopped the reader is the cause
			return b.failure(err)
		}
		answer(i, o)
	}
	if err := <-written; err != nil {
		return b.failure(err)
	}
	return nil
}

// read reads one answer.
func (b *batch) read() (object, error) {
	line, err := b.stdout.ReadString('\n')
	if err != nil {
		return object{}, err
	}
	line = strings.TrimSuffix(line, "\n")
	if strings.HasSuffix(line, " missing") || strings.HasSuffix(line, " ambiguous") {
		return object{}, nil
	}
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return object{}, fmt.Errorf("git cat-file answered %q", line)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return object{}, fmt.Errorf("git cat-file answered %q", line)
	}
	// The size is that of an object in the user's own repository. Reading through
	// a limit instead of into a slice made for it keeps a lie from allocating.
	data, err := io.ReadAll(io.LimitReader(b.stdout, size))
	if err == nil && int64(len(data)) != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return object{}, err
	}
	if _, err := b.stdout.Discard(1); err != nil {
		return object{}, err
	}
	return object{id: fields[0], kind: fields[1], data: data}, nil
}

// failure ends the process and prefers its own words over a broken pipe.
func (b *batch) failure(cause error) error {
	b.stdin.Close()
	err := b.wait()
	b.wait = func() error { return nil }
	var failed *Error
	if errors.As(err, &failed) {
		failed.Stderr = b.stderr.String()
		if failed.Stderr != "" || failed.ExitCode > 0 {
			return failed
		}
	}
	if err != nil && failed == nil {
		return err
	}
	return fmt.Errorf("read from git cat-file: %w", cause)
}

// stop ends the process. All answers that were wanted have been read.
func (b *batch) stop() {
	b.stdin.Close()
	_ = b.wait()
	b.cancel()
}

var errNoCommit = errors.New("no such commit")

// whyMissing finds out whether a path that Git called missing is not in the
// commit (fs.ErrNotExist) or is named there without being in this repository
// (ErrObjectMissing). Git gives both the same word, but a file that cannot be
// read must not pass for a file that was never there.
func (b *batch) whyMissing(id, name string) (reason, err error) {
	for name = path.Clean(name); ; {
		dir, base := path.Split(name)
		dir = strings.TrimSuffix(dir, "/")
		var tree object
		err := b.ask(1, func(int) string { return id + ":" + dir }, func(_ int, o object) { tree = o })
		if err != nil {
			return nil, err
		}
		switch {
		case tree.kind == "tree":
			if treeHas(tree.data, len(tree.id)/2, base) {
				return ErrObjectMissing, nil
			}
			return fs.ErrNotExist, nil
		case tree.kind != "":
			return fs.ErrNotExist, nil // a file, where the path wants a folder
		case dir == "":
			var commit object
			err := b.ask(1, func(int) string { return id }, func(_ int, o object) { commit = o })
			if commit.kind == "" {
				return errNoCommit, err
			}
			return ErrObjectMissing, err
		}
		name = dir
	}
}

// treeHas reports whether a raw tree object has an entry called name.
func treeHas(tree []byte, idSize int, name string) bool {
	has := false
	eachEntry(tree, idSize, func(_, entry string, _ []byte) { has = has || entry == name })
	return has
}

// eachEntry calls do for the entries of a raw tree object: each is
// "<mode> <name>", a NUL and the raw object name.
func eachEntry(tree []byte, idSize int, do func(mode, name string, id []byte)) {
	for len(tree) > 0 {
		header, rest, ok := bytes.Cut(tree, []byte{0})
		if !ok || len(rest) < idSize {
			return
		}
		mode, name, _ := bytes.Cut(header, []byte(" "))
		do(string(mode), string(name), rest[:idSize])
		tree = rest[idSize:]
	}
}
