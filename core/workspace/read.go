package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas"
)

// smallFile is the size up to which a file is read in one piece.
const smallFile = 1 << 20

// runLength is how many neighbours one goroutine reads: they land side by side in
// the store.
const runLength = 64

// askAtOnce is how many files the store is asked for at a time: enough to be
// cheap, and so few that they stay in a processor's cache.
const askAtOnce = 1 << 12

// reading is one scan, or one that keeps what it reads.
type reading struct {
	*Workspace
	batch cas.Batch // nil: hash only
}

func (w *Workspace) reader(batch cas.Batch) *reading { return &reading{w, batch} }

// has reports whether d need not be put: because nothing is, or it is there.
func (rd *reading) has(ctx context.Context, d cas.Digest) (bool, error) {
	if rd.batch == nil {
		return true, nil
	}
	has, err := rd.batch.Has(ctx, d)
	var corrupt *cas.CorruptError // out of the way now, and the content is at hand
	if errors.As(err, &corrupt) {
		return false, nil
	}
	return has, err
}

// take hashes, or puts, what r yields.
func (rd *reading) take(ctx context.Context, r interface{ Read([]byte) (int, error) }) (cas.Digest, error) {
	if rd.batch == nil {
		d, _, err := cas.SumReader(r)
		return d, err
	}
	d, _, err := rd.batch.Put(ctx, r)
	return d, err
}

// takeBytes hashes, or puts, content.
func (rd *reading) takeBytes(ctx context.Context, content []byte) (cas.Digest, error) {
	if rd.batch == nil {
		return cas.Sum(content), nil
	}
	return rd.batch.PutBytes(ctx, content)
}

// markMissing makes the files be read that the cache knows and the store has not.
func (rd *reading) markMissing(ctx context.Context, root *folder) error {
	if rd.batch == nil {
		return nil
	}
	p := newPool[question](ctx)
	var some []*folder
	files := 0
	for f := range root.all() {
		some = append(some, f)
		if files += f.block.len(); files >= askAtOnce {
			p.add(rd.markIn(ctx, some))
			some, files = nil, 0
		}
	}
	p.add(rd.markIn(ctx, some))
	return p.run()
}

// question is some files that the store is asked for.
type question struct {
	files   []job
	digests []cas.Digest // of files
}

// markIn is markMissing for the files of some folders.
func (rd *reading) markIn(ctx context.Context, folders []*folder) func(*question) error {
	ask := func(q *question) error {
		missing, err := rd.batch.Missing(ctx, q.digests)
		for _, n := range missing {
			q.files[n].f.need(q.files[n].i)
		}
		q.files, q.digests = q.files[:0], q.digests[:0]
		return err
	}
	return func(q *question) error {
		for _, f := range folders {
			b := f.block
			for i := range b.len() {
				if b.isDir(i) || f.unsure != nil && f.unsure[i] {
					continue
				}
				q.files, q.digests = append(q.files, job{f, i}), append(q.digests, b.digest(i))
				if len(q.files) < askAtOnce {
					continue
				}
				if err := ask(q); err != nil {
					return err
				}
			}
		}
		return ask(q)
	}
}

// job is a record that has to be read, or asked for.
type job struct {
	f *folder
	i int
}

// readAll reads what has to be, in the order of the paths.
func (rd *reading) readAll(ctx context.Context, root *folder) error {
	jobs, err := rd.jobs(root)
	if err != nil {
		return err
	}
	rd.progress(root.known())
	return inOrder(ctx, len(jobs), runLength, func(buffer *[]byte, n int) error {
		return rd.do(ctx, buffer, root.path, jobs[n])
	})
}

// jobs lists what has to be read. Bad names are found before anything is. Links
// are among it: where one may lead depends on the folder that is asked for.
func (rd *reading) jobs(root *folder) ([]job, error) {
	var jobs []job
	for at := newCursor(root); ; {
		f, i, prefix := at.next()
		if f == nil {
			return jobs, nil
		}
		mode := f.block.mode(i)
		if mode&fs.ModeSymlink != 0 {
			f.need(i)
		}
		if f.unsure == nil || !f.unsure[i] {
			continue
		}
		name := string(f.block.name(i))
		if err := cas.CheckPath(prefix + name); err != nil {
			return nil, fmt.Errorf("folder %q: %w", root.path, err)
		}
		if !mode.IsRegular() && mode&fs.ModeSymlink == 0 {
			return nil, fmt.Errorf("%q: %w", path.Join(f.path, name), ErrSpecial)
		}
		jobs = append(jobs, job{f, i})
	}
}

// do reads one file or link.
func (rd *reading) do(ctx context.Context, buffer *[]byte, root string, j job) error {
	b := j.f.block
	full := path.Join(j.f.path, string(b.name(j.i)))
	before := b.stat(j.i)
	if before.mode.IsRegular() {
		d, began, err := rd.content(ctx, buffer, full, before, b.digest(j.i))
		if err != nil {
			return err
		}
		b.setDigest(j.i, d)
		j.f.unsure[j.i] = racy(before, began)
		return nil
	}
	began := rd.now()
	target, err := rd.linkTarget(root, strings.TrimPrefix(full, below(root)))
	if err != nil {
		return err
	}
	d, err := rd.takeBytes(ctx, []byte(target))
	if err != nil {
		return err
	}
	b.setDigest(j.i, d)
	b.setSize(j.i, int64(len(target)))
	j.f.unsure[j.i] = !linksKeep || before.size != int64(len(target)) || racy(before, began)
	return nil
}

// file returns the digest of the file at path, which s describes, from the cache
// where it can.
func (rd *reading) file(ctx context.Context, buffer *[]byte, path string, s stat) (cas.Digest, error) {
	was, ok := rd.cache.lookup(path, s, rd.now)
	if ok {
		if has, err := rd.has(ctx, was); err != nil {
			return cas.Digest{}, err
		} else if has {
			rd.progress(s.size)
			return was, nil
		}
	}
	d, began, err := rd.content(ctx, buffer, path, s, was)
	if err == nil {
		if racy(s, began) {
			s = noStat // not to be relied on, but the next version is read with its help
		}
		rd.cache.note(path, s, d)
	}
	return d, err
}

// entry returns the file or link at folder/inside as a tree has it.
func (rd *reading) entry(ctx context.Context, buffer *[]byte, folder, inside string) (cas.Entry, error) {
	if err := cas.CheckPath(inside); err != nil {
		return cas.Entry{}, fmt.Errorf("folder %q: %w", folder, err)
	}
	full := path.Join(folder, inside)
	info, err := os.Lstat(rd.Abs(full))
	if err != nil {
		return cas.Entry{}, err
	}
	e := cas.Entry{Path: inside, Kind: cas.File, Size: info.Size()}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := rd.linkTarget(folder, inside)
		if err != nil {
			return e, err
		}
		e.Kind, e.Size, e.Digest = cas.Link, int64(len(target)), cas.Sum([]byte(target))
		return e, nil
	case !info.Mode().IsRegular():
		return e, fmt.Errorf("%q: %w", full, ErrSpecial)
	case executable(info.Mode()):
		e.Kind = cas.Executable
	}
	e.Digest, err = rd.file(ctx, buffer, full, statOf(info))
	return e, err
}

// content reads the file that before describes, and makes sure that it was the
// same file with the same content all the while. was is the digest of what it had earlier, if
// that is known.
//
// It returns the time at which reading began, not ended: a write during a long
// read, in the same tick as the one before it, shows in neither time nor size.
func (rd *reading) content(ctx context.Context, buffer *[]byte, path string, before stat, was cas.Digest) (d cas.Digest, began time.Time, err error) {
	began = rd.now()
	if before.size > smallFile {
		d, err = rd.large(ctx, path, before, was)
	} else {
		d, err = rd.small(ctx, buffer, path, before)
	}
	switch {
	case errors.Is(err, ErrChanging):
		err = &ChangingError{Path: path}
	case err != nil && rd.batch != nil:
		err = fmt.Errorf("store %q: %w", path, err)
	}
	return d, began, err
}

func (rd *reading) small(ctx context.Context, buffer *[]byte, path string, before stat) (cas.Digest, error) {
	if int64(len(*buffer)) < before.size {
		*buffer = make([]byte, max(before.size, 64<<10))
	}
	content, after, err := readFile(rd.Abs(path), before, *buffer)
	if err != nil {
		return cas.Digest{}, gone(path, err)
	}
	if after != before {
		return cas.Digest{}, ErrChanging
	}
	rd.progress(before.size)
	return rd.takeBytes(ctx, content)
}

func (rd *reading) large(ctx context.Context, path string, before stat, was cas.Digest) (cas.Digest, error) {
	f, err := openRegular(rd.Abs(path))
	if err != nil {
		return cas.Digest{}, gone(path, err)
	}
	defer f.Close()
	if err := sameAs(f, before); err != nil {
		return cas.Digest{}, err
	}
	// Not to its end, which somebody may move ahead as fast as it is read.
	d, err := rd.take(ctx, cas.VersionOf(was, rd.counted(ctx, io.LimitReader(f, before.size))))
	if err != nil {
		return cas.Digest{}, err
	}
	return d, sameAs(f, before)
}

// sameAs returns ErrChanging unless f is what before describes.
func sameAs(f *os.File, before stat) error {
	info, err := f.Stat()
	if err == nil && statOf(info) != before {
		err = ErrChanging
	}
	return err
}

// treeObject makes an Object of a tree that passes Check.
func treeObject(tree cas.Tree) *Object {
	slices.SortFunc(tree, func(a, b cas.Entry) int { return strings.Compare(a.Path, b.Path) })
	return &Object{
		Digest: cas.Sum(tree.Marshal()), Size: tree.Size(), Folder: true,
		files: int64(len(tree)), tree: func() cas.Tree { return tree },
	}
}
