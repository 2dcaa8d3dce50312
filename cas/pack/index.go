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
