package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas/disk"
)

// current returns the view, and reads the folder the first time.
func (s *Set) current() (*view, error) {
	if v := s.view.Load(); v != nil {
		return v, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.view.Load(); v != nil {
		return v, nil
	}
	_, err := s.reload()
	return s.view.Load(), err
}

// Refresh looks at the folder again and reports whether other packs are there
// than before.
func (s *Set) Refresh() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reload()
}

// reload makes a new view. s.mu is held.
func (s *Set) reload() (changed bool, err error) {
	old := s.view.Load()
	if old == nil {
		old = &view{}
	}
	var v *view
	var covered map[Name]bool
	for again := 3; again > 0; again-- {
		// Indexes first: of what is published meanwhile the pack is seen and its index is not.
		indexes, err := s.list(indexDir, indexExt)
		if err != nil {
			return false, err
		}
		packs, err := s.list(packsDir, packExt)
		if err != nil {
			return false, err
		}
		v = &view{packs: map[Name]bool{}, damaged: map[Name]*DamageError{}, unread: map[Name]error{}}
		for _, name := range packs {
			if !s.except[name] {
				v.packs[name] = true
			}
		}
		var moved bool
		if covered, moved = s.openIndexes(v, old, indexes); !moved {
			break
		}
	}
	s.readTables(v, old, covered)
	v.sort()
	s.view.Store(v)
	s.open.remove(func(name Name) bool { return v.packs[name] })
	return !maps.Equal(v.packs, old.packs), nil
}

// sort puts the runs in the order in which to look for a key.
func (v *view) sort() {
	slices.SortStableFunc(v.runs, func(a, b *run) int { return len(b.records) - len(a.records) })
}

// tables returns how many packs no index has.
func (v *view) tables() (n int) {
	for _, r := range v.runs {
		if r.index == nil {
			n++
		}
	}
	return n
}

// openIndexes adds the indexes to v and returns the packs that they have, and
// whether one has gone: somebody is just merging, and another one has come.
func (s *Set) openIndexes(v, old *view, names []Name) (covered map[Name]bool, moved bool) {
	before := map[Name]*run{}
	for _, r := range old.runs {
		if r.index != nil {
			before[r.index.name] = r
		}
	}
	covered = map[Name]bool{}
	for _, name := range names {
		if s.bad[name] || s.failed[name] {
			continue
		}
		r := before[name]
		if r == nil {
			var err error
			r, err = openIndex(s.fsys, s.indexPath(name), name)
			if errors.Is(err, fs.ErrNotExist) {
				moved = true
				continue
			}
			if err != nil {
				s.forget(name, err)
				continue
			}
		}
		v.runs = append(v.runs, r.in(v.packs))
		for _, name := range r.packs {
			covered[name] = true
		}
	}
	return covered, moved
}

// readTables adds to v the tables of the packs that no index has.
func (s *Set) readTables(v, old *view, covered map[Name]bool) {
	before := map[Name]*run{}
	for _, r := range old.runs {
		if r.index == nil {
			before[r.packs[0]] = r
		}
	}
	var tables []*run
	size, spills := 0, true
	for name := range v.packs {
		if covered[name] {
			continue
		}
		if r := before[name]; r != nil {
			tables = append(tables, r)
			continue
		}
		p, t, err := open(s.fsys, s.Path(name), name)
		var damage *DamageError
		switch {
		case err == nil:
			s.open.add(p) // else what is read next would read the table again
			tables = append(tables, &run{packs: []Name{name}, records: t.records})
			if size += len(t.records); spills && size >= tablesInMemory {
				if spills = s.spill(v, tables); spills {
					tables, size = nil, 0
				}
			}
		case errors.Is(err, fs.ErrNotExist):
			delete(v.packs, name)
		case errors.As(err, &damage):
			v.damaged[name] = damage
		default:
			v.unread[name] = err
		}
	}
	v.runs = append(v.runs, tables...)
}

// list returns what is named as a pack or index in a folder of the store.
func (s *Set) list(dir, ext string) ([]Name, error) {
	entries, err := s.fsys.ReadDir(filepath.Join(s.dir, dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list store: %w", err)
	}
	var names []Name
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ext)
		if name, err := ParseName(base); ok && err == nil && e.Type().IsRegular() {
			names = append(names, name)
		}
	}
	return names, nil
}

// drop goes back to the packs' own tables for what an index has that is damaged
// or cannot be read.
func (s *Set) drop(x *index) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad[x.name] || s.failed[x.name] {
		return nil // somebody else saw it, too
	}
	s.forget(x.name, x.verify())
	if !s.bad[x.name] {
		s.failed[x.name] = true
	}
	_, err := s.reload()
	return err
}

// forget moves an index out of the way if its bytes are wrong. That may fail: it
// is remembered, too. An error of the disk moves nothing, and may be another
// one the next time.
func (s *Set) forget(name Name, err error) {
	var damage indexDamage
	if errors.As(err, &damage) {
		s.bad[name] = true
		_ = s.quarantine(s.indexPath(name))
	}
}

// quarantine moves a file of the store to where nothing is looked for.
func (s *Set) quarantine(path string) error {
	dir := filepath.Join(s.dir, quarantineDir)
	err := s.fsys.Rename(path, filepath.Join(dir, filepath.Base(path)))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := disk.MakeDir(s.fsys, s.dir, dir); err != nil {
		return err
	}
	return s.fsys.Rename(path, filepath.Join(dir, filepath.Base(path)))
}
