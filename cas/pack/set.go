package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
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
	// bad are indexes that were found damaged or were merged, and failed those
	// that the disk does not give. None is opened again. The bad ones go, also
	// where that did not work at first, and the failed ones stay: the disk may
	// think otherwise some time.
	bad, failed map[Name]bool

	except map[Name]bool // packs that it does not see: see Without

	merging sync.Mutex  // held by the one who merges
	rooted  atomic.Bool // the names of the store's own folders are durable
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
	return &Set{fsys: fsys, dir: dir, bad: map[Name]bool{}, failed: map[Name]bool{}}
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
