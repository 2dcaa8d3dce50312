package cas

import (
	"io/fs"
	"os"
	"sync/atomic"
)

// SetFault puts fault in front of everything that p does to the disk.
func (p *Placer) SetFault(fault Fault) {
	real := p.ops
	p.ops.mkdir = func(dir *folder, name string) error {
		if err := fault("mkdir"); err != nil {
			return err
		}
		return real.mkdir(dir, name)
	}
	p.ops.create = func(dir *folder, name string, perm fs.FileMode) (placeFile, error) {
		if err := fault("create"); err != nil {
			return nil, err
		}
		f, err := real.create(dir, name, perm)
		return faultyPlaceFile{f, fault}, err
	}
	p.ops.clone = func(to placeFile, dir *folder, name string) error {
		if err := fault("clone"); err != nil {
			return err
		}
		return real.clone(to, dir, name)
	}
	p.ops.symlink = func(dir *folder, target, name string) error {
		if err := fault("symlink"); err != nil {
			return err
		}
		return real.symlink(dir, target, name)
	}
	p.ops.move = func(from *folder, temp string, to *folder, name string) error {
		if err := fault("move"); err != nil {
			return err
		}
		return real.move(from, temp, to, name)
	}
	p.ops.remove = func(dir *folder, name string) error {
		if err := fault("remove"); err != nil {
			return err
		}
		return real.remove(dir, name)
	}
	p.ops.rmdir = func(dir *folder, name string) error {
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

func (f faultyPlaceFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fault("write at"); err != nil {
		n, _ := f.placeFile.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.placeFile.WriteAt(p, off)
}

func (f faultyPlaceFile) Truncate(size int64) error {
	if err := f.fault("truncate"); err != nil {
		return err
	}
	return f.placeFile.Truncate(size)
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

// SetClone puts clone in the place of sharing blocks.
func (p *Placer) SetClone(clone func(to, from *os.File) error) {
	p.ops.clone = func(to placeFile, dir *folder, name string) error {
		from, err := dir.Open(name)
		if err != nil {
			return err
		}
		defer from.Close()
		return clone(to.OS(), from)
	}
}

// CloneInto shares the blocks of the file name in the folder dir, which is how
// a Placer does it on this system.
func CloneInto(to *os.File, dir, name string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	f := &folder{Root: root}
	defer f.Close()
	return cloneInto(to, f, name)
}

// CountWrites returns a function that tells how many bytes p has written since.
func (p *Placer) CountWrites() func() int {
	real := p.ops.create
	n := new(atomic.Int64)
	p.ops.create = func(dir *folder, name string, perm fs.FileMode) (placeFile, error) {
		f, err := real(dir, name, perm)
		return countedPlaceFile{f, n}, err
	}
	return func() int { return int(n.Load()) }
}

type countedPlaceFile struct {
	placeFile
	n *atomic.Int64
}

func (f countedPlaceFile) Write(p []byte) (int, error) {
	f.n.Add(int64(len(p)))
	return f.placeFile.Write(p)
}

func (f countedPlaceFile) WriteAt(p []byte, off int64) (int, error) {
	f.n.Add(int64(len(p)))
	return f.placeFile.WriteAt(p, off)
}
