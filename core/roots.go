package core

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/internal/lazy"
	"github.com/kept-dev/kept/lockfile"
)

// rooter finds the roots of a store: the digests of all that must stay. It takes
// whatever looks like a digest in a lock or a file of the local state, so a
// lock that nobody can read, with conflict markers or damaged, counts as well as
// any, with both sides. A digest too many costs nothing. What can't be read at
// all is an error: nothing may be removed on half of the roots.
type rooter struct {
	objects *cas.Local
	each    func(cas.Digest) error
	// expanded are the digests that were looked at for being the tree of a folder.
	expanded map[cas.Digest]bool
	// absent counts the trees that the store does not have. Nothing is known of
	// the files that they name.
	absent int
}

// Roots calls each for everything that the clones which use the store have need of.
func (r *Repository) roots(ctx context.Context, clones []Clone, each func(cas.Digest) error) error {
	ro := &rooter{objects: r.objects, each: each, expanded: map[cas.Digest]bool{}}
	for i, c := range clones {
		if c.Gone {
			continue
		}
		if err := ro.clone(ctx, c.Dir); err != nil {
			if i == 0 || ctx.Err() != nil {
				return err
			}
			return &CloneError{Clone: c, Err: err}
		}
	}
	if ro.absent > 0 && hasFiles(filepath.Join(r.Local.Store(), "quarantine")) {
		return &QuarantineError{Dir: filepath.Join(r.Local.Store(), "quarantine")}
	}
	return nil
}

// QuarantineError reports that the list of a folder's files is missing and may be
// in a damaged pack: its files must not be removed before somebody has looked.
type QuarantineError struct{ Dir string }

func (e *QuarantineError) Error() string {
	return fmt.Sprintf("the list of the files of a folder is missing, and may have been in a damaged pack in %q", e.Dir)
}

func hasFiles(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}

// clone finds the roots of one clone.
func (ro *rooter) clone(ctx context.Context, common string) error {
	whole, err := git.WholeAt(common)
	if err != nil {
		return err
	}
	versions, err := whole.Versions(ctx, lockfile.Name)
	if err != nil {
		return err
	}
	ids := make([]string, len(versions))
	for i, v := range versions {
		ids[i] = v.Blob
	}
	err = whole.ReadBlobs(ctx, ids, func(i int, data []byte) error {
		v := versions[i]
		return ro.lock(ctx, &FileError{Path: v.Path, Rev: revisionOf(v)}, data)
	})
	if err != nil {
		return err
	}
	if err := ro.worktrees(ctx, whole); err != nil {
		return err
	}
	local := filepath.Join(common, localName)
	if err := ro.runs(ctx, filepath.Join(local, "runs")); err != nil {
		return err
	}
	return ro.states(ctx, filepath.Join(local, "state"))
}

// revisionOf names a revision that has a version.
func revisionOf(v git.FileVersion) string {
	if v.Newest.ID == "" {
		return "staged"
	}
	return v.Newest.ID[:min(10, len(v.Newest.ID))]
}

// worktrees finds what the locks on disk name, which need not be committed or
// even tracked.
func (ro *rooter) worktrees(ctx context.Context, whole *git.Whole) error {
	trees, err := whole.Worktrees(ctx)
	if err != nil {
		return err
	}
	for _, tree := range trees {
		files, err := tree.OnDisk(ctx, lockfile.Name)
		if err != nil {
			return err
		}
		for _, file := range files {
			data, err := readBounded(tree.Path(file), maxRooted)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			where := &FileError{Path: tree.Path(file), Err: reason(err)}
			if err != nil {
				return where
			}
			if err := ro.lock(ctx, where, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxRooted bounds the files that are searched for digests, in bytes. Locks are
// much smaller; a list of saved contents grows.
const maxRooted = 1 << 30

// runAge is how long a run keeps what it made if nothing else does: as long as a
// reflog of Git keeps a commit.
const runAge = 90 * 24 * time.Hour

// runs finds what the records of runs name: the package lists of all, and the
// artifacts and the block of those that are not old yet.
func (ro *rooter) runs(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		for _, name := range []string{"run.json", lockfile.Name, settledFile} {
			file := filepath.Join(dir, e.Name(), name)
			if info, err := os.Stat(file); err == nil && name != "run.json" && time.Since(info.ModTime()) > runAge {
				continue
			}
			data, err := readBounded(file, maxRooted)
			if errors.Is(err, fs.ErrNotExist) || err != nil && !e.IsDir() {
				continue
			}
			where := &FileError{Path: file, Err: reason(err)}
			if err != nil {
				return where
			}
			if name == "run.json" {
				err = eachDigest(data, ro.each)
			} else {
				err = ro.lock(ctx, where, data)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// states finds what the worktrees hold and what was saved before it was replaced.
func (ro *rooter) states(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".json" && ext != ".jsonl" {
			continue
		}
		file := filepath.Join(dir, e.Name())
		data, err := readBounded(file, maxRooted)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return &FileError{Path: file, Err: reason(err)}
		}
		// Any of them may be a folder.
		if err := eachDigest(data, func(d cas.Digest) error { return ro.folder(ctx, d) }); err != nil {
			return err
		}
	}
	return nil
}

var versionLine = lazy.Regexp(`(?m)^\s*version\s*=\s*([0-9]+)\s*(?:#.*)?\r?$`)

// lock finds what a lock names. where says in an error which lock that is. One
// of a newer version may name things in ways that this kept does not know.
func (ro *rooter) lock(ctx context.Context, where *FileError, data []byte) error {
	for block := range blocks(data) {
		// In a table it is a parameter that is called so.
		if inTable := bytes.HasPrefix(bytes.TrimSpace(block), []byte("[")); !inTable {
			for _, m := range versionLine().FindAllSubmatch(block, -1) {
				if n, err := strconv.ParseInt(string(m[1]), 10, 64); err != nil || n > lockfile.Version {
					where.Err = &lockfile.VersionError{Version: n}
					return where
				}
			}
		}
		each := ro.each
		// A folder has a number of files, before its hash or behind it.
		if bytes.Contains(block, []byte("files")) {
			each = func(d cas.Digest) error { return ro.folder(ctx, d) }
		}
		if err := eachDigest(block, each); err != nil {
			return err
		}
	}
	return nil
}

// blocks yields the tables of a lock, as text.
func blocks(data []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		start, at := 0, 0
		for line := range bytes.Lines(data) {
			if text := bytes.TrimSpace(line); len(text) > 2 && text[0] == '[' && (text[1] < '0' || text[1] > '9') && at > start {
				if !yield(data[start:at]) {
					return
				}
				start = at
			}
			at += len(line)
		}
		yield(data[start:])
	}
}

// eachDigest calls each for whatever in data is written as a digest.
func eachDigest(data []byte, each func(cas.Digest) error) error {
	for {
		i := bytes.Index(data, []byte(cas.Prefix))
		if i < 0 {
			return nil
		}
		data = data[i+len(cas.Prefix):]
		var d cas.Digest
		if len(data) < 2*len(d) {
			return nil
		}
		if _, err := hex.Decode(d[:], data[:2*len(d)]); err != nil {
			continue
		}
		if err := each(d); err != nil {
			return err
		}
	}
}

// treeStart begins the manifest of a folder, of any version.
const treeStart = "kept tree "

// folder passes on d and, if it is the tree of a folder, what that names.
func (ro *rooter) folder(ctx context.Context, d cas.Digest) error {
	if err := ro.each(d); err != nil || ro.expanded[d] {
		return err
	}
	ro.expanded[d] = true
	r, err := ro.objects.Open(ctx, d)
	var missing *cas.MissingError
	if errors.As(err, &missing) {
		ro.absent++
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	in := bufio.NewReaderSize(r, 64<<10)
	if first, err := in.Peek(len(treeStart)); string(first) != treeStart {
		if err == nil || errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	// The tree is believed line by line: what is named too much only stays.
	for {
		line, err := in.ReadSlice('\n')
		if len(line) > 2+2*len(d) {
			var entry cas.Digest
			if _, err := hex.Decode(entry[:], line[2:2+2*len(d)]); err == nil {
				if err := ro.each(entry); err != nil {
					return err
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, bufio.ErrBufferFull): // the rest of a path
		case err != nil:
			return err
		}
	}
}
