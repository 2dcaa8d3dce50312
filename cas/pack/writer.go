package pack

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sync"

	"github.com/kept-dev/kept/cas/disk"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer writes a pack into a temporary file. Append may be called by many at
// once; Finish comes after all of them.
type Writer struct {
	t disk.Temp

	mu      sync.Mutex
	groups  []Group
	records [][recordSize]byte
	end     int64 // of what is reserved
	err     error
	table   []byte // after Finish
	name    Name
}

// NewWriter begins a pack in t, which is empty.
func NewWriter(t disk.Temp) (*Writer, error) {
	if _, err := t.WriteAt([]byte(header), 0); err != nil {
		return nil, fmt.Errorf("begin pack: %w", err)
	}
	return &Writer{t: t, end: int64(headerSize)}, nil
}

// Append writes a group of plain bytes, stored as the method makes them, and
// fills in the Group of its entries. A key that is in the pack already is left
// out. After an error the pack cannot be finished.
func (w *Writer) Append(method uint8, plain int, stored []byte, entries []Entry) error {
	g, err := w.reserve(method, plain, stored, entries)
	if err != nil {
		return fmt.Errorf("append to pack: %w", err)
	}
	if _, err = w.t.WriteAt(stored, g.Offset); err != nil {
		w.fail(err)
		return fmt.Errorf("append to pack: %w", err)
	}
	return nil
}

// NewGroup describes a group that has no place yet.
func NewGroup(method uint8, plain int, stored []byte) Group {
	return Group{Stored: uint32(len(stored)), Plain: uint32(plain), Method: method, Sum: crc32.Checksum(stored, castagnoli)}
}

// Check compares stored bytes with the checksum of the group.
func (g Group) Check(stored []byte) error {
	if got := crc32.Checksum(stored, castagnoli); got != g.Sum {
		return fmt.Errorf("its checksum is %08x, want %08x", got, g.Sum)
	}
	return nil
}

// reserve gives the group its number and its place.
func (w *Writer) reserve(method uint8, plain int, stored []byte, entries []Entry) (Group, error) {
	if plain < 0 || plain > MaxGroup || len(stored) > MaxGroup {
		return Group{}, fmt.Errorf("a group of %d bytes, %d stored, is too large", plain, len(stored))
	}
	g := NewGroup(method, plain, stored)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return Group{}, w.err
	case w.table != nil:
		return Group{}, errFinished
	case len(w.groups) == math.MaxInt32 || len(w.records) > math.MaxInt32-len(entries):
		return Group{}, errors.New("the pack has too many entries")
	}
	g.Offset = w.end
	number := uint32(len(w.groups))
	groups := append(w.groups, g)
	for i := range entries {
		entries[i].Group = number
		if err := entries[i].check(groups); err != nil {
			return Group{}, fmt.Errorf("entry %x: %w", entries[i].Key, err)
		}
	}
	w.groups = groups
	for _, e := range entries {
		w.records = append(w.records, [recordSize]byte(appendRecord(nil, e, 0)))
	}
	w.end += int64(g.Stored)
	return g, nil
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

var errFinished = errors.New("the pack is finished")

// Size returns how many bytes the pack would have if it were finished now.
func (w *Writer) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	table := len(w.table)
	if w.table == nil {
		table = countsSize + groupSize*len(w.groups) + recordSize*len(w.records)
	}
	return w.end + int64(table+trailerSize)
}

// Len returns the number of entries appended so far.
func (w *Writer) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.records)
}

// Finish writes table and trailer and returns the name of the pack. It neither
// syncs nor publishes the file.
func (w *Writer) Finish() (Name, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return Name{}, fmt.Errorf("finish pack: %w", w.err)
	case w.table != nil:
		return Name{}, fmt.Errorf("finish pack: %w", errFinished)
	}
	b := appendTable(nil, w.groups, sorted(w.records))
	size := len(b)
	w.name = hashOf(b)
	b = trailer{offset: w.end, size: int64(size), name: w.name}.append(b)
	if _, err := w.t.WriteAt(b, w.end); err != nil {
		w.err = err
		return Name{}, fmt.Errorf("finish pack: %w", err)
	}
	w.table, w.records = b[:size:size], nil
	return w.name, nil
}

// sorted returns the records by key, each key once: of several the one in the
// first group.
func sorted(records [][recordSize]byte) []byte {
	slices.SortStableFunc(records, func(a, b [recordSize]byte) int { return bytes.Compare(a[:keySize], b[:keySize]) })
	b := make([]byte, 0, len(records)*recordSize)
	for i, rec := range records {
		if i > 0 && [keySize]byte(rec[:keySize]) == [keySize]byte(records[i-1][:keySize]) {
			continue
		}
		b = append(b, rec[:]...)
	}
	return b
}
