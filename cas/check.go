package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"

	"github.com/kept-dev/kept/cas/pack"
)

// CheckOptions says how closely Check looks.
type CheckOptions struct {
	// Objects are those that have to be there, with all their chunks.
	Objects Objects
	// Full reads everything. A check that was interrupted goes on where it was.
	Full bool
	// Sample is the share of all groups that is read, chosen by Seed; 0 is none.
	Sample float64
	Seed   uint64
	// Progress, if set, is told of bytes that were read.
	Progress func(n int64)
}

// Damage is something in a store that is not what it should be.
type Damage struct {
	// Pack is the file.
	Pack string
	Err  error
	// Lost are what was in it and is lost, chunks among them. Nobody knows what
	// was in a pack without a table.
	Lost []Digest
	// Quarantine is where the pack was moved to, after what is whole in it was
	// copied; empty where it was left: the store is read-only.
	Quarantine string
}

// Checked is what Check found.
type Checked struct {
	// Packs were looked at, and Groups of them read: Bytes of the disk.
	Packs, Groups int
	Bytes         int64
	// Resumed is how many packs an interrupted check had read before.
	Resumed int
	// Objects are how many of those that have to be there were looked for, and
	// Missing those that are not there, or not whole.
	Objects int
	Missing []Digest
	// Damaged is what was found, and taken out of use.
	Damaged []Damage
	// Unreadable are packs that the disk did not give. Nothing is known of what is
	// in them, and they were left alone.
	Unreadable []error
}

// Check compares the store with what it should be: the tables of all packs and
// the objects that have to be there; with Full all bytes of all packs against
// their checksums and hashes, and large contents against theirs.
//
// What it finds damaged it takes out of use as a read would: what is whole in
// the pack moves to another, and the pack to quarantine/.
func (l *Local) Check(ctx context.Context, o CheckOptions) (*Checked, error) {
	c := &check{l: l, o: o, result: &Checked{}}
	if err := c.run(ctx); err != nil {
		return c.result, fmt.Errorf("check store: %w", err)
	}
	return c.result, nil
}

type check struct {
	l      *Local
	o      CheckOptions
	result *Checked
	done   *checkpoint
	mu     sync.Mutex // for result
}

func (c *check) run(ctx context.Context) error {
	release, err := c.l.use(ctx)
	if err != nil {
		return err
	}
	defer release()
	if _, err := c.l.set.Refresh(); err != nil {
		return err
	}
	if err := c.l.set.Verify(); err != nil {
		return err
	}
	c.done = &checkpoint{}
	if c.o.Full {
		c.done = c.l.readCheckpoint()
	}
	if err := c.packs(ctx); err != nil {
		return errors.Join(err, c.save())
	}
	if c.o.Full {
		if err := c.contents(ctx); err != nil {
			return errors.Join(err, c.save())
		}
	}
	if err := c.objects(ctx); err != nil {
		return err
	}
	if c.done.there {
		// Else the next check would have nothing to do.
		if err := c.l.disk.Remove(filepath.Join(c.l.dir, checkpointName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// packs looks at all packs.
func (c *check) packs(ctx context.Context) error {
	infos, err := c.l.set.Packs()
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(c.o.Seed, 0))
	for _, info := range infos {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.result.Packs++
		if c.done.hasPack(info.Name) {
			c.result.Resumed++
			continue
		}
		err := c.pack(ctx, info.Name, random)
		switch {
		case err == nil:
			c.done.addPack(info.Name)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist): // moved meanwhile
		case damage(err) != nil:
			if err := c.damaged(ctx, info.Name, err); err != nil {
				return err
			}
		default:
			c.result.Unreadable = append(c.result.Unreadable, err)
		}
		if err := c.saveSometimes(); err != nil {
			return err
		}
	}
	return nil
}

// pack looks at a pack, and reads the groups that are to be read.
func (c *check) pack(ctx context.Context, name pack.Name, random *rand.Rand) error {
	p, err := pack.Open(c.l.disk, c.l.set.Path(name), name) // anew: the file, not what is remembered of it
	if err != nil {
		return err
	}
	defer p.Close()
	if !c.o.Full && c.o.Sample <= 0 {
		return nil
	}
	entries := make([][]pack.Entry, len(p.Groups()))
	err = p.Each(func(e pack.Entry) error {
		entries[e.Group] = append(entries[e.Group], e)
		return nil
	})
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	defer work.Wait()
	failed := make(chan error, 1)
	slots := make(chan struct{}, workers)
	for n := range entries {
		if !c.o.Full && random.Float64() >= c.o.Sample {
			continue
		}
		select {
		case slots <- struct{}{}:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
		work.Go(func() {
			defer func() { <-slots }()
			if err := c.group(p, uint32(n), entries[n]); err != nil {
				select {
				case failed <- err:
				default: // the first is enough
				}
			}
		})
	}
	work.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// group reads a group and compares all that is in it.
func (c *check) group(p *pack.Pack, n uint32, entries []pack.Entry) error {
	return readEntries(p, n, entries, func(g pack.Group, _, _ []byte) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.result.Groups++
		c.result.Bytes += int64(g.Stored)
		if c.o.Progress != nil {
			c.o.Progress(int64(g.Stored))
		}
		return nil
	})
}

// damaged takes a damaged pack out of use.
func (c *check) damaged(ctx context.Context, name pack.Name, reason error) error {
	file := c.l.set.Path(name)
	d := Damage{Pack: file, Err: reason}
	var of *pack.DamageError
	errors.As(reason, &of)
	switch {
	case errors.Is(reason, pack.ErrVersion):
		return reason // it may be as good as any
	case c.l.foreign:
	case of != nil && of.Group < 0 && c.l.isWholeNow(name):
		_, err := c.l.set.Refresh() // the disk gave it wrong once
		return err
	case of != nil && of.Group < 0:
		// Without its table nobody can tell what is where in it.
		if err := c.l.set.Quarantine(name); err == nil {
			d.Quarantine = c.l.quarantined(name)
		} else if !IsReadOnly(err) {
			return err
		}
	default:
		lost, err := c.l.salvage(ctx, name)
		switch {
		case err == nil:
			d.Lost, d.Quarantine = lost, c.l.quarantined(name)
		case IsDiskFull(err), ctx.Err() != nil:
			return err
		}
	}
	c.result.Damaged = append(c.result.Damaged, d)
	return nil
}

// isWholeNow reports whether a pack whose table was damaged is not any more.
func (l *Local) isWholeNow(name pack.Name) bool {
	p, err := pack.Open(l.disk, l.set.Path(name), name)
	if err != nil {
		return false
	}
	p.Close()
	return true
}

// contents reads the contents that were cut, as wholes: chunks that are right
// may be the wrong ones.
func (c *check) contents(ctx context.Context) error {
	return c.l.set.Each(nil, func(at pack.Location) error {
		if at.Kind != pack.Manifest || Digest(at.Key).Hex() <= c.done.Content {
			return nil
		}
		if err := c.content(ctx, at); err != nil {
			return err
		}
		c.done.Content = Digest(at.Key).Hex()
		return c.saveSometimes()
	})
}

func (c *check) content(ctx context.Context, at pack.Location) error {
	r, err := c.l.openContent(ctx, at)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if c.o.Progress != nil {
		c.o.Progress(n)
	}
	var missing *MissingError
	var corrupt *CorruptError
	switch {
	case errors.As(err, &corrupt):
		c.result.Damaged = append(c.result.Damaged, Damage{Pack: c.l.set.Path(at.Pack), Err: corrupt, Lost: []Digest{at.Key}, Quarantine: corrupt.Quarantine})
	case err == nil, errors.As(err, &missing): // what is missing is told where it is missed
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		c.result.Unreadable = append(c.result.Unreadable, err)
	}
	return nil
}

// objects looks for what has to be there.
func (c *check) objects(ctx context.Context) error {
	if c.o.Objects == nil {
		return nil
	}
	if _, err := c.l.set.Refresh(); err != nil {
		return err
	}
	seen := map[Digest]bool{}
	err := c.o.Objects(ctx, func(d Digest) error {
		if seen[d] {
			return ctx.Err()
		}
		seen[d] = true
		there, err := c.l.isThere(ctx, d)
		if err == nil && !there {
			c.result.Missing = append(c.result.Missing, d)
		}
		return err
	})
	c.result.Objects = len(seen)
	slices.SortFunc(c.result.Missing, func(a, b Digest) int { return slices.Compare(a[:], b[:]) })
	return err
}

// isThere is Stat for many: the store was looked at before.
func (l *Local) isThere(ctx context.Context, d Digest) (bool, error) {
	at, found, err := l.set.Find(d)
	if err != nil || !found || at.Kind == pack.Blob {
		return found, err
	}
	err = l.eachChunk(ctx, at, func(p part) error {
		_, found, err := l.set.Find(p.key)
		if err == nil && !found {
			err = &MissingError{Digest: p.key}
		}
		return err
	})
	var missing *MissingError
	var corrupt *CorruptError
	if errors.As(err, &missing) || errors.As(err, &corrupt) {
		return false, nil
	}
	return err == nil, err
}
