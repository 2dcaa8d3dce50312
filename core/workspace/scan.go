package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/kept-dev/kept/cas"
)

// Scan hashes the file or folder at path. Files whose stat data is as it was
// when they were hashed last are not read again. It returns an error that wraps
// fs.ErrNotExist when nothing is there, a *LinkError when path is or lies behind a
// symbolic link, ErrSpecial for what is no file or folder, and ErrChanging when
// somebody writes meanwhile.
func (w *Workspace) Scan(ctx context.Context, path string) (*Object, error) {
	return w.visit(ctx, path, w.hash)
}

// ScanFiles hashes the listed files below folder and returns them as the tree
// of that folder, for callers that choose the files themselves. The paths are
// relative to the root, like folder.
func (w *Workspace) ScanFiles(ctx context.Context, folder string, files []string) (*Object, error) {
	o := &Object{Folder: true, tree: cas.Tree{}}
	for _, file := range files {
		inside := strings.TrimPrefix(file, folder+"/")
		if err := w.entry(ctx, o, folder, inside, w.hash); err != nil {
			return nil, err
		}
	}
	return seal(o)
}

// Keep is Scan, and puts the bytes into the store where they are not there yet.
// The returned object is in the store, whole and durable.
func (w *Workspace) Keep(ctx context.Context, store cas.Store, path string) (*Object, error) {
	keep := func(ctx context.Context, path string, info fs.FileInfo) (cas.Digest, error) {
		return w.keepFile(ctx, store, path, info)
	}
	o, err := w.visit(ctx, path, keep)
	if err != nil || !o.Folder {
		return o, err
	}
	for _, e := range o.tree {
		if e.Kind != cas.Link {
			continue
		}
		if err := w.keepLink(ctx, store, path, e); err != nil {
			return nil, err
		}
	}
	return o, putBytes(ctx, store, o.tree.Marshal(), o.Digest)
}

// fileFunc gives the digest of the file at path, which info describes.
type fileFunc func(ctx context.Context, path string, info fs.FileInfo) (cas.Digest, error)

func (w *Workspace) visit(ctx context.Context, path string, file fileFunc) (*Object, error) {
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
		return w.visitFolder(ctx, path, file)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%q: %w", path, ErrSpecial)
	}
	d, err := file(ctx, path, info)
	if err != nil {
		return nil, err
	}
	return &Object{Digest: d, Size: info.Size(), Executable: executable(info)}, nil
}

func (w *Workspace) visitFolder(ctx context.Context, folder string, file fileFunc) (*Object, error) {
	o := &Object{Folder: true, tree: cas.Tree{}}
	err := fs.WalkDir(os.DirFS(w.Abs(folder)), ".", func(inside string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return w.entry(ctx, o, folder, inside, file)
	})
	if err != nil {
		return nil, err
	}
	return seal(o)
}

// entry adds the file or link at folder/inside to o.
func (w *Workspace) entry(ctx context.Context, o *Object, folder, inside string, file fileFunc) error {
	full := path.Join(folder, inside)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := cas.CheckPath(inside); err != nil {
		return fmt.Errorf("folder %q: %w", folder, err)
	}
	info, err := os.Lstat(w.Abs(full))
	if err != nil {
		return err
	}
	e := cas.Entry{Path: inside, Kind: cas.File, Size: info.Size()}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := w.linkTarget(folder, inside)
		if err != nil {
			return err
		}
		e.Kind, e.Size, e.Digest = cas.Link, int64(len(target)), cas.Sum([]byte(target))
	case !info.Mode().IsRegular():
		return fmt.Errorf("%q: %w", full, ErrSpecial)
	default:
		if executable(info) {
			e.Kind = cas.Executable
		}
		if e.Digest, err = file(ctx, full, info); err != nil {
			return err
		}
	}
	o.tree = append(o.tree, e)
	o.Size += e.Size
	return nil
}

// seal sorts the entries and computes the manifest's digest. Parsing the
// manifest back is what finds names that clash on other systems.
func seal(o *Object) (*Object, error) {
	slices.SortFunc(o.tree, func(a, b cas.Entry) int { return strings.Compare(a.Path, b.Path) })
	manifest := o.tree.Marshal()
	if _, err := cas.ParseTree(manifest); err != nil {
		return nil, err
	}
	o.Digest = cas.Sum(manifest)
	return o, nil
}

func (w *Workspace) linkTarget(folder, inside string) (string, error) {
	full := path.Join(folder, inside)
	target, err := os.Readlink(w.Abs(full))
	if err != nil {
		return "", err
	}
	target = strings.ReplaceAll(target, string(os.PathSeparator), "/")
	if err := cas.CheckLink(inside, target); err != nil {
		return "", fmt.Errorf("link %q: %w", full, err)
	}
	return target, nil
}

func executable(info fs.FileInfo) bool { return info.Mode()&0o100 != 0 }

// hash returns the digest of the file at path, from the cache where it can.
func (w *Workspace) hash(ctx context.Context, path string, info fs.FileInfo) (cas.Digest, error) {
	if d, ok := w.cache.lookup(path, statOf(info)); ok {
		w.progress(info.Size())
		return d, nil
	}
	return w.readWith(path, info, func(f *os.File) (cas.Digest, error) {
		d, _, err := cas.SumReader(w.counted(ctx, f))
		return d, err
	})
}

// keepFile hashes the file at path and stores it unless it is there already.
func (w *Workspace) keepFile(ctx context.Context, store cas.Store, path string, info fs.FileInfo) (cas.Digest, error) {
	if d, ok := w.cache.lookup(path, statOf(info)); ok {
		_, err := store.Stat(ctx, d)
		if err == nil {
			w.progress(info.Size())
			return d, nil
		}
		var missing *cas.MissingError
		var corrupt *cas.CorruptError // out of the way now, and the content is at hand
		if !errors.As(err, &missing) && !errors.As(err, &corrupt) {
			return cas.Digest{}, err
		}
	}
	d, err := w.readWith(path, info, func(f *os.File) (cas.Digest, error) { return w.putNew(ctx, store, f) })
	if err != nil {
		return cas.Digest{}, fmt.Errorf("store %q: %w", path, err)
	}
	return d, nil
}

// putNew stores the content of f unless the store has it. Hashing first is
// cheap beside compressing and writing what a rerun made once more.
func (w *Workspace) putNew(ctx context.Context, store cas.Store, f *os.File) (cas.Digest, error) {
	d, _, err := cas.SumReader(w.counted(ctx, f))
	if err != nil {
		return cas.Digest{}, err
	}
	var missing *cas.MissingError
	if _, err := store.Stat(ctx, d); !errors.As(err, &missing) {
		return d, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return cas.Digest{}, err
	}
	stored, _, err := store.Put(ctx, w.counted(ctx, f))
	if err == nil && stored != d {
		err = ErrChanging
	}
	return d, err
}

func (w *Workspace) keepLink(ctx context.Context, store cas.Store, folder string, e cas.Entry) error {
	target, err := w.linkTarget(folder, e.Path)
	if err != nil {
		return err
	}
	return putBytes(ctx, store, []byte(target), e.Digest)
}

func putBytes(ctx context.Context, store cas.Store, b []byte, want cas.Digest) error {
	got, _, err := store.Put(ctx, bytes.NewReader(b))
	if err == nil && got != want {
		return ErrChanging
	}
	return err
}

// readWith opens the file that info describes, gives it to read, and makes sure
// that it was the same file with the same content all the while.
func (w *Workspace) readWith(path string, info fs.FileInfo, read func(*os.File) (cas.Digest, error)) (cas.Digest, error) {
	f, err := openRegular(w.Abs(path))
	if err != nil {
		return cas.Digest{}, err
	}
	defer f.Close()
	before, began := statOf(info), w.now()
	opened, err := f.Stat()
	if err != nil {
		return cas.Digest{}, err
	}
	if statOf(opened) != before {
		return cas.Digest{}, fmt.Errorf("%q: %w", path, ErrChanging)
	}
	d, err := read(f)
	if err != nil {
		return cas.Digest{}, err
	}
	after, err := f.Stat()
	if err != nil {
		return cas.Digest{}, err
	}
	if statOf(after) != before {
		return cas.Digest{}, fmt.Errorf("%q: %w", path, ErrChanging)
	}
	// The time at which reading began, not ended: a write during a long read, in
	// the same tick as the one before it, shows in neither time nor size.
	w.cache.record(path, before, d, began)
	return d, nil
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
