package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/cas/disk"
)

// The folders of a store that a Set knows.
const (
	packsDir      = "packs"
	indexDir      = "index"
	quarantineDir = "quarantine"
	tempDir       = "tmp"
	packExt       = ".pack"
	indexExt      = ".index"
)

// Set is the packs of a store. Its methods are safe for concurrent use, and any
// number of Sets, in any number of processes, may share one folder.
type Set struct {
	fsys disk.FS
	dir  string

	// view is what Find looks at; nil before the folder was read. It is replaced
	// as a whole, with mu held.
	view atomic.Pointer[view]
	mu   sync.Mutex
	// bad are indexes that were found damaged, or that the disk does not give.
	// They are not opened again, also where they cannot be moved away.
	bad map[Name]bool

	merging sync.Mutex // held by the one who merges
	open    cache
}

// view is the packs of a folder at one time. It is not changed.
type view struct {
	packs map[Name]bool
	// runs have the entries of all packs that could be read.
	runs    []*run
	damaged map[Name]*DamageError
	// unread are packs whose tables the disk did not give: what they hold is
	// neither there nor missing.
	unread map[Name]error
}

// OpenSet returns the packs of the store in dir. It reads nothing before it is
// asked for something, and a folder that is not there has no packs.
func OpenSet(fsys disk.FS, dir string) *Set {
	return &Set{fsys: fsys, dir: dir, bad: map[Name]bool{}}
}

// Path returns the name of the file of a pack, whether it exists or not.
func (s *Set) Path(name Name) string {
	return filepath.Join(s.dir, packsDir, name.String()+packExt)
}

func (s *Set) indexPath(name Name) string {
	return filepath.Join(s.dir, indexDir, name.String()+indexExt)
}

// Find returns where key is. What others have published since the folder was
// read is not found before Refresh. If the tables of some packs cannot be read,
// because of the disk and not because of damage, a key that is in none of the
// others is an error.
func (s *Set) Find(key Key) (Location, bool, error) {
	for again := false; ; {
		v, err := s.current()
		if err != nil {
			return Location{}, false, err
		}
		at, found, bad := v.find(&key)
		switch {
		case bad != nil:
			if err := s.drop(bad); err != nil {
				return Location{}, false, err
			}
		case found:
			return at, true, nil
		case again || len(v.unread) == 0:
			return Location{}, false, v.incomplete()
		default:
			again = true // the disk, or a limit on open files, may think otherwise now
			if _, err := s.Refresh(); err != nil {
				return Location{}, false, err
			}
		}
	}
}

// find also returns an index that turned out to be damaged.
func (v *view) find(key *Key) (at Location, found bool, bad *index) {
	var r *run
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if e := recover(); e != nil {
			if r == nil || !r.index.faulted(e) {
				panic(e)
			}
			at, found, bad = Location{}, false, r.index
		}
	}()
	for _, r = range v.runs {
		at, found, wrong := r.find(key)
		if wrong {
			return Location{}, false, r.index
		}
		if found {
			return at, true, nil
		}
	}
	runtime.KeepAlive(v)
	return Location{}, false, nil
}

// incomplete returns the errors of the packs that could not be read.
func (v *view) incomplete() error { return errors.Join(slices.Collect(maps.Values(v.unread))...) }

// Each calls fn for all entries whose keys begin with prefix, sorted by key,
// each key once, and returns its first error. What is published or removed
// meanwhile may be among them or not.
func (s *Set) Each(prefix []byte, fn func(Location) error) error {
	if len(prefix) > keySize {
		return nil
	}
	var from Key
	copy(from[:], prefix)
	for more := true; more; {
		v, err := s.current()
		if err != nil {
			return err
		}
		batch, bad := v.collect(from, prefix)
		if bad != nil {
			if err := s.drop(bad); err != nil {
				return err
			}
			continue
		}
		for _, at := range batch {
			if err := fn(at); err != nil {
				return err
			}
		}
		if more = len(batch) == cap(batch); !more {
			return v.incomplete()
		}
		from = batch[len(batch)-1].Key
		more = increment(&from)
	}
	return nil
}

// collect returns the next entries, as many as it has room for if there are more.
func (v *view) collect(from Key, prefix []byte) (batch []Location, bad *index) {
	const room = 1024
	batch = make([]Location, 0, room)
	fill := func(r *run, rec []byte) (more, wrong bool) {
		if string(rec[:len(prefix)]) != string(prefix) {
			return false, false
		}
		pack := packOf(rec)
		if int64(pack) >= int64(len(r.packs)) {
			return false, true
		}
		again := len(batch) > 0 && Key(rec) == batch[len(batch)-1].Key
		if !again && (r.gone == nil || !r.gone[pack]) {
			batch = append(batch, Location{Pack: r.packs[pack], Entry: entryOf(rec)})
		}
		return len(batch) < room, false
	}
	bad = mergeRuns(v.runs, from, fill)
	return batch, bad
}

// mergeRuns calls fn for the records of all runs, sorted by key, until it wants no
// more or finds a record wrong. It returns the index that is damaged.
func mergeRuns(runs []*run, from Key, fn func(r *run, rec []byte) (more, wrong bool)) (bad *index) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if e := recover(); e != nil {
			i := slices.IndexFunc(runs, func(r *run) bool { return r.index.faulted(e) })
			if i < 0 {
				panic(e)
			}
			bad = runs[i].index
		}
		runtime.KeepAlive(runs)
	}()
	m := newMerger(runs, &from)
	for {
		r, rec, ok := m.peek()
		if !ok {
			return nil
		}
		more, wrong := fn(r, rec)
		if wrong {
			return r.index
		}
		if !more {
			return nil
		}
		m.next()
	}
}

// increment makes key the next one, and reports whether there is one.
func increment(key *Key) bool {
	for i := keySize - 1; i >= 0; i-- {
		if key[i]++; key[i] != 0 {
			return true
		}
	}
	return false
}

// Open returns a pack of the set. The Set keeps a bounded number of them open
// and closes the file of one that was not asked for long. A pack that is gone is
// fs.ErrNotExist: Refresh and Find again.
func (s *Set) Open(name Name) (*Pack, error) {
	if p := s.open.get(name); p != nil {
		return p, nil
	}
	p, err := Open(s.fsys, s.Path(name), name)
	if err != nil {
		return nil, err
	}
	return s.open.add(p), nil
}

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
			v.packs[name] = true
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
		if s.bad[name] {
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
			p.Close()
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
	if s.bad[x.name] {
		return nil // somebody else saw it, too
	}
	s.forget(x.name, x.verify())
	s.bad[x.name] = true
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

// Damaged returns the packs whose tables are damaged, sorted by name. What they
// hold is not found.
func (s *Set) Damaged() []*DamageError {
	v, err := s.current()
	if err != nil {
		return nil
	}
	list := slices.Collect(maps.Values(v.damaged))
	slices.SortFunc(list, func(a, b *DamageError) int { return slices.Compare(a.Pack[:], b.Pack[:]) })
	return list
}

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
	p, err := Open(s.fsys, s.Path(name), name)
	if err == nil {
		err = p.Check()
		p.Close()
	}
	var damage *DamageError
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
	return err
}

// Touch makes a pack count as written at t.
func (s *Set) Touch(name Name, t time.Time) error { return s.fsys.Touch(s.Path(name), t) }

// Info describes a pack.
type Info struct {
	Name    Name
	Size    int64
	ModTime time.Time
}

// Packs lists what is in the folder, sorted by name, also what is damaged.
func (s *Set) Packs() ([]Info, error) {
	names, err := s.list(packsDir, packExt)
	if err != nil {
		return nil, err
	}
	packs := make([]Info, 0, len(names))
	for _, name := range names {
		info, err := s.fsys.Stat(s.Path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list store: %w", err)
		}
		packs = append(packs, Info{Name: name, Size: info.Size(), ModTime: info.ModTime()})
	}
	return packs, nil
}

// Remove removes a pack; one that is not there is fine. Those who have it open
// read on where the system allows that, and else find it gone. Indexes that have
// its entries stay: who finds a pack by them looks whether it is there.
func (s *Set) Remove(name Name) error {
	return s.away(name, s.fsys.Remove)
}

// Quarantine moves a damaged pack out of the way, so that what it holds is missing.
func (s *Set) Quarantine(name Name) error {
	return s.away(name, s.quarantine)
}

func (s *Set) away(name Name, remove func(path string) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open.remove(func(n Name) bool { return n != name }) // some systems keep what is open
	if err := remove(s.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pack: %w", err)
	}
	old := s.view.Load()
	if old == nil {
		return nil
	}
	v := old.clone()
	delete(v.packs, name)
	delete(v.damaged, name)
	delete(v.unread, name)
	v.runs = nil
	for _, r := range old.runs {
		switch {
		case r.index == nil && r.packs[0] == name:
			continue
		case slices.Contains(r.packs, name):
			r = r.in(v.packs)
		}
		v.runs = append(v.runs, r)
	}
	s.view.Store(v)
	return nil
}

// Verify compares the checksums of all indexes, each once in the life of a Set.
// It has to come before anybody is told that a key is missing: in an index that
// is damaged it may only not be found. The Set goes back to the packs' own
// tables for what such an index had, so Find again after it.
func (s *Set) Verify() error {
	v, err := s.current()
	if err != nil {
		return err
	}
	for _, r := range v.runs {
		if r.index == nil || r.index.verify() == nil {
			continue
		}
		if err := s.drop(r.index); err != nil {
			return err
		}
	}
	return nil
}
