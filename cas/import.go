package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/pack"
)

// Import makes all that is in another store part of this one. Packs are linked
// where both are on one file system, else copied and read back. Nothing changes
// in the other store. It returns how many packs are new here.
func (l *Local) Import(ctx context.Context, from *Local) (int, error) {
	n, err := l.importPacks(ctx, from)
	if err != nil {
		return n, fmt.Errorf("bring over store %q: %w", from.dir, err)
	}
	return n, nil
}

func (l *Local) importPacks(ctx context.Context, from *Local) (n int, err error) {
	release, err := l.use(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	packs, err := from.set.Packs()
	if err != nil || l.is(from) {
		return 0, err
	}
	for _, info := range packs {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		is, err := l.importPack(from, info.Name)
		if err != nil {
			return n, err
		}
		if is {
			n++
		}
	}
	// Also those that were there: their writer may not have come to this yet.
	if err := l.set.Sync(); err != nil {
		return n, err
	}
	_, err = l.set.Refresh()
	return n, err
}

// importPack reports whether the pack is new.
func (l *Local) importPack(from *Local, name pack.Name) (bool, error) {
	to := l.set.Path(name)
	if _, err := l.disk.Stat(to); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	packs := filepath.Dir(to)
	if err := disk.MakeDir(l.disk, l.dir, packs); err != nil {
		return false, err
	}
	// A link is the file of its owner alone, which is not enough in a folder of a group.
	if !disk.Shared(packs) {
		switch err := l.disk.Link(from.set.Path(name), to); {
		case err == nil:
			return true, nil
		case errors.Is(err, fs.ErrExist):
			return false, nil
		}
	}
	err := l.copyPack(from.set.Path(name), to)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p, err := pack.Open(l.disk, to, name)
	if err == nil {
		err = p.Check()
		p.Close()
	}
	if damage(err) != nil {
		return false, nil // It is as it was there: reading it, or a check, sees to it.
	}
	return err == nil, err
}

func (l *Local) copyPack(from, to string) error {
	in, err := l.disk.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	temp, err := l.temp()
	if err != nil {
		return err
	}
	defer temp.Discard()
	if _, err := io.Copy(temp, io.NewSectionReader(in, 0, info.Size())); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	return temp.Publish(to)
}

// MoveTo brings all that is in the store over to another one and removes it
// here, as its only user. It returns ErrInUse where it has others.
func (l *Local) MoveTo(ctx context.Context, to *Local) error {
	if packs, err := l.set.Packs(); err != nil || len(packs) == 0 || l.is(to) {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, collectWait)
	defer cancel()
	release, err := l.hold(waiting, (*flock.Flock).TryLock)
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			err = ErrInUse
		}
		return fmt.Errorf("move store %q: %w", l.dir, err)
	}
	defer release()
	if _, err := to.Import(ctx, l); err != nil {
		return err
	}
	packs, err := l.set.Packs()
	for _, info := range packs {
		// Nobody else is here, so what is there now is all that was brought over.
		if err == nil {
			_, err = to.disk.Stat(to.set.Path(info.Name))
		}
		if err == nil {
			err = l.set.Remove(info.Name)
		}
	}
	if err == nil {
		err = l.set.Sync()
	}
	if err != nil {
		return fmt.Errorf("move store %q: %w", l.dir, err)
	}
	return nil
}

// is reports whether both are one folder, perhaps by two names. One that can't
// be told is.
func (l *Local) is(other *Local) bool {
	a, err := l.disk.Stat(l.dir)
	if err != nil {
		return !isGone(err)
	}
	b, err := other.disk.Stat(other.dir)
	if err != nil {
		return !isGone(err)
	}
	return os.SameFile(a, b)
}
