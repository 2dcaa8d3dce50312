package pack

import (
	"errors"
	"fmt"
)

// Table is what is in a pack, for those who do not have the pack.
type Table struct {
	name Name
	raw  []byte
	end  int64 // of the groups: where the table begins in its pack
	*table
}

// ParseTable reads the table of the pack of that name, which it proves to be that.
// It keeps b.
func ParseTable(name Name, b []byte) (*Table, error) {
	if got := hashOf(b); got != name {
		return nil, fmt.Errorf("table of pack %.10s: it hashes to %.10s", name, got)
	}
	end := int64(headerSize)
	if len(b) >= countsSize {
		// Where the last group ends is where the table begins; parseTable sees whether it is true.
		if last := countsSize + groupSize*(int64(le.Uint32(b))-1); last >= countsSize && last+groupSize <= int64(len(b)) {
			end = int64(le.Uint64(b[last:])) + int64(le.Uint32(b[last+8:]))
		}
	}
	t, err := parseTable(b, end)
	if err != nil {
		return nil, fmt.Errorf("table of pack %.10s: %w", name, err)
	}
	return &Table{name: name, raw: b, end: end, table: t}, nil
}

// ParseEnd reads the table of the pack of that name from the end of its file,
// which has size bytes: b is the table and the trailer.
func ParseEnd(name Name, size int64, b []byte) (*Table, error) {
	if len(b) < countsSize+trailerSize || size < int64(headerSize+len(b)) {
		return nil, fmt.Errorf("end of pack %.10s: it has %d bytes of %d", name, len(b), size)
	}
	table, last := b[:len(b)-trailerSize], b[len(b)-trailerSize:]
	at, err := parseTrailer(last[trailerSize-headerSize:], last, size, name)
	if err == nil && at.size != int64(len(table)) {
		err = fmt.Errorf("its table has %d bytes, want %d", at.size, len(table))
	}
	if err != nil {
		return nil, fmt.Errorf("end of pack %.10s: %w", name, err)
	}
	t, err := ParseTable(name, table)
	if err == nil && t.end != at.offset {
		err = fmt.Errorf("end of pack %.10s: its groups end at %d and its table begins at %d", name, t.end, at.offset)
	}
	return t, err
}

// EndSize returns how many bytes at the end of a pack ParseEnd needs, for a table of that size.
func EndSize(table int64) int64 { return table + int64(trailerSize) }

// Name returns the name of the pack.
func (t *Table) Name() Name { return t.name }

// Bytes returns the table as it is in the pack. It must not be changed.
func (t *Table) Bytes() []byte { return t.raw }

// PackSize returns the size of the pack's file.
func (t *Table) PackSize() int64 { return t.end + EndSize(int64(len(t.raw))) }

// Groups returns the groups of the pack, which must not be changed.
func (t *Table) Groups() []Group { return t.groups }

// Len returns the number of entries.
func (t *Table) Len() int { return len(t.records) / recordSize }

// Entry returns entry i in the order of the keys.
func (t *Table) Entry(i int) Entry { return entryOf(t.records[i*recordSize:]) }

// Table reads the table again: a Pack does not hold it.
func (p *Pack) Table() (*Table, error) {
	b := make([]byte, p.table.size)
	if _, err := p.ReadAt(b, p.table.offset); err != nil {
		return nil, err
	}
	t, err := ParseTable(p.name, b)
	if err != nil {
		return nil, p.damage(err)
	}
	return t, nil
}

// ReadAt implements io.ReaderAt for the file. An end before len(b) bytes is damage.
func (p *Pack) ReadAt(b []byte, offset int64) (int, error) {
	f, err := p.acquire()
	if err != nil {
		return 0, err
	}
	defer p.leave()
	if err := p.readAt(f, b, offset); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Outline is a pack that is nowhere yet: all of it but the groups, which lie between Head and Tail.
type Outline struct {
	*Table
	Head, Tail []byte
}

// NewOutline returns the pack that has these groups, in this order, whose offsets it fills in. The
// Group of an entry is a number in groups. Of entries with one key the one in the first group stays.
func NewOutline(groups []Group, entries []Entry) (*Outline, error) {
	end := int64(headerSize)
	for i := range groups {
		groups[i].Offset = end
		end += int64(groups[i].Stored)
	}
	records := make([][recordSize]byte, len(entries))
	for i, e := range entries {
		if err := e.check(groups); err != nil {
			return nil, fmt.Errorf("entry %x: %w", e.Key, err)
		}
		appendRecord(records[i][:0], e, 0)
	}
	raw := appendTable(nil, groups, sorted(records))
	name := hashOf(raw)
	t, err := ParseTable(name, raw)
	if err != nil {
		return nil, err
	}
	if t.end != end {
		return nil, errors.New("its groups have another size than their sum")
	}
	tail := append(raw[:len(raw):len(raw)], trailer{offset: end, size: int64(len(raw)), name: name}.append(nil)...)
	return &Outline{Table: t, Head: []byte(header), Tail: tail}, nil
}
