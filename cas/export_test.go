package cas

import (
	"context"
	"io/fs"
	"os"

	"github.com/kept-dev/kept/cas/pack"
)

// Fault is asked before every operation that changes the disk. An error that
// it returns is the operation's result; a write writes half of its bytes first.
type Fault func(op string) error

// Place returns where the bytes of d lie, of a content that was cut those of
// its last chunk: the file, and the offset and size of its group.
func (l *Local) Place(d Digest) (file string, offset, size int64, err error) {
	at, err := l.find(d)
	if err != nil {
		return "", 0, 0, err
	}
	if at.Kind == pack.Manifest {
		var last part
		if err := l.eachChunk(context.Background(), at, func(p part) error { last = p; return nil }); err != nil {
			return "", 0, 0, err
		}
		return l.Place(last.key)
	}
	p, err := l.set.Open(at.Pack)
	if err != nil {
		return "", 0, 0, err
	}
	g := p.Groups()[at.Group]
	return l.set.Path(at.Pack), g.Offset, int64(g.Stored), nil
}

// Walk calls fn for all that the store has a name for.
func (l *Local) Walk(fn func(d Digest, size int64) error) error {
	return l.set.Each(nil, func(at pack.Location) error { return fn(at.Key, at.Size) })
}

// Forget drops what is kept decoded.
func (l *Local) Forget() { l.cache = newGroupCache() }

// SetFault puts fault in front of everything that p does to the disk.
func (p *Placer) SetFault(fault Fault) {
	real := p.ops
	p.ops.mkdir = func(dir *os.Root, name string) error {
		if err := fault("mkdir"); err != nil {
			return err
		}
		return real.mkdir(dir, name)
	}
	p.ops.create = func(p *Placer, dir *os.Root, perm fs.FileMode) (placeFile, string, error) {
		if err := fault("create"); err != nil {
			return nil, "", err
		}
		f, temp, err := real.create(p, dir, perm)
		return faultyPlaceFile{f, fault}, temp, err
	}
	p.ops.symlink = func(p *Placer, dir *os.Root, target string) (string, error) {
		if err := fault("symlink"); err != nil {
			return "", err
		}
		return real.symlink(p, dir, target)
	}
	p.ops.move = func(p *Placer, temp string, dir *os.Root, name string) error {
		if err := fault("move"); err != nil {
			return err
		}
		return real.move(p, temp, dir, name)
	}
	p.ops.remove = func(dir *os.Root, name string) error {
		if err := fault("remove"); err != nil {
			return err
		}
		return real.remove(dir, name)
	}
	p.ops.rmdir = func(dir *os.Root, name string) error {
		if err := fault("rmdir"); err != nil {
			return err
		}
		return real.rmdir(dir, name)
	}
}

type faultyPlaceFile struct {
	placeFile
	fault Fault
}

func (f faultyPlaceFile) Write(p []byte) (int, error) {
	if err := f.fault("write"); err != nil {
		n, _ := f.placeFile.Write(p[:len(p)/2])
		return n, err
	}
	return f.placeFile.Write(p)
}

func (f faultyPlaceFile) Close() error {
	err := f.placeFile.Close()
	if fault := f.fault("close"); fault != nil {
		return fault
	}
	return err
}

// SetBeside makes p write unfinished files beside their targets.
func (p *Placer) SetBeside() { p.beside.Store(true) }

// ParseTreeLimit is ParseTree with another limit than MaxEntries.
func ParseTreeLimit(data []byte, limit int) (Tree, error) { return parseTree(data, limit) }
