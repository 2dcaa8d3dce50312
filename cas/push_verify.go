package cas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
)

// verifyPacks reads packs that the remote has. One that is damaged counts as not there from now on.
func (w *wire) verifyPacks(ctx context.Context, packs []packRef) error {
	bad := make([]bool, len(packs))
	for _, p := range packs {
		w.o.Meter.Total(p.size-pack.EndSize(p.table), 0)
	}
	err := w.each(ctx, len(packs), func(ctx context.Context, i int) (err error) {
		for range 2 { // the way may be to blame
			if err = w.verifyPack(ctx, packs[i]); !isBad(err) {
				return err
			}
		}
		bad[i] = true
		return nil
	})
	for i, p := range packs {
		if bad[i] {
			w.proven[p.name] = -1
			w.spoiled[p.name] = true
		}
	}
	return err
}

// verifyPack reads a pack from its first group to its end, and compares all that is in it.
func (w *wire) verifyPack(ctx context.Context, p packRef) error {
	file, tail := packFile(p.name), pack.EndSize(p.table)
	b, err := w.get(ctx, file, p.size-tail, tail, tail)
	if err != nil {
		return w.why(ctx, p, err)
	}
	t, err := pack.ParseEnd(p.name, p.size, b)
	if err != nil {
		return w.damaged(file, err)
	}
	body, err := w.remote.Get(ctx, file, 0, p.size-tail)
	if err != nil {
		return w.why(ctx, p, err)
	}
	defer body.Close()
	groups := t.Groups()
	entries := make([][]pack.Entry, len(groups))
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	for i := range t.Len() {
		e := t.Entry(i)
		entries[e.Group] = append(entries[e.Group], e)
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(groups[a].Offset, groups[b].Offset), cmp.Compare(groups[a].Stored, groups[b].Stored))
	})
	at := int64(0)
	for _, n := range order {
		g := groups[n]
		if _, err := io.CopyN(io.Discard, body, g.Offset-at); err != nil {
			return w.why(ctx, p, w.short(file, err))
		}
		wrong, err := verifyGroup(body, g, entries[n])
		if err != nil {
			return w.why(ctx, p, w.short(file, err))
		}
		if wrong != nil {
			return w.damaged(file, &pack.DamageError{Pack: p.name, Group: int64(n), Err: wrong})
		}
		end := g.Offset + int64(g.Stored)
		w.o.Meter.Moved(end - at)
		at = end
	}
	return nil
}

// verifyGroup reads a group and says what is wrong with it, or why it could not be read.
func verifyGroup(from io.Reader, g pack.Group, entries []pack.Entry) (wrong, err error) {
	stored := storedBuffers.get()
	stored = slices.Grow(stored[:0], int(g.Stored))[:g.Stored]
	defer func() { storedBuffers.put(stored) }()
	if _, err := io.ReadFull(from, stored); err != nil {
		return nil, err
	}
	if err := g.Check(stored); err != nil {
		return err, nil
	}
	plain := plainOf(plainBuffers.get(), g)
	defer plainBuffers.put(plain)
	err = codec.Decode(codec.Method(g.Method), stored, plain)
	if errors.Is(err, codec.ErrMethod) {
		return nil, nil // a newer kept has put it
	}
	if err != nil {
		return err, nil
	}
	for _, e := range entries {
		if !isWhole(e, plain, true) {
			return fmt.Errorf("what is stored as %s is something else", Digest(e.Key)), nil
		}
	}
	return nil, nil
}
