package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// fetch makes sure that all objects of art are in the store before anything in
// the working tree is touched, and returns a folder's tree.
func (rs *restorer) fetch(ctx context.Context, art *lockfile.Artifact) (cas.Tree, error) {
	if !art.Folder {
		return nil, rs.fetchObject(ctx, art.Hash, art.Size)
	}
	tree, err := rs.tree(ctx, art.Hash)
	if err != nil {
		return nil, err
	}
	for _, e := range tree {
		if err := rs.fetchObject(ctx, e.Digest, e.Size); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// fetchObject makes sure that an object is in the store and has the size that
// is recorded for it. Where it has another, reading it tells who is wrong.
func (rs *restorer) fetchObject(ctx context.Context, d cas.Digest, size int64) error {
	got, err := rs.Store.Stat(ctx, d)
	if err != nil || got == size {
		return err
	}
	r, err := rs.Store.Open(ctx, d)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	if err = errors.Join(err, r.Close()); err == nil {
		err = fmt.Errorf("object %s: %w: %d bytes, want %d", d.Short(), cas.ErrSize, got, size)
	}
	return err
}

// maxManifest bounds the manifest that is read into memory: some ten million entries.
const maxManifest = 1 << 30

func (r *Repository) tree(ctx context.Context, d cas.Digest) (cas.Tree, error) {
	data, err := cas.ReadAll(ctx, r.Store, d, maxManifest)
	if err != nil {
		return nil, err
	}
	return cas.ParseTree(data)
}

// isTree reports whether the object is a tree manifest. A file could hold the
// text of one too; then it comes back as the folder that it describes.
func (r *Repository) isTree(ctx context.Context, d cas.Digest) (bool, error) {
	f, err := r.Store.Open(ctx, d)
	if err != nil {
		return false, err
	}
	defer f.Close()
	const begin = "kept tree "
	head := make([]byte, len(begin))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != begin {
		return false, nil
	}
	_, err = r.tree(ctx, d)
	return err == nil, nil
}

// copyObject writes the verified content of d to w.
func copyObject(ctx context.Context, w io.Writer, store cas.Store, d cas.Digest) error {
	r, err := store.Open(ctx, d)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

// put places the content of art, which the store has.
func (rs *restorer) put(ctx context.Context, it item, tree cas.Tree) error {
	if !it.art.Folder {
		info, err := rs.place.File(ctx, rs.Store, it.path, it.art.Hash, it.art.Size, it.art.Executable)
		if err != nil {
			return err
		}
		rs.Workspace.Note(it.path, info, it.art.Hash)
		return nil
	}
	if err := rs.place.Folder(it.path); err != nil {
		return err
	}
	var links []cas.Entry
	for _, e := range tree {
		if e.Kind == cas.Link {
			links = append(links, e)
			continue
		}
		if err := rs.putEntry(ctx, it.path, e); err != nil {
			return err
		}
	}
	// Links come last, so that no file is ever written through one of them.
	for _, e := range links {
		if err := rs.putLink(ctx, it.path, e); err != nil {
			return err
		}
	}
	return nil
}

// putLink places a link, which must stay inside its own folder.
func (rs *restorer) putLink(ctx context.Context, folder string, e cas.Entry) error {
	target, err := cas.ReadAll(ctx, rs.Store, e.Digest, e.Size)
	if err != nil {
		return err
	}
	if err := cas.CheckLink(e.Path, string(target)); err != nil {
		return err
	}
	return rs.place.Link(path.Join(folder, e.Path), string(target))
}

func (rs *restorer) putEntry(ctx context.Context, folder string, e cas.Entry) error {
	file := path.Join(folder, e.Path)
	if d, ok := rs.Workspace.Known(file); ok && d == e.Digest {
		return nil
	}
	info, err := rs.place.File(ctx, rs.Store, file, e.Digest, e.Size, e.Kind == cas.Executable)
	if err != nil {
		return err
	}
	rs.Workspace.Note(file, info, e.Digest)
	return nil
}
