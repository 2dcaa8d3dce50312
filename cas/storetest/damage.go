package storetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/pack"
)

// Flip changes a byte of every group of the cas.Local in dir that has a part of
// d, or of every group there is where d is zero, as a failing disk would.
func Flip(dir string, d cas.Digest) error {
	set := pack.OpenSet(disk.OS, dir)
	groups := map[pack.Name]map[uint32]bool{}
	note := func(at pack.Location) error {
		if groups[at.Pack] == nil {
			groups[at.Pack] = map[uint32]bool{}
		}
		groups[at.Pack][at.Group] = true
		return nil
	}
	if d.IsZero() {
		if err := set.Each(nil, note); err != nil {
			return err
		}
	} else {
		at, found, err := set.Find(d)
		if err != nil || !found {
			return fmt.Errorf("damage %s: found %v, %w", d, found, err)
		}
		_ = note(at)
	}
	for name, numbers := range groups {
		p, err := set.Open(name)
		if err != nil {
			return err
		}
		for n := range numbers {
			g := p.Groups()[n]
			if err := flip(set.Path(name), g.Offset+int64(g.Stored)/2); err != nil {
				return err
			}
		}
	}
	return nil
}

func flip(name string, offset int64) error {
	if err := os.Chmod(name, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], offset); err != nil {
		return err
	}
	b[0] ^= 1
	_, err = f.WriteAt(b[:], offset)
	return err
}

// Drop makes the cas.Local in dir one that never had d. Its other objects stay.
func Drop(dir string, d cas.Digest) error {
	old, err := cas.OpenLocal(dir)
	if err != nil {
		return err
	}
	next, err := cas.OpenLocal(dir + ".next")
	if err != nil {
		return err
	}
	batch := next.Batch()
	defer batch.Close()
	err = pack.OpenSet(disk.OS, dir).Each(nil, func(at pack.Location) error {
		if at.Key == d {
			return nil
		}
		b, err := cas.ReadAll(context.Background(), old, at.Key, 1<<30)
		if err == nil {
			_, _, err = batch.Put(context.Background(), bytes.NewReader(b))
		}
		return err
	})
	if err == nil {
		err = batch.Commit(context.Background())
	}
	if err != nil {
		return err
	}
	for _, folder := range []string{"packs", "index"} {
		if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
			return err
		}
	}
	if err := os.Rename(filepath.Join(dir+".next", "packs"), filepath.Join(dir, "packs")); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.RemoveAll(dir + ".next")
}

// Holds reports whether the cas.Local in dir has d.
func Holds(dir string, d cas.Digest) bool {
	l, err := cas.OpenLocal(dir)
	if err != nil {
		return false
	}
	_, err = cas.ReadAll(context.Background(), l, d, 1<<30)
	return err == nil
}
