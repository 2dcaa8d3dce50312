package pack

import "bytes"

// run is the sorted records of one pack, from its own table, or of many, from
// an index. It is not changed while a view has it.
type run struct {
	index *index // nil: records are in memory
	// packs are those whose records these are, by number, and gone those of
	// them that are no longer there; nil is none.
	packs   []Name
	gone    []bool
	records []byte
}

func (r *run) len() int { return len(r.records) / recordSize }

func (r *run) record(i int) []byte { return r.records[i*recordSize:][:recordSize] }

// in returns the run as a folder with these packs has it.
func (r *run) in(present map[Name]bool) *run {
	c := *r
	c.gone = nil
	for i, name := range r.packs {
		if !present[name] {
			if c.gone == nil {
				c.gone = make([]bool, len(r.packs))
			}
			c.gone[i] = true
		}
	}
	return &c
}

// find returns where key is in a pack that is there. bad says that the record
// cannot have been written so.
func (r *run) find(key *Key) (at Location, found, bad bool) {
	return r.findAt(search(r.records, key), key)
}

// findAt is find from the first record on whose key is not less than key.
func (r *run) findAt(i int, key *Key) (at Location, found, bad bool) {
	for n := r.len(); i < n; i++ {
		rec := r.record(i)
		if Key(rec) != *key {
			break
		}
		pack := packOf(rec)
		if int64(pack) >= int64(len(r.packs)) {
			return Location{}, false, true
		}
		if r.gone != nil && r.gone[pack] {
			continue
		}
		e := entryOf(rec)
		if e.Kind > Manifest || e.Kind == Blob && e.Size != int64(e.Len) {
			return Location{}, false, true
		}
		return Location{Pack: r.packs[pack], Entry: e}, true, false
	}
	return Location{}, false, false
}

// merger yields the records of several runs as one sorted run.
type merger struct{ heads []head } // a heap, the smallest first

// head is the first record of a run that was not yielded yet.
type head struct {
	*run
	i int
}

// newMerger begins at the first records that are not less than from.
func newMerger(runs []*run, from *Key) *merger {
	m := &merger{}
	for _, r := range runs {
		if i := search(r.records, from); i < r.len() {
			m.heads = append(m.heads, head{r, i})
		}
	}
	for i := len(m.heads)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m
}

func (h head) less(o head) bool {
	return bytes.Compare(h.record(h.i)[:keySize], o.record(o.i)[:keySize]) < 0
}

func (m *merger) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(m.heads) {
			return
		}
		if child+1 < len(m.heads) && m.heads[child+1].less(m.heads[child]) {
			child++
		}
		if !m.heads[child].less(m.heads[i]) {
			return
		}
		m.heads[i], m.heads[child] = m.heads[child], m.heads[i]
		i = child
	}
}

// peek returns the next record and its run.
func (m *merger) peek() (*run, []byte, bool) {
	if len(m.heads) == 0 {
		return nil, nil, false
	}
	h := m.heads[0]
	return h.run, h.record(h.i), true
}

func (m *merger) next() {
	if m.heads[0].i++; m.heads[0].i == m.heads[0].len() {
		last := len(m.heads) - 1
		m.heads[0] = m.heads[last]
		m.heads = m.heads[:last]
	}
	m.sink(0)
}
