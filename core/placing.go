package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/workspace"
	"github.com/kept-dev/kept/lockfile"
)

// fetch makes sure that the store has what is needed to make of is, the folder
// that is there, what art names, before anything in the working tree is touched.
// It returns a folder's tree.
func (rs *restorer) fetch(ctx context.Context, art *lockfile.Artifact, is cas.Tree) (cas.Tree, error) {
	if !art.Folder {
		return nil, rs.fetchObject(ctx, art.Hash, art.Size)
	}
	tree, err := rs.tree(ctx, art.Hash)
	if err != nil {
		return nil, err
	}
	for _, e := range compare(is, tree).place {
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
	head := make([]byte, len(treeStart))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != treeStart {
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

// put places the content of art, which the store has, over current: what is
// there, nil if nothing is.
func (rs *restorer) put(ctx context.Context, it item, tree cas.Tree, current *workspace.Object) error {
	if it.art.Folder {
		return rs.putFolder(ctx, it.path, tree, current)
	}
	old := cas.Digest{}
	if current != nil && !current.Folder {
		old = current.Digest
	}
	info, err := rs.place.Update(ctx, rs.Store, it.path, old, it.art.Hash, it.art.Size, it.art.Executable)
	if err != nil {
		return err
	}
	rs.Workspace.Note(it.path, info, it.art.Hash)
	return nil
}

// putFolder places what current does not have as it should be, several files at
// once, each goroutine in the order in which the store reads fastest.
func (rs *restorer) putFolder(ctx context.Context, folder string, tree cas.Tree, current *workspace.Object) error {
	if err := rs.place.Folder(folder); err != nil {
		return err
	}
	var is cas.Tree
	if current != nil && current.Folder {
		is = current.Tree()
	}
	var files, links []replacing
	for _, r := range compare(is, tree).place {
		if r.Kind == cas.Link {
			links = append(links, r)
		} else {
			files = append(files, r)
		}
	}
	files = inOrder(rs.Store, files, func(r replacing) cas.Digest { return r.Digest })
	size := func(r replacing) int64 { return r.Size }
	err := inParts(ctx, files, size, func(ctx context.Context, part []replacing) error {
		return rs.putEach(ctx, part, func(s *cas.Session, r replacing) error { return rs.putFile(ctx, s, folder, r) })
	})
	if err != nil {
		return err
	}
	// Links come last, so that no file is ever written through one of them.
	return rs.putEach(ctx, links, func(s *cas.Session, r replacing) error { return rs.putLink(ctx, s, folder, r.Entry) })
}

// putEach calls put for each entry in a session of its own.
func (rs *restorer) putEach(ctx context.Context, part []replacing, put func(*cas.Session, replacing) error) error {
	session := rs.place.Session()
	for _, r := range part {
		err := ctx.Err()
		if err == nil {
			err = put(session, r)
		}
		if err != nil {
			_ = session.Close()
			return err
		}
	}
	return session.Close()
}

func (rs *restorer) putFile(ctx context.Context, s *cas.Session, folder string, r replacing) error {
	file := path.Join(folder, r.Path)
	info, err := s.Update(ctx, rs.Store, file, r.old, r.Digest, r.Size, r.Kind == cas.Executable)
	if err != nil {
		return err
	}
	rs.Workspace.Note(file, info, r.Digest)
	return nil
}

// putLink places a link, which must stay inside its own folder.
func (rs *restorer) putLink(ctx context.Context, s *cas.Session, folder string, e cas.Entry) error {
	target, err := cas.ReadAll(ctx, rs.Store, e.Digest, e.Size)
	if err != nil {
		return err
	}
	if err := cas.CheckLink(e.Path, string(target)); err != nil {
		return err
	}
	return s.Link(path.Join(folder, e.Path), string(target))
}
