package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/kept-dev/kept/cas"
)

// Scan hashes the file or folder at path. Files whose stat data is as it was
// when they were hashed last are not read again. It returns an error that wraps
// fs.ErrNotExist when nothing is there, a *LinkError when path is or lies behind a
// symbolic link, ErrSpecial for what is no file or folder, and a *ChangingError when
// somebody goes on writing: a file that was replaced meanwhile is looked at again.
func (w *Workspace) Scan(ctx context.Context, path string) (*Object, error) {
	return w.settled(ctx, func(w *Workspace) (*Object, error) { return w.look(ctx, path, nil) })
}

// Put is Scan, which looks once only, and puts the bytes where the store does not have them yet into the
// batch. When that is committed the object is in the store, whole and durable.
func (w *Workspace) Put(ctx context.Context, batch cas.Batch, path string) (*Object, error) {
	return w.look(ctx, path, batch)
}

// Keep is Put into a batch of its own, which it commits.
func (w *Workspace) Keep(ctx context.Context, store cas.Store, path string) (*Object, error) {
	batch := store.Batch()
	o, err := w.Put(ctx, batch, path)
	if err == nil {
		err = batch.Commit(ctx)
	}
	if err = errors.Join(err, batch.Close()); err != nil {
		return nil, err
	}
	return o, nil
}

// ScanFiles hashes the listed files below folder and returns them as the tree
// of that folder, for callers that choose the files themselves. The paths are
// relative to the root, like folder.
func (w *Workspace) ScanFiles(ctx context.Context, folder string, files []string) (*Object, error) {
	return w.settled(ctx, func(w *Workspace) (*Object, error) { return w.lookAt(ctx, folder, files) })
}

func (w *Workspace) lookAt(ctx context.Context, folder string, files []string) (*Object, error) {
	rd := w.reader(nil)
	var buffer []byte
	tree := make(cas.Tree, 0, len(files))
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, err := rd.entry(ctx, &buffer, folder, strings.TrimPrefix(file, below(folder)))
		if err != nil {
			return nil, err
		}
		tree = append(tree, e)
	}
	if err := tree.Check(); err != nil {
		return nil, err
	}
	return treeObject(tree), nil
}

// look scans what is at path and, if there is a batch, puts it there.
func (w *Workspace) look(ctx context.Context, path string, batch cas.Batch) (*Object, error) {
	if err := w.CheckParents(path); err != nil {
		return nil, err
	}
	info, err := os.Lstat(w.Abs(path))
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("%q lies below a file: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, &LinkError{Path: path, Link: path}
	case info.IsDir():
		return w.lookIn(ctx, cleanFolder(path), batch)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%q: %w", path, ErrSpecial)
	}
	d, err := w.reader(batch).file(ctx, new([]byte), path, statOf(info))
	if err != nil {
		return nil, err
	}
	return &Object{Digest: d, Size: info.Size(), Executable: executable(info.Mode())}, nil
}

// cleanFolder returns the path of a folder as the cache has it: "" for the root.
func cleanFolder(folder string) string {
	if folder = path.Clean(folder); folder == "." {
		return ""
	}
	return folder
}

// lookIn is look for a folder.
func (w *Workspace) lookIn(ctx context.Context, path string, batch cas.Batch) (*Object, error) {
	mark := w.cache.mark()
	root, err := w.walk(ctx, path)
	if err != nil {
		return nil, err
	}
	was, unchanged := w.unchanged(root)
	rd := w.reader(batch)
	if err := rd.markMissing(ctx, root); err != nil {
		return nil, err
	}
	if unchanged && !root.any(func(f *folder) bool { return len(f.todo) > 0 }) {
		has, err := rd.has(ctx, was.digest)
		if err != nil {
			return nil, err
		}
		if has {
			if root.any(func(f *folder) bool { return f.noted }) {
				w.remember(root, mark, was, true)
			}
			if w.Progress != nil {
				w.progress(root.known())
			}
			return folderObject(root, was), nil
		}
	}
	err = rd.readAll(ctx, root)
	var now whole
	if err == nil {
		now, err = rd.seal(ctx, root)
	}
	// What was read is known even if the rest was not to be had.
	w.remember(root, mark, now, err == nil)
	if err != nil {
		return nil, err
	}
	return folderObject(root, now), nil
}

// unchanged returns what the folder was as a whole if nothing in it has changed since.
func (w *Workspace) unchanged(root *folder) (whole, bool) {
	if root.any(func(f *folder) bool { return !f.same }) {
		return whole{}, false
	}
	return w.cache.whole(root.path, root.fingerprint())
}

// any reports whether f or a folder in it is as is says.
func (f *folder) any(is func(*folder) bool) bool {
	for sub := range f.all() {
		if is(sub) {
			return true
		}
	}
	return false
}

// known returns the size of all files that need not be read.
func (f *folder) known() int64 {
	var size int64
	for sub := range f.all() {
		for i := range sub.block.len() {
			if sub.block.mode(i).IsRegular() && (sub.unsure == nil || !sub.unsure[i]) {
				size += sub.block.size(i)
			}
		}
	}
	return size
}

// seal makes the manifest, in the batch if there is one.
func (rd *reading) seal(ctx context.Context, root *folder) (whole, error) {
	m := newManifest(ctx, root)
	d, err := rd.take(ctx, m)
	if err != nil {
		return whole{}, err
	}
	return whole{digest: d, size: m.size, files: m.files}, nil
}

// remember tells the cache what a walk has found.
func (w *Workspace) remember(root *folder, mark uint64, now whole, complete bool) {
	u := &update{root: root.path, at: mark, blocks: map[string]*block{}}
	for f := range root.all() {
		b := f.block
		if f.unsure != nil {
			b = b.doubting(func(i int) bool { return f.unsure[i] })
			complete = complete && b == f.block
		}
		if b.check.IsZero() {
			b.check = b.sum()
		}
		u.blocks[f.path] = b
	}
	if complete {
		now.fingerprint = root.fingerprint()
		u.whole = &now
	}
	w.cache.take(u)
}

func (w *Workspace) linkTarget(folder, inside string) (string, error) {
	full := path.Join(folder, inside)
	target, err := os.Readlink(w.Abs(full))
	if errors.Is(err, syscall.EINVAL) { // a link no more
		return "", &ChangingError{Path: full}
	}
	if err != nil {
		return "", gone(full, err)
	}
	target = strings.ReplaceAll(target, string(os.PathSeparator), "/")
	if err := cas.CheckLink(inside, target); err != nil {
		return "", fmt.Errorf("link %q: %w", full, err)
	}
	return target, nil
}

func (w *Workspace) progress(n int64) {
	if w.Progress != nil {
		w.Progress.Add(n)
	}
}

// counted reads r until ctx ends and tells the progress of it.
func (w *Workspace) counted(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := r.Read(p)
		w.progress(int64(n))
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
