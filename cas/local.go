package cas

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Local is a Store in a folder: one file per object, named by its digest.
//
//	objects/ab/<62 hex digits>       the content as it is
//	objects/ab/<62 hex digits>.zst   the content compressed, where that saves something
//	quarantine/                      files found damaged
//	tmp/                             unfinished writes
//
// Files are never changed once they have their name, which is what makes
// reading need no lock. Many processes may share the folder.
//
// An input/output error of the disk (EIO) is returned as it is, and nothing is
// moved: it says that the bytes could not be read now, not that they are wrong.
type Local struct {
	dir     string
	disk    disk
	foreign bool // see OpenForeign

	mu    sync.Mutex
	ready map[string]bool // folders that exist, durably
}

var _ Store = (*Local)(nil)

const zstSuffix = ".zst"

// OpenLocal returns the store in dir. It creates nothing: the folder comes
// with the first Put, readable by its owner alone, and a store that is not
// there has no objects.
func OpenLocal(dir string) (*Local, error) {
	if dir == "" {
		return nil, errors.New("open store: no folder given")
	}
	abs, err := filepath.Abs(dir) // the working folder may change under a long run
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("open store %q: not a folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &Local{dir: abs, disk: osDisk, ready: map[string]bool{}}, nil
}

// OpenForeign returns the store in dir of somebody else, to read from only:
// nothing in it is moved, no link is followed to an object and no pipe waited
// for. A damaged object is a *CorruptError and stays.
func OpenForeign(dir string) (*Local, error) {
	l, err := OpenLocal(dir)
	if err != nil {
		return nil, err
	}
	l.foreign = true
	return l, nil
}

// TempDir returns the folder for unfinished writes. It may not exist. A Placer
// can share it: Sweep looks after what either leaves there.
func (l *Local) TempDir() string { return filepath.Join(l.dir, "tmp") }

// Stat implements Store. For a compressed object it sees a file that was cut
// short or extended; for any other, only Open does.
func (l *Local) Stat(ctx context.Context, d Digest) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	f, err := l.find(d)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.plain, nil
}

// Open implements Store. An object found corrupt is moved to quarantine/, so
// that it is missing from then on and a Put of its content stores it again.
func (l *Local) Open(ctx context.Context, d Digest) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := l.find(d)
	if err != nil {
		return nil, err
	}
	r := newPlainReader(f, f.stored, f.compressed)
	return &verifier{
		ctx: ctx, r: r, closer: closers{r, f}, hash: NewHasher(), want: d, size: f.plain,
		corrupt: func(reason error) error { return l.quarantine(f, d, reason) },
		failed:  r.failed,
	}, nil
}

type closers [2]io.Closer

func (c closers) Close() error { return errors.Join(c[0].Close(), c[1].Close()) }

// objectFile is an object's file, open for reading.
type objectFile struct {
	*os.File
	compressed    bool
	stored, plain int64 // bytes of the file and of its content
}

// Close may be called twice.
func (f *objectFile) Close() error {
	if err := f.File.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// find opens the file of d, or returns a *MissingError, or a *CorruptError
// when a look at the outside of the file tells.
func (l *Local) find(d Digest) (*objectFile, error) {
	for _, compressed := range []bool{false, true} {
		f, err := l.open(l.path(d, compressed))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open object %s: %w", d, err)
		}
		o := &objectFile{File: f, compressed: compressed}
		if err := l.look(o, d); err != nil {
			f.Close()
			return nil, err
		}
		return o, nil
	}
	return nil, &MissingError{Digest: d}
}

func (l *Local) open(name string) (*os.File, error) {
	if !l.foreign {
		return os.Open(name)
	}
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is no file", fs.ErrNotExist)
	}
	return openForeign(name)
}

// look fills in the sizes of f.
func (l *Local) look(f *objectFile, d Digest) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open object %s: %w", d, err)
	}
	if !info.Mode().IsRegular() {
		return l.quarantine(f, d, errors.New("it is not a file"))
	}
	f.stored, f.plain = info.Size(), info.Size()
	if !f.compressed {
		return nil
	}
	plain, damage, err := readHeader(f, f.stored)
	if err != nil {
		return fmt.Errorf("open object %s: %w", d, err)
	}
	if damage != nil {
		return l.quarantine(f, d, damage)
	}
	f.plain = plain
	return nil
}

// quarantine moves the damaged file f of d out of the way, if it can, and
// returns the *CorruptError that tells of it.
func (l *Local) quarantine(f *objectFile, d Digest, reason error) error {
	e := &CorruptError{Digest: d, Err: reason}
	if l.foreign {
		return e
	}
	from := l.path(d, f.compressed)
	mine, err := f.Stat()
	if err != nil || !sameFile(from, mine) {
		return e // another reader was first, and may have stored it again since
	}
	if runtime.GOOS == "windows" {
		f.Close() // it renames no open file; elsewhere keeping it open keeps its inode from being used again
	}
	to := filepath.Join(l.dir, "quarantine", filepath.Base(filepath.Dir(from))+filepath.Base(from))
	if l.makeDir(filepath.Dir(to)) != nil || l.disk.rename(from, to) != nil {
		return e
	}
	if !sameFile(to, mine) {
		// Between the look and the rename the file was replaced, by a good one.
		_ = l.disk.link(to, from)
		return e
	}
	e.Quarantine = to
	return e
}

func sameFile(name string, info fs.FileInfo) bool {
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(there, info)
}

// path returns the name of the file of d, whether it exists or not.
func (l *Local) path(d Digest, compressed bool) string {
	h := d.Hex()
	name := filepath.Join(l.dir, "objects", h[:2], h[2:])
	if compressed {
		name += zstSuffix
	}
	return name
}

// Find returns the digests that begin with prefix, sorted: at least four hex
// digits, with or without "blake3:" before them.
func (l *Local) Find(prefix string) ([]Digest, error) {
	digits := strings.ToLower(strings.TrimPrefix(prefix, Prefix))
	if len(digits) < 4 || len(digits) > 2*len(Digest{}) || strings.Trim(digits, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("find object %q: want 4 to 64 hex digits", prefix)
	}
	var found []Digest
	err := l.walkDir(digits[:2], func(d Digest) error {
		if strings.HasPrefix(d.Hex(), digits) {
			found = append(found, d)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find object %q: %w", prefix, err)
	}
	return found, nil
}

// Walk calls fn for every object, sorted by digest, with the size that Stat
// tells; the size is -1 for an object that Stat sees to be corrupt. Objects
// that come or go meanwhile may be among them or not. An error of fn ends the
// walk and is returned.
func (l *Local) Walk(ctx context.Context, fn func(d Digest, size int64) error) error {
	for i := range 256 {
		err := l.walkDir(hex.EncodeToString([]byte{byte(i)}), func(d Digest) error {
			size, err := l.Stat(ctx, d)
			var missing *MissingError
			var corrupt *CorruptError
			switch {
			case errors.As(err, &missing):
				return nil
			case errors.As(err, &corrupt):
				size = -1
			case err != nil:
				return err
			}
			return fn(d, size)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// walkDir calls fn once for every object in a folder of objects, sorted.
func (l *Local) walkDir(fanout string, fn func(d Digest) error) error {
	entries, err := os.ReadDir(filepath.Join(l.dir, "objects", fanout))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var last Digest
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), zstSuffix)
		d, err := ParseDigest(Prefix + fanout + name)
		if err != nil || d == last { // not ours; or there as it is and compressed
			continue
		}
		last = d
		if err := fn(d); err != nil {
			return err
		}
	}
	return nil
}

// Sweep removes what killed writers left in TempDir: files older than a day.
// It returns how many it removed.
func (l *Local) Sweep() (int, error) {
	n, err := sweep(l.TempDir(), time.Now().Add(-strayAge))
	if err != nil {
		return n, fmt.Errorf("sweep store: %w", err)
	}
	return n, nil
}

// makeDir makes sure that a folder of the store exists and will exist after a
// power cut. A folder that is there already may be another process's and not
// durable yet, so its parent is synced once, too.
func (l *Local) makeDir(dir string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready[dir] {
		return nil
	}
	return l.makeDirLocked(dir)
}

func (l *Local) makeDirLocked(dir string) error {
	err := l.disk.mkdir(dir, dirPerm)
	made := err == nil
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := l.makeDirLocked(filepath.Dir(dir)); err != nil {
			return err
		}
		err = l.disk.mkdir(dir, dirPerm)
		made = err == nil
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// What was there above the store is not ours, and perhaps not readable to us.
	if inside := len(dir) > len(l.dir); made || inside {
		if err := l.disk.syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	l.ready[dir] = true
	return nil
}

// forget makes the next makeDir look again: somebody removed a folder.
func (l *Local) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.ready)
}
