package cas

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"github.com/kept-dev/kept/cas/pack"
)

// Missing implements Batch.
func (b *batch) Missing(ctx context.Context, want []Digest) ([]int, error) {
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	order := sorted(want)
	keys := make([]pack.Key, 0, len(want))
	for _, i := range order {
		if len(keys) == 0 || keys[len(keys)-1] != pack.Key(want[i]) {
			keys = append(keys, pack.Key(want[i]))
		}
	}
	there := make([]bool, len(keys))
	used := map[pack.Name]bool{}
	var last pack.Name // mostly the one before is the same
	err := b.l.set.FindSorted(keys, func(i int, at pack.Location) {
		if there[i] = at.Kind == pack.Blob; there[i] && at.Pack != last { // of the others Has has more to ask
			last = at.Pack
			used[last] = true
		}
	})
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		if !there[i] {
			if there[i], err = b.Has(ctx, key); err != nil {
				return nil, err
			}
		}
	}
	var missing []int
	at := 0
	for _, i := range order {
		if keys[at] != pack.Key(want[i]) {
			at++
		}
		if !there[at] {
			missing = append(missing, i)
		}
	}
	slices.Sort(missing)
	b.rely(keys, there, used)
	return missing, nil
}

// rely takes over keys, and notes which of them were found, and in which packs.
func (b *batch) rely(keys []pack.Key, there []bool, used map[pack.Name]bool) {
	if slices.Contains(there, false) {
		found := keys[:0]
		for i, key := range keys {
			if there[i] {
				found = append(found, key)
			}
		}
		keys = slices.Clip(found)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.relied = append(b.relied, keys)
	for name := range used {
		b.used[name] = true
	}
}

// sorted returns the indexes of list in the order of what is there.
func sorted(list []Digest) []int {
	type place struct {
		prefix uint64 // decides nearly always
		index  int
	}
	places := make([]place, len(list))
	for i := range list {
		places[i] = place{binary.BigEndian.Uint64(list[i][:]), i}
	}
	slices.SortFunc(places, func(x, y place) int {
		if c := cmp.Compare(x.prefix, y.prefix); c != 0 {
			return c
		}
		return bytes.Compare(list[x.index][:], list[y.index][:])
	})
	order := make([]int, len(list))
	for i := range places {
		order[i] = places[i].index
	}
	return order
}
