package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/zeebo/blake3"

	"github.com/kept-dev/kept/cas/disk"
)

const (
	// fewTables is how many packs may do without an index after a Merge, and
	// manyTables how many before Publish merges by itself.
	fewTables  = 8
	manyTables = 32
	// mergeBuffer is how many bytes of records are written at a time.
	mergeBuffer = 4096 * recordSize
)

// tablesInMemory is how many bytes of tables are held when a folder is read,
// before an index is made of them. Tests set it.
var tablesInMemory = 32 << 20

// Merge makes an index of the packs that none has, if there are more than a few.
// Indexes that are not much larger are merged into it, so that there are as many
// as the number of entries has digits, and each entry was written as often.
// Indexes that lost most of their packs, or have what others have, go.
func (s *Set) Merge(ctx context.Context) error {
	s.merging.Lock()
	defer s.merging.Unlock()
	return s.merge(ctx)
}

func (s *Set) merge(ctx context.Context) error {
	for {
		v, err := s.current()
		if err != nil {
			return err
		}
		chosen := choose(v.runs)
		if len(chosen) == 0 {
			return nil
		}
		if bad := firstDamaged(chosen); bad != nil {
			if err := s.drop(bad); err != nil {
				return err
			}
			continue
		}
		name, bad, err := s.combine(ctx, v, chosen)
		switch {
		case err != nil:
			return fmt.Errorf("merge index: %w", err)
		case bad != nil:
			if err := s.drop(bad); err != nil {
				return err
			}
		default:
			return s.supersede(chosen, name)
		}
	}
}

// choose returns what is to be merged: nothing, or tables and the indexes that
// are not much larger than all of it, and indexes that are not worth their place.
func choose(runs []*run) (chosen []*run) {
	var tables, indexes []*run
	size := 0
	for _, r := range runs {
		if r.index == nil {
			tables = append(tables, r)
			size += len(r.records)
		} else {
			indexes = append(indexes, r)
		}
	}
	slices.SortFunc(indexes, func(a, b *run) int { return len(b.records) - len(a.records) })
	seen := map[Name]bool{}
	var worth []*run
	for _, r := range indexes {
		fresh := 0
		for i, name := range r.packs {
			if !seen[name] && (r.gone == nil || !r.gone[i]) {
				fresh++
				seen[name] = true
			}
		}
		if fresh*2 <= len(r.packs) {
			chosen = append(chosen, r)
		} else {
			worth = append(worth, r)
		}
	}
	if len(tables) <= fewTables {
		return chosen
	}
	for _, r := range slices.Backward(worth) { // the smallest first
		if len(r.records) > 2*size {
			break
		}
		size += len(r.records)
		chosen = append(chosen, r)
	}
	return append(chosen, tables...)
}

// firstDamaged returns an index that must not be merged: the damage would get a
// good checksum.
func firstDamaged(runs []*run) *index {
	for _, r := range runs {
		if r.index != nil && r.index.verify() != nil {
			return r.index
		}
	}
	return nil
}

// combine writes one index of the packs of all chosen runs, without those that
// are gone or in another index of v, and returns its name; none if no pack is
// left. Or it returns an index that turned out to be damaged.
func (s *Set) combine(ctx context.Context, v *view, chosen []*run) (name Name, bad *index, err error) {
	names, numbers := enumerate(v, chosen)
	if len(names) == 0 {
		return Name{}, nil, nil
	}
	t, err := s.temp()
	if err != nil {
		return Name{}, nil, err
	}
	defer t.Discard()
	w := indexWriter{t: t, hash: blake3.New()}
	w.begin(names)
	bad = mergeRuns(chosen, Key{}, func(r *run, rec []byte) (more, wrong bool) {
		pack := packOf(rec)
		if int64(pack) >= int64(len(r.packs)) {
			return false, true
		}
		if number := numbers[r][pack]; number >= 0 {
			w.add(rec, uint32(number))
			if len(w.buf) >= mergeBuffer {
				w.flush()
				w.err = errors.Join(w.err, ctx.Err())
			}
		}
		return w.err == nil, false
	})
	if bad != nil {
		return Name{}, bad, nil
	}
	if name, err = w.finish(); err != nil {
		return Name{}, nil, err
	}
	if err := ctx.Err(); err != nil {
		return Name{}, nil, err
	}
	return name, nil, s.publishIndex(t, name)
}

// enumerate returns the packs of an index to be made of the chosen runs, sorted,
// and for each run the numbers of its packs among them; -1 is none.
func enumerate(v *view, chosen []*run) (names []Name, numbers map[*run][]int) {
	taken := map[Name]bool{}
	for _, r := range v.runs {
		if r.index != nil && !slices.Contains(chosen, r) {
			for _, name := range r.packs {
				taken[name] = true
			}
		}
	}
	numbers = map[*run][]int{}
	for _, r := range chosen {
		numbers[r] = make([]int, len(r.packs))
		for i, name := range r.packs {
			numbers[r][i] = -1
			if v.packs[name] && !taken[name] {
				taken[name] = true
				numbers[r][i] = 0
				names = append(names, name)
			}
		}
	}
	compare := func(a, b Name) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(names, compare)
	for r, list := range numbers {
		for i := range list {
			if list[i] == 0 {
				list[i], _ = slices.BinarySearchFunc(names, r.packs[i], compare)
			}
		}
	}
	return names, numbers
}

// indexWriter writes an index into t. It keeps its first error.
type indexWriter struct {
	t    disk.Temp
	hash *blake3.Hasher
	buf  []byte
	err  error
}

func (w *indexWriter) begin(names []Name) {
	w.buf = append(w.buf, indexHeader...)
	w.buf = le.AppendUint32(w.buf, uint32(len(names)))
	w.buf = le.AppendUint32(w.buf, 0)
	for _, name := range names {
		w.buf = append(w.buf, name[:]...)
	}
}

func (w *indexWriter) add(rec []byte, pack uint32) {
	w.buf = append(w.buf, rec...)
	le.PutUint32(w.buf[len(w.buf)-recordSize+packAt:], pack)
}

func (w *indexWriter) flush() {
	if w.err == nil {
		w.hash.Write(w.buf)
		_, w.err = w.t.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

func (w *indexWriter) finish() (Name, error) {
	w.flush()
	var name Name
	w.hash.Sum(name[:0])
	if w.err == nil {
		_, w.err = w.t.Write(name[:])
	}
	if w.err == nil {
		w.err = w.t.Sync()
	}
	return name, w.err
}

// temp makes a temporary file of the store.
func (s *Set) temp() (disk.Temp, error) {
	return disk.NewTemp(s.fsys, s.dir, filepath.Join(s.dir, tempDir))
}

// publishIndex gives an index its name. One that is there and not right makes room.
func (s *Set) publishIndex(t disk.Temp, name Name) (err error) {
	path := s.indexPath(name)
	for range 3 {
		switch err = t.Publish(path); {
		case errors.Is(err, fs.ErrNotExist): // the folder
			if err := disk.MakeDir(s.fsys, s.dir, filepath.Dir(path)); err != nil {
				return err
			}
		case errors.Is(err, fs.ErrExist):
			if r, err := openIndex(s.fsys, path, name); err == nil && r.index.verify() == nil {
				return nil
			}
			if err := s.fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		default:
			return err
		}
	}
	return err
}

// supersede removes the indexes that were merged, and those that are bad, and
// looks at the folder again.
func (s *Set) supersede(merged []*run, name Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range merged {
		if r.index != nil {
			s.bad[r.index.name] = true // it is right, but not wanted
		}
	}
	delete(s.bad, name)
	delete(s.failed, name)
	for old := range s.bad {
		if err := s.fsys.Remove(s.indexPath(old)); err == nil || errors.Is(err, fs.ErrNotExist) {
			delete(s.bad, old)
		}
	}
	_, err := s.reload()
	return err
}

// spill makes an index of the tables in memory, which have become too many while
// the folder is read, and adds it to v. It reports whether that was possible.
// s.mu is held.
func (s *Set) spill(v *view, tables []*run) bool {
	name, _, err := s.combine(context.Background(), v, tables)
	if err != nil {
		return false
	}
	r, err := openIndex(s.fsys, s.indexPath(name), name)
	if err != nil {
		return false
	}
	delete(s.bad, name)
	delete(s.failed, name)
	v.runs = append(v.runs, r.in(v.packs))
	return true
}
