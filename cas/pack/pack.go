package pack

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/kept-dev/kept/cas/disk"
)

// Pack reads one pack. Its methods are safe for concurrent use.
//
// It holds the groups, and the file open as long as that is of use: a Pack needs
// no Close, and works after it.
type Pack struct {
	fsys   disk.FS
	path   string
	name   Name
	size   int64
	groups []Group
	table  trailer // where it is

	mu    sync.Mutex
	file  disk.File // nil: not open
	users int
	idle  bool // keep the file open while nobody reads
}

// Open opens the pack in the file at path and verifies all of it but the
// groups. What is no pack of that name is a *DamageError.
func Open(fsys disk.FS, path string, name Name) (*Pack, error) {
	p, _, err := open(fsys, path, name)
	return p, err
}

// open also returns the table.
func open(fsys disk.FS, path string, name Name) (*Pack, *table, error) {
	p := &Pack{fsys: fsys, path: path, name: name, idle: true}
	var t *table
	err := p.use(func(f disk.File) (err error) {
		t, err = p.load(f)
		return err
	})
	if err != nil {
		p.Close()
		return nil, nil, err
	}
	p.groups = t.groups
	return p, t, nil
}

// load reads and verifies header, trailer and table.
func (p *Pack) load(f disk.File) (*table, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p.size = info.Size()
	if p.size < int64(headerSize+countsSize+trailerSize) {
		return nil, p.damage(fmt.Errorf("it has only %d bytes", p.size))
	}
	ends := make([]byte, headerSize+trailerSize)
	first, last := ends[:headerSize], ends[headerSize:]
	if err := p.readAt(f, first, 0); err != nil {
		return nil, err
	}
	if err := p.readAt(f, last, p.size-int64(trailerSize)); err != nil {
		return nil, err
	}
	if p.table, err = parseTrailer(first, last, p.size, p.name); err != nil {
		return nil, p.damage(err)
	}
	return p.readTable(f)
}

func (p *Pack) readTable(f disk.File) (*table, error) {
	b := make([]byte, p.table.size)
	if err := p.readAt(f, b, p.table.offset); err != nil {
		return nil, err
	}
	if got := hashOf(b); got != p.name {
		return nil, p.damage(fmt.Errorf("its table hashes to %s", got))
	}
	t, err := parseTable(b, p.table.offset)
	if err != nil {
		return nil, p.damage(err)
	}
	return t, nil
}

func (p *Pack) damage(err error) error { return &DamageError{Pack: p.name, Group: -1, Err: err} }

// readAt fills b. An end of the file before that is damage: the size was looked
// at. All else is the disk's error.
func (p *Pack) readAt(f disk.File, b []byte, offset int64) error {
	n, err := f.ReadAt(b, offset)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return p.damage(fmt.Errorf("it ends at %d", offset+int64(n)))
	}
	return fmt.Errorf("read pack %s: %w", p.name, err)
}

// Name returns the name of the pack.
func (p *Pack) Name() Name { return p.name }

// Size returns the size of its file.
func (p *Pack) Size() int64 { return p.size }

// Groups returns the groups of the pack, which must not be changed.
func (p *Pack) Groups() []Group { return p.groups }

// Each calls fn for all entries, sorted by key, and returns its first error. It
// reads the table again: a Pack does not hold it.
func (p *Pack) Each(fn func(Entry) error) error {
	var t *table
	err := p.use(func(f disk.File) (err error) {
		t, err = p.readTable(f)
		return err
	})
	if err != nil {
		return err
	}
	for rec := range slices.Chunk(t.records, recordSize) {
		if err := fn(entryOf(rec)); err != nil {
			return err
		}
	}
	return nil
}

// ReadGroup reads group n into buf, which is replaced where it is too small,
// and returns its stored bytes. What does not have the checksum of the group is
// a *DamageError, with the bytes as they are: some of them may be good. So is a
// number that the pack does not have: then the damage is in what named it. An
// error of the disk comes as it is, and a pack that is gone as fs.ErrNotExist.
func (p *Pack) ReadGroup(n uint32, buf []byte) (Group, []byte, error) {
	damage := func(err error) error { return &DamageError{Pack: p.name, Group: int64(n), Err: err} }
	if int64(n) >= int64(len(p.groups)) {
		return Group{}, nil, damage(fmt.Errorf("the pack has only %d", len(p.groups)))
	}
	g := p.groups[n]
	if cap(buf) < int(g.Stored) {
		buf = make([]byte, g.Stored)
	}
	buf = buf[:g.Stored]
	err := p.use(func(f disk.File) error { return p.readAt(f, buf, g.Offset) })
	var cut *DamageError
	switch {
	case errors.As(err, &cut):
		return g, nil, damage(cut.Err)
	case err != nil:
		return g, nil, err
	}
	if err := g.Check(buf); err != nil {
		return g, buf, damage(err)
	}
	return g, buf, nil
}

// Check reads all groups and returns the damage of the first that is damaged.
func (p *Pack) Check() error {
	var buf []byte
	for n := range p.groups {
		_, b, err := p.ReadGroup(uint32(n), buf)
		if err != nil {
			return err
		}
		buf = b
	}
	return nil
}

// Close lets go of the file, when its last reader has come back. Later reads
// open it each time.
func (p *Pack) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = false
	p.release()
}

// use calls fn with the file.
func (p *Pack) use(fn func(disk.File) error) error {
	f, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.leave()
	return fn(f)
}

// leave ends what acquire began.
func (p *Pack) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users--
	p.release()
}

func (p *Pack) acquire() (disk.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		f, err := p.fsys.Open(p.path)
		if err != nil {
			return nil, fmt.Errorf("open pack: %w", err)
		}
		p.file = f
	}
	p.users++
	return p.file, nil
}

// release closes the file if nobody has a use for it. p.mu is held.
func (p *Pack) release() {
	if p.users == 0 && !p.idle && p.file != nil {
		p.file.Close() // it was only read
		p.file = nil
	}
}
