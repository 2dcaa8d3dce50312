package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/kept-dev/kept/cas/disk"
)

// Publish gives the pack that w has finished in t its name, and the Set finds
// its entries at once; t was synced. A pack that is there already is taken for
// this one, and counts as just written, after all of it was read; one that is
// damaged makes room. After an error, and where the pack was there, t remains
// for the caller to discard.
func (s *Set) Publish(w *Writer, t disk.Temp, name Name) error {
	if w.table == nil || w.name != name {
		return fmt.Errorf("publish pack %s: it is not what was finished", name)
	}
	if err := s.publish(t, name); err != nil {
		return fmt.Errorf("publish pack: %w", err)
	}
	parsed, err := parseTable(w.table, w.end)
	if err != nil {
		return fmt.Errorf("publish pack: %w", err)
	}
	s.add(&run{packs: []Name{name}, records: parsed.records})
	if v := s.view.Load(); v != nil && v.tables() > manyTables && s.merging.TryLock() {
		defer s.merging.Unlock()
		_ = s.merge(context.Background()) // the pack is published: what fails here Merge will say
	}
	return nil
}

func (s *Set) publish(t disk.Temp, name Name) (err error) {
	path := s.Path(name)
	for range 3 {
		switch err = t.Publish(path); {
		case errors.Is(err, fs.ErrNotExist): // the folder
			if err := disk.MakeDir(s.fsys, s.dir, filepath.Dir(path)); err != nil {
				return err
			}
		case errors.Is(err, fs.ErrExist):
			there, err := s.adopt(name)
			if there || err != nil {
				return err
			}
		default:
			return err
		}
	}
	return err
}

// adopt reports whether the pack that has the name is good. A damaged one is moved away.
func (s *Set) adopt(name Name) (bool, error) {
	err := s.check(name)
	var damage *DamageError
	if errors.As(err, &damage) {
		err = s.check(name) // the disk may have given it wrong once
	}
	switch {
	case err == nil:
		return true, s.fsys.Touch(s.Path(name), time.Now())
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.As(err, &damage) && !errors.Is(err, ErrVersion):
		return false, s.Quarantine(name)
	}
	return false, err
}

// check reads all of a pack.
func (s *Set) check(name Name) error {
	p, err := Open(s.fsys, s.Path(name), name)
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Check()
}

// add makes a view with one pack more.
func (s *Set) add(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.view.Load()
	name := r.packs[0]
	if old == nil {
		return // the folder will be read
	}
	v := old.clone()
	v.packs[name] = true
	delete(v.damaged, name)
	delete(v.unread, name)
	v.runs = nil
	for _, o := range old.runs {
		if o.index == nil && o.packs[0] == name {
			continue
		}
		if slices.Contains(o.packs, name) {
			o = o.in(v.packs) // it was gone and is back
		}
		v.runs = append(v.runs, o)
	}
	v.runs = append(v.runs, r)
	v.sort()
	s.view.Store(v)
}

func (v *view) clone() *view {
	return &view{
		packs: maps.Clone(v.packs), runs: slices.Clone(v.runs),
		damaged: maps.Clone(v.damaged), unread: maps.Clone(v.unread),
	}
}

// Sync makes the names of all published packs durable.
func (s *Set) Sync() error {
	err := s.fsys.SyncDir(filepath.Join(s.dir, packsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was published
	}
	if err != nil || s.rooted.Load() {
		return err
	}
	// Who has made these folders may not have come to this yet.
	if err := s.fsys.SyncDir(s.dir); err != nil {
		return err
	}
	if err := s.fsys.SyncDir(filepath.Dir(s.dir)); err != nil && !disk.IsReadOnly(err) {
		return err // one above a store may be another user's, who has it for long
	}
	s.rooted.Store(true)
	return nil
}
