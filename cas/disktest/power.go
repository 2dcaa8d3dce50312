package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kept-dev/kept/cas/disk"
)

// Power is a disk.FS over another that knows what of a folder was synced. Cut
// makes the folder that would be there after a power cut.
//
// Nothing is durable but what was synced: of names that were not, any may be
// there and any not, as if their changes had been written in any order; bytes that
// were not may be whole, cut short, or zeros. A change of names is kept or lost
// as a whole, also a Rename.
type Power struct {
	disk.FS
	root, copies string

	mu       sync.Mutex
	durable  map[string]node
	pending  []change // in the order in which they were made
	unsynced []string
	inodes   int
}

// node is a folder, or a file: its content is in a second name of it.
type node struct {
	copy   string // empty for a folder
	synced bool
}

// change is one change of names: what is at some path from now on, nil for nothing.
type change map[string]*node

// NewPower returns a disk that watches what is done to the folder root. What is
// there is taken to be durable. It needs a folder for itself, on the same file system.
func NewPower(under disk.FS, root, own string) (*Power, error) {
	p := &Power{FS: under, root: root, copies: own, durable: map[string]node{}}
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == root:
			return nil
		case err != nil || name == root:
			return err
		case e.IsDir():
			p.durable[name] = node{synced: true}
			return nil
		}
		n, err := p.keep(name, true)
		p.durable[name] = *n
		return err
	})
	return p, err
}

// keep gives the file at name a second name, so that its content can come back
// when its own name was removed and that was not durable.
func (p *Power) keep(name string, synced bool) (*node, error) {
	p.inodes++
	n := &node{copy: filepath.Join(p.copies, fmt.Sprint(p.inodes)), synced: synced}
	return n, errors.Join(os.MkdirAll(p.copies, 0o700), os.Link(name, n.copy))
}

// Pending returns the names that are there and that no sync has made durable.
func (p *Power) Pending() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, c := range p.pending {
		for name, n := range c {
			if n != nil && p.now(name) != nil {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Unsynced returns the files that were published before their bytes were synced.
func (p *Power) Unsynced() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.unsynced)
}

// Cut makes at the path to what the folder is after a power cut now. The disk
// itself goes on.
func (p *Power) Cut(r *rand.Rand, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := map[string]node{}
	for name, n := range p.durable {
		left[name] = n
	}
	likely := r.IntN(3) // all that is pending is lost, half of it, or nothing
	for _, c := range p.pending {
		if likely == 0 || likely == 1 && r.IntN(2) == 0 {
			continue
		}
		c.apply(left)
	}
	names := make([]string, 0, len(left))
	for name := range left {
		names = append(names, name)
	}
	slices.Sort(names) // a folder before what is in it
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, name := range names {
		if err := p.put(r, left[name], filepath.Join(to, strings.TrimPrefix(name, p.root))); err != nil {
			return err
		}
	}
	return nil
}

// put makes a node as it is after the cut; what is in a folder that is lost is lost.
func (p *Power) put(r *rand.Rand, n node, to string) error {
	if _, err := os.Stat(filepath.Dir(to)); err != nil {
		return nil
	}
	if n.copy == "" {
		return os.Mkdir(to, disk.DirPerm)
	}
	b, err := os.ReadFile(n.copy)
	if err != nil {
		return err
	}
	if !n.synced {
		b = torn(r, b)
	}
	info, err := os.Stat(n.copy)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(to, b, 0o600), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

// torn returns what may be there of bytes that were not synced.
func torn(r *rand.Rand, b []byte) []byte {
	at := 0
	if len(b) > 0 {
		at = r.IntN(len(b))
	}
	switch r.IntN(4) {
	case 0:
		return b
	case 1:
		return b[:at]
	case 2:
		return nil
	}
	b = slices.Clone(b)
	clear(b[at:])
	return b
}

func (c change) apply(to map[string]node) {
	for name, n := range c {
		if n == nil {
			delete(to, name)
		} else {
			to[name] = *n
		}
	}
}

// now returns what is at name for who reads it now.
func (p *Power) now(name string) *node {
	for _, c := range slices.Backward(p.pending) {
		if n, ok := c[name]; ok {
			return n
		}
	}
	if n, ok := p.durable[name]; ok {
		return &n
	}
	return nil
}

func (p *Power) add(c change) { p.pending = append(p.pending, c) }

// Mkdir implements disk.FS.
func (p *Power) Mkdir(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.FS.Mkdir(name)
	if err == nil {
		p.add(change{name: {synced: true}})
	}
	return err
}

// Rename implements disk.FS. Only files can be renamed.
func (p *Power) Rename(from, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.now(from)
	if n == nil || n.copy == "" {
		return p.FS.Rename(from, to) // not ours, such as a file that the test itself made
	}
	err := p.FS.Rename(from, to)
	if err == nil {
		p.add(change{from: nil, to: n})
	}
	return err
}

// Link implements disk.FS.
func (p *Power) Link(from, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.FS.Link(from, to)
	if n := p.now(from); err == nil && n != nil {
		p.add(change{to: n})
	}
	return err
}

// Remove implements disk.FS.
func (p *Power) Remove(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.FS.Remove(name)
	if err == nil && p.now(name) != nil {
		p.add(change{name: nil})
	}
	return err
}

// Touch implements disk.FS. The time is durable at once, which no test may rely on.
func (p *Power) Touch(name string, t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.FS.Touch(name, t)
}

// SyncDir implements disk.FS.
func (p *Power) SyncDir(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.FS.SyncDir(name); err != nil {
		return err
	}
	name = filepath.Clean(name)
	p.pending = slices.DeleteFunc(p.pending, func(c change) bool {
		for at := range c {
			if filepath.Dir(at) == name {
				c.apply(p.durable)
				return true
			}
		}
		return false
	})
	return nil
}

// Temp implements disk.FS.
func (p *Power) Temp(dir string) (disk.Temp, error) {
	t, err := p.FS.Temp(dir)
	if err != nil {
		return nil, err
	}
	return &powerTemp{Temp: t, power: p}, nil
}

type powerTemp struct {
	disk.Temp
	power *Power

	mu    sync.Mutex
	dirty bool
}

func (t *powerTemp) write() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirty = true
}

func (t *powerTemp) Write(b []byte) (int, error) {
	t.write()
	return t.Temp.Write(b)
}

func (t *powerTemp) WriteAt(b []byte, off int64) (int, error) {
	t.write()
	return t.Temp.WriteAt(b, off)
}

func (t *powerTemp) WriteBlock(b []byte, off int64) (int, error) {
	t.write()
	return t.Temp.WriteBlock(b, off)
}

func (t *powerTemp) Sync() error {
	err := t.Temp.Sync()
	if err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.dirty = false
	}
	return err
}

func (t *powerTemp) Publish(name string) error {
	p := t.power
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := t.Temp.Publish(name); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dirty {
		p.unsynced = append(p.unsynced, name)
	}
	n, err := p.keep(name, !t.dirty)
	if err != nil {
		return fmt.Errorf("disktest: %w", err)
	}
	p.add(change{name: n})
	return nil
}
