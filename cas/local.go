package cas

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/pack"
)

// Local is a Store in a folder:
//
//	packs/        immutable files of many chunks each; all that matters
//	index/        tables over many packs, made again when they are damaged
//	quarantine/   packs found damaged
//	tmp/          unfinished writes
//	lock          whose flock the users of the store share, see Use
//
// Content of at most chunk.Max bytes is one blob in a pack. Larger content is
// blobs and a manifest that lists them. Blobs of one kind of data are encoded
// together, in groups, and a group is the least that is read.
//
// Reading and writing need no lock, and many processes may share the folder.
// An input/output error of the disk (EIO) is returned as it is, and nothing is
// moved: it says that the bytes could not be read now, not that they are wrong.
type Local struct {
	dir     string
	disk    disk.FS
	set     *pack.Set
	cache   *groupCache
	foreign bool // see OpenForeign

	// packSize and nodeParts are the constants of their names, but for tests of
	// what takes very much content.
	packSize  int64
	nodeParts int
}

var _ Store = (*Local)(nil)

// OpenLocal returns the store in dir. It creates nothing: the folder comes
// with the first Put, readable by its owner alone, and a store that is not
// there has no objects.
func OpenLocal(dir string) (*Local, error) { return openLocal(disk.OS, dir) }

// OpenForeign returns the store in dir of somebody else, to read from only:
// nothing in it is moved or written, no link is followed to a file of it and no
// pipe waited for. A damaged object is a *CorruptError and stays.
func OpenForeign(dir string) (*Local, error) {
	l, err := openLocal(disk.Foreign, dir)
	if err != nil {
		return nil, err
	}
	l.foreign = true
	return l, nil
}

func openLocal(fsys disk.FS, dir string) (*Local, error) {
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
	return &Local{
		dir: abs, disk: fsys, set: pack.OpenSet(fsys, abs), cache: newGroupCache(),
		packSize: packSize, nodeParts: nodeParts,
	}, nil
}

// TempDir returns the folder for unfinished writes. It may not exist. A Placer
// can share it: Sweep looks after what either leaves there.
func (l *Local) TempDir() string { return filepath.Join(l.dir, "tmp") }

func (l *Local) temp() (disk.Temp, error) { return disk.NewTemp(l.disk, l.dir, l.TempDir()) }

// Stat implements Store. Of a content that was cut it looks for every chunk.
func (l *Local) Stat(ctx context.Context, d Digest) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	at, err := l.find(d)
	if err != nil {
		return 0, err
	}
	if at.Kind == pack.Manifest {
		err = l.eachChunk(ctx, at, func(p part) error {
			_, err := l.find(p.key)
			return err
		})
	}
	var missing *MissingError
	if errors.As(err, &missing) {
		return 0, &MissingError{Digest: d} // without one of its chunks it is
	}
	return at.Size, err
}

// find returns where d is, or a *MissingError. That something is missing is
// believed only of sound indexes, and after a look at what others have
// published meanwhile.
func (l *Local) find(d Digest) (pack.Location, error) {
	at, found, err := l.set.Find(d)
	if err == nil && !found {
		if _, err = l.set.Refresh(); err == nil {
			at, found, err = l.set.Find(d)
		}
	}
	if err == nil && (!found || !l.maybe(at)) {
		if err = l.set.Verify(); err == nil {
			at, found, err = l.set.Find(d)
		}
	}
	switch {
	case err != nil:
		return at, fmt.Errorf("find object %s: %w", d, err)
	case !found:
		return at, &MissingError{Digest: d}
	}
	return at, nil
}

// maybe reports whether there may be what an index says: that something is a
// manifest shows in nothing else, and a manifest has no hash of its own.
func (l *Local) maybe(at pack.Location) bool {
	if at.Kind != pack.Manifest {
		return true
	}
	b, err := l.readOnce(at)
	if err != nil {
		return true // who reads it will see
	}
	n, err := parseNode(b)
	return err == nil && n.size == at.Size
}

// Order returns the indexes of want in the order in which reading them is
// fastest: neighbours in the store follow each other.
func (l *Local) Order(want []Digest) []int {
	type place struct {
		index int
		at    pack.Location
	}
	places := make([]place, len(want))
	for i, d := range want {
		at, _, _ := l.set.Find(d) // what cannot be found may come in any order
		places[i] = place{i, at}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		if c := slices.Compare(a.at.Pack[:], b.at.Pack[:]); c != 0 {
			return c
		}
		if a.at.Group != b.at.Group {
			return int(a.at.Group) - int(b.at.Group)
		}
		return int(a.at.At) - int(b.at.At)
	})
	order := make([]int, len(places))
	for i, p := range places {
		order[i] = p.index
	}
	return order
}

// Find returns the digests that begin with prefix, sorted: at least four hex
// digits, with or without "blake3:" before them. Chunks of larger contents are
// objects too.
func (l *Local) Find(prefix string) ([]Digest, error) {
	digits := strings.ToLower(strings.TrimPrefix(prefix, Prefix))
	if len(digits) < 4 || len(digits) > 2*len(Digest{}) || strings.Trim(digits, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("find object %q: want 4 to 64 hex digits", prefix)
	}
	whole, _ := hex.DecodeString(digits[:len(digits)/2*2])
	var found []Digest
	err := l.set.Each(whole, func(at pack.Location) error {
		if d := Digest(at.Key); strings.HasPrefix(d.Hex(), digits) {
			found = append(found, d)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find object %q: %w", prefix, err)
	}
	return found, nil
}

// Sweep removes what killed writers left in TempDir: files older than a day.
// It returns how many it removed.
func (l *Local) Sweep() (int, error) {
	n, err := disk.Sweep(l.TempDir(), time.Now().Add(-disk.StrayAge))
	if err != nil {
		return n, fmt.Errorf("sweep store: %w", err)
	}
	return n, nil
}

// IsDiskFull reports whether err says that there was no room for a write:
// the disk is full, a quota is used up, or a limit on file sizes was reached.
// Trying again does not help before somebody made room.
func IsDiskFull(err error) bool { return disk.IsFull(err) }

// IsReadOnly reports whether err says that a folder cannot be written: the
// file system is read-only or the permissions do not allow it.
func IsReadOnly(err error) bool { return disk.IsReadOnly(err) }
