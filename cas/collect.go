package cas

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
)

const (
	// deadShare is the part of a pack's bytes that has to be of no use before the
	// rest is copied to get rid of it.
	deadShare = 0.25
	// smallPart is the part of a full pack below which packs are put together, and
	// smallPacks how many there have to be.
	smallPart  = 4
	smallPacks = 4
	// collectWait is how long a collection waits for those who use the store.
	collectWait = 10 * time.Second
)

// ErrInUse reports that others have used a store for so long that nothing could be removed from it.
var ErrInUse = errors.New("the store is in use")

// CollectOptions says what Collect may remove.
type CollectOptions struct {
	// Live are the objects that must stay. It is called twice: what is named
	// between the two stays as well.
	Live Objects
	// Grace is the age in which nothing is removed. An object is as old as the pack
	// that it is in, which counts as new whenever something in it is put again. With
	// a grace of 0 all goes that is of no use, and else not all that is worth less
	// than the copying.
	Grace time.Duration
	// DryRun finds out what would be removed and changes nothing.
	DryRun bool
	// Wait is how long to wait for others who use the store; 0 is ten seconds.
	Wait time.Duration
	// Progress, if set, is told of bytes that were copied.
	Progress func(n int64)
}

// Amount is a number of objects, chunks of objects among them, and the bytes that they
// take in the store.
type Amount struct {
	Objects int
	Bytes   int64
}

func (a *Amount) add(bytes int64) {
	a.Objects++
	a.Bytes += bytes
}

// Collected is what Collect did, or would have done.
type Collected struct {
	// Before and After are what was and is in the packs. After a dry run After is
	// what Before would shrink to at least.
	Before, After PackTotal
	// Live is in use, Removed was not. Young was not either, and is younger than
	// the grace; Left was not, and is among so much in use that it stays for now.
	Live, Removed, Young, Left Amount
	// Repacked is how many packs were copied to others, without what was removed.
	Repacked int
	// Damaged are packs that were left as they are because they are damaged.
	Damaged []error
}

// PackTotal is a number of packs and their size in bytes.
type PackTotal struct {
	Packs int
	Bytes int64
}

// Collect removes what is not in use and older than the grace. It may be
// killed at any time, and others may read and write the store meanwhile.
//
// First, while others work, it copies what is in use out of the packs that are
// to go; what a pack that stays has as well it reads there instead. Then, with
// nobody else at work, it asks again what is in use, and removes packs all of
// whose objects in use lie elsewhere, where it has written or read them. So
// nothing in use is in no pack at any time, and it does not matter which
// removals a crash leaves undone.
func (l *Local) Collect(ctx context.Context, o CollectOptions) (*Collected, error) {
	done, err := l.collect(ctx, o)
	// What went without a copy has made room for copies.
	for round := done; IsDiskFull(err) && round != nil && round.Removed.Objects > 0; {
		if round, err = l.collect(ctx, o); round != nil {
			done.follow(round)
		}
	}
	if err != nil {
		return done, fmt.Errorf("collect what is not in use: %w", err)
	}
	return done, nil
}

// follow makes c the result of two collections, of which next was the second.
func (c *Collected) follow(next *Collected) {
	before, removed, repacked := c.Before, c.Removed, c.Repacked
	*c = *next
	c.Before = before
	c.Removed.Objects += removed.Objects
	c.Removed.Bytes += removed.Bytes
	c.Repacked += repacked
}

func (l *Local) collect(ctx context.Context, o CollectOptions) (*Collected, error) {
	c := &collection{
		l: l, o: o, now: time.Now(), result: &Collected{},
		written: map[pack.Name]bool{}, whole: map[groupName]bool{},
	}
	b := l.Batch().(*batch) // of copies; it shares the store's lock with others
	defer b.Close()
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	if err := c.plan(ctx); err != nil {
		return nil, err
	}
	if o.DryRun || len(c.going) == 0 {
		c.foresee()
		return c.result, nil
	}
	err := c.copy(ctx, b)
	if err == nil {
		err = b.Commit(ctx)
	}
	switch {
	case IsDiskFull(err):
		c.keepCopied() // there may be packs that go without a copy
	case err != nil:
		return nil, err
	}
	// A copy may be a pack that is there: that of a collection which was killed.
	c.going = slices.DeleteFunc(c.going, func(g *goingPack) bool { return slices.Contains(b.shelf.published, g.Name) })
	for _, name := range b.shelf.published {
		c.written[name] = true
	}
	if err := b.Close(); err != nil {
		return nil, err
	}
	return c.result, errors.Join(c.remove(ctx), err)
}

// collection is one run of Collect.
type collection struct {
	l      *Local
	o      CollectOptions
	now    time.Time
	live   *keySet
	going  []*goingPack
	result *Collected
	// written are the packs of this collection's copies, and whole are groups of
	// other packs that it has read, and whether they were.
	written map[pack.Name]bool
	whole   map[groupName]bool
}

// goingPack is a pack that is to be removed.
type goingPack struct {
	pack.Info
	live, dead Amount
	// repack says that it only goes to make few packs of many.
	repack bool
}

// plan finds out what is in use and which packs are to go.
func (c *collection) plan(ctx context.Context) error {
	if err := c.l.set.Verify(); err != nil {
		return err
	}
	var err error
	if c.live, err = c.l.liveKeys(ctx, c.o.Live); err != nil {
		return err
	}
	packs, err := c.l.set.Packs()
	if err != nil {
		return err
	}
	var small []*goingPack
	for _, info := range packs {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.result.Before.Packs++
		c.result.Before.Bytes += info.Size
		g := &goingPack{Info: info}
		err := c.weigh(g)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case damage(err) != nil:
			c.result.Damaged = append(c.result.Damaged, err)
			continue
		case err != nil:
			return err
		}
		c.result.Live.Objects += g.live.Objects
		c.result.Live.Bytes += g.live.Bytes
		switch {
		case !c.isOld(info):
			c.addTo(&c.result.Young, g)
		case g.dead.Objects > 0 && (c.o.Grace == 0 || float64(g.dead.Bytes) > deadShare*float64(g.live.Bytes+g.dead.Bytes)):
			c.going = append(c.going, g)
		case info.Size < c.l.packSize/smallPart:
			small = append(small, g)
		default:
			c.addTo(&c.result.Left, g)
		}
	}
	for _, g := range small {
		if len(small) < smallPacks {
			c.addTo(&c.result.Left, g)
			continue
		}
		g.repack = true
		c.going = append(c.going, g)
	}
	c.stopIfDamaged()
	return nil
}

// stopIfDamaged lets everything stay while there is a pack whose table is
// damaged: it may have a manifest, and nobody knows which chunks that needs.
func (c *collection) stopIfDamaged() {
	damaged := c.l.set.Damaged()
	if len(damaged) == 0 {
		return
	}
	for _, g := range c.going {
		c.addTo(&c.result.Left, g)
	}
	c.going = nil
	if len(c.result.Damaged) == 0 { // it could be read just now, but not before
		for _, err := range damaged {
			c.result.Damaged = append(c.result.Damaged, err)
		}
	}
}

func (c *collection) addTo(a *Amount, g *goingPack) {
	a.Objects += g.dead.Objects
	a.Bytes += g.dead.Bytes
}

// isOld reports whether the grace of a pack is over. One from the future is not
// old: somebody's clock is wrong.
func (c *collection) isOld(info pack.Info) bool { return c.now.Sub(info.ModTime) >= c.o.Grace }

// weigh adds up what of a pack is in use. What another pack has as well is in
// use only in the one in which it is found.
func (c *collection) weigh(g *goingPack) error {
	p, err := c.l.set.Open(g.Name)
	if err != nil {
		return err
	}
	groups := p.Groups()
	return p.Each(func(e pack.Entry) error {
		stored := int64(0)
		if of := groups[e.Group]; of.Plain > 0 {
			stored = int64(of.Stored) * int64(e.Len) / int64(of.Plain)
		}
		here, err := c.livesIn(e.Key, g.Name)
		if here {
			g.live.add(stored)
		} else {
			g.dead.add(stored)
		}
		return err
	})
}

// livesIn reports whether a key is in use and found in that pack.
func (c *collection) livesIn(key Digest, name pack.Name) (bool, error) {
	if !c.live.has(key) {
		return false, nil
	}
	at, found, err := c.l.set.Find(key)
	return found && at.Pack == name, err
}

// foresee fills in what the collection comes to at least.
func (c *collection) foresee() {
	c.result.After = c.result.Before
	for _, g := range c.going {
		c.result.After.Packs--
		c.result.After.Bytes -= g.Size - g.live.Bytes
		c.addTo(&c.result.Removed, g)
		if g.live.Objects > 0 {
			c.result.Repacked++
		}
	}
}

// copy copies what is in use out of the packs that go. One that turns out to be
// damaged stays.
func (c *collection) copy(ctx context.Context, b *batch) error {
	rest, gone, err := c.split()
	if err != nil {
		return err
	}
	if err := c.readElsewhere(ctx, rest, c.live); err != nil {
		return err
	}
	var whole []*goingPack
	for _, g := range c.going {
		err := c.copyPack(ctx, b, g, rest, gone)
		if damage(err) != nil {
			c.result.Damaged = append(c.result.Damaged, err)
			continue
		}
		if err != nil {
			return err
		}
		whole = append(whole, g)
	}
	c.going = whole
	return nil
}

// split returns the set without the packs that are to go, and with them alone.
func (c *collection) split() (rest, gone *pack.Set, err error) {
	away, stays := map[pack.Name]bool{}, map[pack.Name]bool{}
	for _, g := range c.going {
		away[g.Name] = true
	}
	infos, err := c.l.set.Packs()
	if err != nil {
		return nil, nil, err
	}
	for _, info := range infos {
		stays[info.Name] = !away[info.Name]
	}
	if rest, err = c.l.set.Without(away); err != nil {
		return nil, nil, err
	}
	gone, err = c.l.set.Without(stays)
	return rest, gone, err
}

// copyPack copies what is in use and lies in no pack that stays, or not whole
// there. What several packs that go have it copies once.
func (c *collection) copyPack(ctx context.Context, b *batch, g *goingPack, rest, gone *pack.Set) error {
	p, err := c.l.set.Open(g.Name)
	if err != nil {
		return err
	}
	total := make([]int, len(p.Groups()))
	needed := make([][]pack.Entry, len(p.Groups()))
	err = p.Each(func(e pack.Entry) error {
		total[e.Group]++
		if !c.live.has(e.Key) {
			return nil
		}
		at, found, err := rest.Find(e.Key)
		if err != nil || found && c.isWhole(at) {
			return err
		}
		if at, found, err = gone.Find(e.Key); found && at.Pack == g.Name {
			needed[e.Group] = append(needed[e.Group], e)
		}
		return err
	})
	for n, entries := range needed {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			err = c.copyEntries(b, p, uint32(n), entries, total[n])
		}
	}
	return err
}

// copyEntries copies entries of a group: all of them as they are stored, and
// some of them anew, after a look at each.
func (c *collection) copyEntries(b *batch, p *pack.Pack, n uint32, entries []pack.Entry, total int) error {
	if c.o.Progress != nil && int64(n) < int64(len(p.Groups())) {
		c.o.Progress(int64(p.Groups()[n].Stored))
	}
	if len(entries) < total {
		return readEntries(p, n, entries, func(_ pack.Group, _, plain []byte) error { return b.groups.keep(entries, plain, b.shelf.append) })
	}
	stored := storedBuffers.get()
	g, stored, err := p.ReadGroup(n, stored)
	defer func() { storedBuffers.put(stored) }()
	if err != nil {
		return err
	}
	return b.shelf.append(codec.Method(g.Method), int(g.Plain), stored, entries)
}

// keepCopied leaves the packs to go that need no copy.
func (c *collection) keepCopied() {
	going := c.going[:0]
	for _, g := range c.going {
		if g.live.Objects == 0 {
			going = append(going, g)
		}
	}
	c.going = going
}

// remove removes packs, as the only user of the store.
func (c *collection) remove(ctx context.Context) error {
	wait := c.o.Wait
	if wait == 0 {
		wait = collectWait
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	release, err := c.l.hold(waiting, (*flock.Flock).TryLock)
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			return ErrInUse
		}
		return err
	}
	defer release()
	if err := c.stay(ctx); err != nil {
		return err
	}
	// Whoever published what is relied on may not have come to this.
	if err := c.l.set.Sync(); err != nil {
		return err
	}
	// What has nothing in use first: it is what makes room.
	for _, repack := range []bool{false, true} {
		for _, g := range c.going {
			if (g.live.Objects > 0) != repack {
				continue
			}
			if err := c.l.set.Remove(g.Name); err != nil {
				return err
			}
			c.addTo(&c.result.Removed, g)
			if repack {
				c.result.Repacked++
			}
		}
	}
	if err := c.l.set.Sync(); err != nil {
		return err
	}
	_ = c.l.set.Merge(ctx) // a cache
	return c.weighAfter()
}

// stay takes out of the packs to go those that must not: something in use is in
// them alone, or not whole elsewhere, or they were used since.
func (c *collection) stay(ctx context.Context) error {
	if _, err := c.l.set.Refresh(); err != nil {
		return err
	}
	if err := c.l.set.Verify(); err != nil {
		return err
	}
	c.stopIfDamaged()
	live, err := c.l.liveKeys(ctx, c.o.Live)
	if err != nil {
		return err
	}
	now := map[pack.Name]pack.Info{}
	infos, err := c.l.set.Packs()
	if err != nil {
		return err
	}
	for _, info := range infos {
		now[info.Name] = info
	}
	away := map[pack.Name]bool{}
	for _, g := range c.going {
		away[g.Name] = true
	}
	rest, err := c.l.set.Without(away)
	if err != nil {
		return err
	}
	if err := c.readElsewhere(ctx, rest, live); err != nil { // what is there since
		return err
	}
	going := c.going[:0]
	for _, g := range c.going {
		info, there := now[g.Name]
		if !there {
			continue // another collection was first
		}
		alone := !c.isOld(info)
		p, err := c.l.set.Open(g.Name)
		if err != nil {
			return err
		}
		err = p.Each(func(e pack.Entry) error {
			if alone || !live.has(e.Key) {
				return nil
			}
			at, found, err := rest.Find(e.Key)
			alone = !found || !c.isWhole(at)
			return err
		})
		if err != nil {
			return err
		}
		if alone {
			c.addTo(&c.result.Left, g)
			continue
		}
		going = append(going, g)
	}
	c.going = going
	return nil
}

func (c *collection) weighAfter() error {
	packs, err := c.l.set.Packs()
	for _, info := range packs {
		c.result.After.Packs++
		c.result.After.Bytes += info.Size
	}
	return err
}
