package pack

import (
	"bytes"
	"errors"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"github.com/zeebo/blake3"

	"github.com/kept-dev/kept/cas/disk"
)

// The parts of an index, in the order in which they lie in it:
//
//	header   16 bytes, u32 packs, u32 zero
//	names    of the packs, 32 bytes each, sorted
//	records  of the entries, sorted by key; one key may be in many packs
//	hash     of everything before it, which is the name of the index, too
const (
	indexHeader     = "kept index 1\n\x00\x00\x00"
	indexFamily     = "kept index " // begins the header of every version
	indexHeaderSize = len(indexHeader) + 8
	nameSize        = len(Name{})
)

// index is a mapped index file. It is unmapped when nobody can reach it, which
// saves those who search it from counting themselves.
type index struct {
	name Name
	data []byte
	// verified: the hash was compared, once for this process.
	verified atomic.Bool
}

// indexDamage is what is wrong with the bytes of an index.
type indexDamage string

func (e indexDamage) Error() string { return string(e) }

// errFault is what is wrong with an index that the disk does not give, or that
// was cut short after it was mapped.
var errFault = errors.New("index cannot be read")

// openIndex maps the index in the file at path. It looks at the sizes and the
// names of the packs; the records are looked at when they are found, and in verify.
func openIndex(fsys disk.FS, path string, name Name) (*run, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, release, err := f.Map()
	if err != nil {
		return nil, err
	}
	x := &index{name: name, data: data}
	runtime.AddCleanup(x, func(release func()) { release() }, release)
	var r *run
	if fault := x.guard(func() { r, err = parseIndex(data, name) }); fault != nil {
		return nil, fault
	}
	if errors.Is(err, ErrVersion) {
		// A bit of the header may have flipped: then the hash is another.
		if damaged := x.verify(); damaged != nil {
			return nil, damaged
		}
	}
	if err != nil {
		return nil, err
	}
	r.index = x
	return r, nil
}

// parseIndex reads everything but the records of an index. ErrVersion is for one
// that is of another version, if it is whole.
func parseIndex(b []byte, name Name) (*run, error) {
	if len(b) < indexHeaderSize+nameSize || string(b[:len(indexFamily)]) != indexFamily {
		return nil, indexDamage("not an index")
	}
	if Name(b[len(b)-nameSize:]) != name {
		return nil, indexDamage("index is another one or cut short")
	}
	if string(b[:len(indexHeader)]) != indexHeader {
		return nil, ErrVersion
	}
	packs, zero := le.Uint32(b[len(indexHeader):]), le.Uint32(b[len(indexHeader)+4:])
	b = b[indexHeaderSize : len(b)-nameSize]
	if uint64(packs)*uint64(nameSize) > uint64(len(b)) || zero != 0 {
		return nil, indexDamage("header of index is damaged")
	}
	names, records := b[:int(packs)*nameSize], b[int(packs)*nameSize:]
	if len(records)%recordSize != 0 {
		return nil, indexDamage("index is cut short")
	}
	r := &run{packs: make([]Name, packs), records: records}
	for i := range r.packs {
		r.packs[i] = Name(names[i*nameSize:])
		if i > 0 && bytes.Compare(r.packs[i-1][:], r.packs[i][:]) >= 0 {
			return nil, indexDamage("packs of index are not sorted")
		}
	}
	return r, nil
}

// verify hashes the index, the first time.
func (x *index) verify() error {
	if x.verified.Load() {
		return nil
	}
	h := blake3.New()
	// The hash sees a copy: its assembly is no place for a fault of the mapping.
	block := make([]byte, 256<<10)
	rest := x.data[:len(x.data)-nameSize]
	for len(rest) > 0 {
		var n int
		if err := x.guard(func() { n = copy(block, rest) }); err != nil {
			return err
		}
		h.Write(block[:n])
		rest = rest[n:]
	}
	if Name(h.Sum(nil)) != x.name {
		return indexDamage("index is damaged")
	}
	x.verified.Store(true)
	return nil
}

// guard calls fn, which reads the mapping, and returns errFault where the disk
// or the file has failed it.
func (x *index) guard(fn func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if e := recover(); e != nil {
			if !x.faulted(e) {
				panic(e)
			}
			err = errFault
		}
	}()
	defer runtime.KeepAlive(x)
	fn()
	return nil
}

// faulted reports whether a recovered value is a fault in the mapping of x.
func (x *index) faulted(recovered any) bool {
	fault, ok := recovered.(interface {
		runtime.Error
		Addr() uintptr
	})
	if !ok || x == nil || len(x.data) == 0 {
		return false
	}
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(x.data)))
	return fault.Addr() >= begin && fault.Addr()-begin < uintptr(len(x.data))
}

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
	n := r.len()
	for i := search(r.records, key); i < n; i++ {
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
		return Location{Pack: r.packs[pack], Entry: entryOf(rec)}, true, false
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
