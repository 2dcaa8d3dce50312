package cas

import (
	"context"
	"maps"
	"slices"

	"github.com/kept-dev/kept/cas/pack"
)

// An object may be in a pack that goes and in one that stays. The table of the
// pack that stays only says that it was written there once. Before anybody relies
// on that the group is read: it may be the other one that is whole.

// isWhole reports whether what lies there is known to be whole, because this
// collection has written or read it.
func (c *collection) isWhole(at pack.Location) bool {
	return c.written[at.Pack] || c.whole[groupName{at.Pack, at.Group}]
}

// readElsewhere reads the groups of rest that have something in use of the packs
// that go. They are few, and each is read once.
func (c *collection) readElsewhere(ctx context.Context, rest *pack.Set, live *keySet) error {
	unread := map[pack.Name]map[uint32]bool{}
	for _, g := range c.going {
		p, err := c.l.set.Open(g.Name)
		if isGone(err) || damage(err) != nil {
			continue // it will not go: another collection was first, or it stays as it is
		}
		if err != nil {
			return err
		}
		err = p.Each(func(e pack.Entry) error {
			if !live.has(e.Key) {
				return nil
			}
			at, found, err := rest.Find(e.Key)
			if _, read := c.whole[groupName{at.Pack, at.Group}]; err != nil || !found || read || c.written[at.Pack] {
				return err
			}
			if unread[at.Pack] == nil {
				unread[at.Pack] = map[uint32]bool{}
			}
			unread[at.Pack][at.Group] = true
			return ctx.Err()
		})
		if err != nil && damage(err) == nil {
			return err
		}
	}
	for name, groups := range unread {
		if err := c.readGroups(ctx, name, groups); err != nil {
			return err
		}
	}
	return nil
}

// readGroups reads groups of a pack that stays, and notes which are whole.
func (c *collection) readGroups(ctx context.Context, name pack.Name, groups map[uint32]bool) error {
	entries := map[uint32][]pack.Entry{}
	p, err := c.l.set.Open(name)
	if err == nil {
		err = p.Each(func(e pack.Entry) error {
			if groups[e.Group] {
				entries[e.Group] = append(entries[e.Group], e)
			}
			return nil
		})
	}
	switch {
	case isGone(err):
		return nil
	case damage(err) != nil:
		c.result.Damaged = append(c.result.Damaged, err)
		return nil
	case err != nil:
		return err
	}
	reader := &check{l: c.l, o: CheckOptions{Progress: c.o.Progress}, result: &Checked{}}
	for _, n := range slices.Sorted(maps.Keys(entries)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := reader.group(p, n, entries[n])
		switch {
		case damage(err) != nil:
			c.result.Damaged = append(c.result.Damaged, err)
		case err != nil:
			return err
		}
		c.whole[groupName{name, n}] = err == nil
	}
	return nil
}
