package workspace

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kept-dev/kept/cas"
)

// statCache knows the digests of files by their stat data, folder by folder, and
// what folders were as a whole. It is safe for concurrent use. The file on disk
// is opened when something is first asked for: most hooks never do.
type statCache struct {
	file string

	mu     sync.Mutex
	loaded bool
	disk   *cacheFile // nil: there is none
	// dirs are the folders of which more is known than disk has.
	dirs    map[string]*known
	wholes  map[string]whole
	notes   uint64 // counts calls of note
	changed bool
}

// known is what is known of one folder.
type known struct {
	base      *block // as it was listed last; nil: never
	baseIndex index
	// noted are single files that were read or placed since, in the order of the
	// calls. They come before those of base.
	noted      block
	notedIndex index
	lastNote   uint64
}

// whole is what a folder was with all that is in it.
type whole struct {
	digest      cas.Digest
	size, files int64
	// fingerprint is of the blocks of all folders in it: a file that is recorded
	// otherwise since makes it another.
	fingerprint cas.Digest
}

func openCache(file string) *statCache { return &statCache{file: file} }

// load opens the file, once. The caller holds c.mu, here and below.
func (c *statCache) load() {
	if c.loaded {
		return
	}
	c.loaded = true
	c.dirs, c.wholes = map[string]*known{}, map[string]whole{}
	if disk, err := openCacheFile(c.file); err == nil {
		c.disk, c.wholes = disk, disk.wholes
	}
}

// known returns what is known of a folder, to be changed.
func (c *statCache) known(dir string) *known {
	c.load()
	k := c.dirs[dir]
	if k == nil {
		k = &known{base: c.disk.block(dir)}
		c.dirs[dir] = k
	}
	return k
}

// lookup returns the digest that the file at path had last, and whether s says that it
// still has it.
func (c *statCache) lookup(path string, s stat, now func() time.Time) (cas.Digest, bool) {
	dir, name := split(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known(dir).lookup([]byte(name), s, now)
}

func (k *known) lookup(name []byte, s stat, now func() time.Time) (was cas.Digest, ok bool) {
	if k.base != nil {
		if i := k.baseIndex.find(k.base, name); i >= 0 {
			was, ok = k.base.digest(i), k.base.stat(i) == s
		}
	}
	if k.noted.len() > 0 {
		i := k.notedIndex.find(&k.noted, name)
		switch {
		case i >= 0 && k.noted.stat(i) == s && !racy(s, now()):
			return k.noted.digest(i), true
		case i >= 0 && !ok:
			was = k.noted.digest(i)
		}
	}
	return was, ok
}

// note remembers the digest of a file that s describes. It is trusted, and
// written down, as soon as the clock has moved on from the times in s.
func (c *statCache) note(path string, s stat, d cas.Digest) {
	dir, name := split(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.known(dir)
	c.notes++
	k.lastNote = c.notes
	if i := k.notedIndex.find(&k.noted, []byte(name)); i >= 0 {
		k.noted.set(i, s, d)
	} else {
		k.noted.add([]byte(name), s, d)
	}
	c.changed = true
}

// mark returns the number of the last note.
func (c *statCache) mark() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load()
	return c.notes
}

// folder returns the block of a folder, nil if there is none, and what was noted
// since, nil if nothing was. The disk is read without the lock: a walk asks for
// many folders at once.
func (c *statCache) folder(dir string) (base, noted *block) {
	c.mu.Lock()
	c.load()
	disk, k := c.disk, c.dirs[dir]
	if k == nil {
		c.mu.Unlock()
		return disk.block(dir), nil
	}
	defer c.mu.Unlock()
	if k.noted.len() > 0 {
		noted = k.noted.clone()
	}
	return k.base, noted
}

// whole returns what the folder at path was when its blocks had that fingerprint.
func (c *statCache) whole(path string, fingerprint cas.Digest) (whole, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load()
	w, ok := c.wholes[path]
	return w, ok && w.fingerprint == fingerprint
}

// update is what a walk of a folder has found.
type update struct {
	root string
	// at says what was noted when the walk began.
	at uint64
	// blocks are of all folders in root and of itself.
	blocks map[string]*block
	// whole is nil if not every file can be trusted to be recorded.
	whole *whole
}

// take remembers u.
func (c *statCache) take(u *update) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load()
	for dir, b := range u.blocks {
		k := c.dirs[dir]
		if k == nil && c.disk.has(dir, b) {
			continue
		}
		if k == nil {
			k = &known{}
			c.dirs[dir] = k
		}
		if k.base != b {
			k.base, k.baseIndex = b, index{}
			c.changed = true
		}
		if k.lastNote <= u.at {
			k.noted, k.notedIndex = block{}, index{}
		}
	}
	c.dropOthers(u)
	delete(c.wholes, u.root)
	if u.whole != nil {
		c.wholes[u.root] = *u.whole
	}
	c.changed = true
}

// dropOthers forgets the folders in u.root that are not there any more.
func (c *statCache) dropOthers(u *update) {
	drop := func(dir string) {
		if u.blocks[dir] == nil {
			c.dirs[dir] = &known{}
			delete(c.wholes, dir)
		}
	}
	for dir, k := range c.dirs {
		if within(dir, u.root) && k.lastNote <= u.at {
			drop(dir)
		}
	}
	for i := c.disk.search(below(u.root)); i < c.disk.len() && within(string(c.disk.path(i)), u.root); i++ {
		if dir := string(c.disk.path(i)); c.dirs[dir] == nil {
			drop(dir)
		}
	}
}

// below returns what all paths in a folder begin with.
func below(folder string) string {
	if folder == "" {
		return ""
	}
	return folder + "/"
}

func within(path, folder string) bool {
	return path != folder && strings.HasPrefix(path, below(folder))
}

// forget drops everything.
func (c *statCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disk.close()
	c.disk, c.loaded, c.changed = nil, true, true
	c.dirs, c.wholes = map[string]*known{}, map[string]whole{}
}

// save writes the file if something was learned, and lets go of what is in memory.
func (c *statCache) save(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed {
		if err := writeCacheFile(c.file, c.disk, c.merged(now), c.wholes); err != nil {
			return err
		}
	}
	c.disk.close()
	c.disk, c.loaded, c.changed = nil, false, false
	c.dirs, c.wholes = nil, nil
	return nil
}

// merged returns the blocks of the folders of which more is known than disk has,
// sorted by path; nil for a folder that is gone.
func (c *statCache) merged(now time.Time) []dirBlock {
	all := make([]dirBlock, 0, len(c.dirs))
	for dir, k := range c.dirs {
		all = append(all, dirBlock{dir, k.merged(now)})
	}
	slices.SortFunc(all, func(a, b dirBlock) int { return strings.Compare(a.dir, b.dir) })
	return all
}

// merged returns base with what was noted since and can be trusted.
func (k *known) merged(now time.Time) *block {
	if k.noted.len() == 0 {
		return k.base
	}
	b := &block{}
	if k.base != nil {
		b = k.base.clone()
	}
	for i := range k.noted.len() {
		s := k.noted.stat(i)
		if racy(s, now) {
			continue
		}
		name := k.noted.name(i)
		at := -1
		if k.base != nil {
			at = k.baseIndex.find(k.base, name)
		}
		if at >= 0 {
			b.set(at, s, k.noted.digest(i))
		} else {
			b.add(bytes.Clone(name), s, k.noted.digest(i))
		}
	}
	return b
}

// split returns the folder of path, "" for the root, and the last component.
func split(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}
