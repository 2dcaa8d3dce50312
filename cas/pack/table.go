package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/zeebo/blake3"
)

// The parts of a pack, in the order in which they lie in it. All numbers are
// little-endian.
//
//	header   16 bytes
//	groups   one after the other, without gaps
//	table    u32 groups, u32 entries, then their records
//	trailer  u64 offset of the table, u64 its size, its hash, the header again
const (
	header      = "kept pack 1\n\x00\x00\x00\x00"
	headerSize  = len(header)
	family      = "kept pack " // begins the header of every version
	countsSize  = 8
	groupSize   = 24
	recordSize  = 60
	trailerSize = 8 + 8 + 32 + headerSize
)

var le = binary.LittleEndian

// A group record is u64 offset, u32 stored, u32 plain, u32 sum, u32 method.
func appendGroup(b []byte, g Group) []byte {
	b = le.AppendUint64(b, uint64(g.Offset))
	b = le.AppendUint32(b, g.Stored)
	b = le.AppendUint32(b, g.Plain)
	b = le.AppendUint32(b, g.Sum)
	return le.AppendUint32(b, uint32(g.Method))
}

// An entry record is key, u64 size, u32 group, u32 at, u32 len, u32 pack, u32
// kind. The pack is 0 in a pack's own table, and a number in the list of packs
// in an index.
func appendRecord(b []byte, e Entry, pack uint32) []byte {
	b = append(b, e.Key[:]...)
	b = le.AppendUint64(b, uint64(e.Size))
	b = le.AppendUint32(b, e.Group)
	b = le.AppendUint32(b, e.At)
	b = le.AppendUint32(b, e.Len)
	b = le.AppendUint32(b, pack)
	return le.AppendUint32(b, uint32(e.Kind))
}

const (
	keySize  = len(Key{})
	packAt   = keySize + 8 + 3*4
	kindAt   = packAt + 4
	sizeAt   = keySize
	placesAt = keySize + 8
)

func entryOf(rec []byte) Entry {
	return Entry{
		Key:   Key(rec),
		Size:  int64(le.Uint64(rec[sizeAt:])),
		Group: le.Uint32(rec[placesAt:]),
		At:    le.Uint32(rec[placesAt+4:]),
		Len:   le.Uint32(rec[placesAt+8:]),
		Kind:  Kind(le.Uint32(rec[kindAt:])),
	}
}

func packOf(rec []byte) uint32 { return le.Uint32(rec[packAt:]) }

// check says what is wrong with an entry of a pack that has these groups.
func (e Entry) check(groups []Group) error {
	switch {
	case int64(e.Group) >= int64(len(groups)):
		return fmt.Errorf("it is in group %d of %d", e.Group, len(groups))
	case uint64(e.At)+uint64(e.Len) > uint64(groups[e.Group].Plain):
		return fmt.Errorf("it ends at %d of %d bytes of its group", uint64(e.At)+uint64(e.Len), groups[e.Group].Plain)
	case e.Size < 0:
		return errors.New("its size is out of range")
	case e.Kind == Blob && e.Size != int64(e.Len):
		return fmt.Errorf("it is a blob of %d bytes with %d bytes of content", e.Size, e.Len)
	case e.Kind > Manifest:
		return fmt.Errorf("its kind is %d", e.Kind)
	}
	return nil
}

// table is what is in a pack.
type table struct {
	groups []Group
	// records are those of the entries, sorted by key, each key once.
	records []byte
}

// appendTable returns the table as it is in the pack. The records are sorted.
func appendTable(b []byte, groups []Group, records []byte) []byte {
	b = le.AppendUint32(b, uint32(len(groups)))
	b = le.AppendUint32(b, uint32(len(records)/recordSize))
	for _, g := range groups {
		b = appendGroup(b, g)
	}
	return append(b, records...)
}

// parseTable reads a table, which begins at offset in its pack. It keeps b.
func parseTable(b []byte, offset int64) (*table, error) {
	if len(b) < countsSize {
		return nil, fmt.Errorf("its table has %d bytes", len(b))
	}
	groups, entries := le.Uint32(b), le.Uint32(b[4:])
	if want := countsSize + groupSize*uint64(groups) + recordSize*uint64(entries); want != uint64(len(b)) {
		return nil, fmt.Errorf("its table has %d bytes, and %d groups and %d entries take %d", len(b), groups, entries, want)
	}
	b = b[countsSize:]
	t := &table{groups: make([]Group, groups), records: b[groupSize*int(groups):]}
	end := int64(headerSize)
	for i := range t.groups {
		g, err := parseGroup(b[groupSize*i:], end)
		if err != nil {
			return nil, fmt.Errorf("its table is wrong about group %d: %w", i, err)
		}
		t.groups[i] = g
		end += int64(g.Stored)
	}
	if end != offset {
		return nil, fmt.Errorf("its groups end at %d and its table begins at %d", end, offset)
	}
	var last []byte
	for rec := t.records; len(rec) > 0; rec = rec[recordSize:] {
		if last != nil && bytes.Compare(last, rec[:keySize]) >= 0 {
			return nil, errors.New("its table is not sorted")
		}
		last = rec[:keySize]
		if le.Uint32(rec[kindAt:]) > math.MaxUint8 || packOf(rec) != 0 {
			return nil, fmt.Errorf("its table is wrong about %x: a field is out of range", last)
		}
		if err := entryOf(rec).check(t.groups); err != nil {
			return nil, fmt.Errorf("its table is wrong about %x: %w", last, err)
		}
	}
	return t, nil
}

// parseGroup reads the record of the group that begins at offset.
func parseGroup(b []byte, offset int64) (Group, error) {
	g := Group{
		Offset: int64(le.Uint64(b)),
		Stored: le.Uint32(b[8:]),
		Plain:  le.Uint32(b[12:]),
		Sum:    le.Uint32(b[16:]),
		Method: b[20],
	}
	switch {
	case g.Offset != offset:
		return Group{}, fmt.Errorf("it begins at %d and the one before it ends at %d", g.Offset, offset)
	case g.Stored > MaxGroup || g.Plain > MaxGroup:
		return Group{}, fmt.Errorf("it has %d bytes, and %d in the pack", g.Plain, g.Stored)
	case le.Uint32(b[20:]) > math.MaxUint8:
		return Group{}, errors.New("its method is out of range")
	}
	return g, nil
}

// trailer says where the table is.
type trailer struct {
	offset, size int64
	name         Name
}

func (t trailer) append(b []byte) []byte {
	b = le.AppendUint64(b, uint64(t.offset))
	b = le.AppendUint64(b, uint64(t.size))
	b = append(b, t.name[:]...)
	return append(b, header...)
}

// parseTrailer reads the first and the last bytes of a pack of that size.
func parseTrailer(first, last []byte, size int64, name Name) (trailer, error) {
	magic := last[trailerSize-headerSize:]
	switch {
	case bytes.Equal(first, magic) && bytes.HasPrefix(first, []byte(family)) && string(first) != header:
		return trailer{}, ErrVersion
	case string(first) != header:
		return trailer{}, errors.New("it does not begin as a pack")
	case string(magic) != header:
		return trailer{}, errors.New("it does not end as a pack: it is cut short or was appended to")
	}
	t := trailer{name: Name(last[16:])}
	offset, length := le.Uint64(last), le.Uint64(last[8:])
	whole := uint64(size - int64(trailerSize))
	switch {
	case offset > whole || length != whole-offset:
		return trailer{}, fmt.Errorf("its table is said to have %d bytes at %d, and %d bytes are there", length, offset, whole)
	case t.name != name:
		return trailer{}, fmt.Errorf("it is pack %s", t.name)
	}
	t.offset, t.size = int64(offset), int64(length)
	return t, nil
}

func hashOf(b []byte) Name { return blake3.Sum256(b) }

// search returns the number of the first of n sorted records whose key is not
// less than key. Keys are hashes, so where one lies among the others is known
// almost exactly; after a few guesses, which keys that somebody chose could make
// bad, it halves.
func search(records []byte, key *Key) int {
	const guesses = 12
	want := binary.BigEndian.Uint64(key[:])
	low, high := 0, len(records)/recordSize
	first, last := uint64(0), uint64(math.MaxUint64) // keys begin with something between
	for step := 0; low < high; step++ {
		middle := int(uint(low+high) / 2)
		if step < guesses && first < last {
			// Neither overflows nor divides by zero: want is from first to last.
			hi, lo := bits.Mul64(want-first, uint64(high-low))
			q, _ := bits.Div64(hi, lo, last-first)
			middle = low + int(min(q, uint64(high-low-1)))
		}
		rec := records[middle*recordSize:][:keySize]
		there := binary.BigEndian.Uint64(rec)
		if there < want || there == want && bytes.Compare(rec, key[:]) < 0 {
			low, first = middle+1, there
		} else {
			high, last = middle, there
		}
	}
	return low
}
