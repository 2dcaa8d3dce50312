package cas

import (
	"cmp"
	"slices"

	"github.com/kept-dev/kept/cas/pack"
)

// catalog finds what is in packs of a remote by their tables.
type catalog struct {
	tables []*farTable
	slots  []slot // sorted by key after settle
}

// farTable is the table of a pack on the remote.
type farTable struct {
	*pack.Table
	number int
	// entries is how many each group has.
	entries []uint32
}

// slot is an entry: the first bytes of its key, and where it is. It is small because there are
// as many as chunks.
type slot struct {
	short        uint64
	table, entry uint32
}

func (c *catalog) add(t *pack.Table) {
	f := &farTable{Table: t, number: len(c.tables), entries: make([]uint32, len(t.Groups()))}
	c.tables = append(c.tables, f)
	c.slots = slices.Grow(c.slots, t.Len())
	for i := range t.Len() {
		e := t.Entry(i)
		f.entries[e.Group]++
		c.slots = append(c.slots, slot{shortKey(e.Key), uint32(f.number), uint32(i)})
	}
}

// settle makes find see what was added.
func (c *catalog) settle() {
	slices.SortFunc(c.slots, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.short, b.short), cmp.Compare(a.table, b.table), cmp.Compare(a.entry, b.entry))
	})
}

// find returns where an entry is; of several places the same one each time.
func (c *catalog) find(d Digest) (t *farTable, e pack.Entry, ok bool) {
	short := shortKey(d)
	i, _ := slices.BinarySearchFunc(c.slots, short, func(s slot, short uint64) int { return cmp.Compare(s.short, short) })
	for ; i < len(c.slots) && c.slots[i].short == short; i++ {
		t = c.tables[c.slots[i].table]
		if e = t.Entry(int(c.slots[i].entry)); e.Key == d {
			return t, e, true
		}
	}
	return nil, pack.Entry{}, false
}

// share returns how many stored bytes an entry is good for, 0 for one that is nowhere.
func (c *catalog) share(d Digest) int64 {
	t, e, ok := c.find(d)
	if !ok {
		return 0
	}
	return int64(shareOf(t.Groups()[e.Group], e))
}
