package cas

import (
	"io/fs"
	"os"
	"time"
)

// Fault is asked before every operation that changes the disk. An error that
// it returns is the operation's result; a write writes half of its bytes first.
type Fault func(op string) error

// SetFault puts fault in front of everything that l does to the disk. With
// named set, l does as it does where there are no anonymous files.
func (l *Local) SetFault(fault Fault, named bool) {
	l.disk = osDisk
	if named {
		l.disk.temp = openNamedTemp
	}
	if fault == nil {
		return
	}
	real := l.disk
	l.disk = disk{
		mkdir: func(name string, perm fs.FileMode) error {
			if err := fault("mkdir"); err != nil {
				return err
			}
			return real.mkdir(name, perm)
		},
		temp: func(dir string) (tempFile, error) {
			if err := fault("temp"); err != nil {
				return nil, err
			}
			f, err := real.temp(dir)
			if err != nil {
				return nil, err
			}
			return faultyTemp{f, fault}, nil
		},
		rename: func(from, to string) error {
			if err := fault("rename"); err != nil {
				return err
			}
			return real.rename(from, to)
		},
		link: func(from, to string) error {
			if err := fault("link"); err != nil {
				return err
			}
			return real.link(from, to)
		},
		syncDir: func(name string) error {
			if err := fault("sync folder"); err != nil {
				return err
			}
			return real.syncDir(name)
		},
	}
}

type faultyTemp struct {
	tempFile
	fault Fault
}

func (f faultyTemp) Write(p []byte) (int, error) {
	if err := f.fault("write"); err != nil {
		n, _ := f.tempFile.Write(p[:len(p)/2])
		return n, err
	}
	return f.tempFile.Write(p)
}

func (f faultyTemp) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fault("write at"); err != nil {
		n, _ := f.tempFile.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.tempFile.WriteAt(p, off)
}

func (f faultyTemp) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fault("read back"); err != nil {
		return 0, err
	}
	return f.tempFile.ReadAt(p, off)
}

func (f faultyTemp) Sync() error {
	if err := f.fault("sync"); err != nil {
		return err
	}
	return f.tempFile.Sync()
}

func (f faultyTemp) Publish(name string) error {
	if err := f.fault("publish"); err != nil {
		return err
	}
	return f.tempFile.Publish(name)
}

// SetLyingDisk makes l read back other bytes than it wrote.
func (l *Local) SetLyingDisk() {
	temp := l.disk.temp
	l.disk.temp = func(dir string) (tempFile, error) {
		f, err := temp(dir)
		return lyingTemp{f}, err
	}
}

type lyingTemp struct{ tempFile }

func (f lyingTemp) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.tempFile.ReadAt(p, off)
	if n > 0 {
		p[n/2] ^= 4
	}
	return n, err
}

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

// SetClone puts clone in the place of sharing blocks.
func (p *Placer) SetClone(clone func(to, from *os.File) error) { p.ops.clone = clone }

// SetBeside makes p write unfinished files beside their targets.
func (p *Placer) SetBeside() { p.beside.Store(true) }

// Reflink is how a Placer shares blocks on this system.
func Reflink(to, from *os.File) error { return reflink(to, from) }

// CompressedFile returns the file of a compressed object.
func CompressedFile(content []byte) []byte { return compress(content) }

// ParseTreeLimit is ParseTree with another limit than MaxEntries.
func ParseTreeLimit(data []byte, limit int) (Tree, error) { return parseTree(data, limit) }

// StrayAge is the age from which Sweep removes a temporary file.
const StrayAge time.Duration = strayAge
