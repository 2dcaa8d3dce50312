// Package pack is the file format of the store: many chunks in one file.
//
// An entry is what a key names: a blob, whose bytes hash to the key, or the
// manifest of a content that was cut into chunks, whose key is the hash of that
// content. A group is entries that are encoded together. A pack is groups and,
// at its end, a table of them; it is written once, has the hash of its table as
// its name, and is self-contained. An index is the sorted table of the entries
// of many packs: it holds nothing that the packs do not, and is made again from
// them when it is damaged. A Set is the packs of a folder, found through their
// indexes.
//
//	w, err := NewWriter(temp)
//	err = w.Append(method, plain, stored, entries) // one group; by many at once
//	name, err := w.Finish()                        // table and trailer; then temp.Sync()
//	err = set.Publish(w, temp, name)               // from now on it is found
//	err = set.Sync()                               // and from now on after a power cut
//
//	set := OpenSet(fsys, dir)
//	at, found, err := set.Find(key)                // which pack, which group, where in it
//	p, err := set.Open(at.Pack)
//	group, stored, err := p.ReadGroup(at.Group, buf)
//
// A pack may move its entries to another one and go at any time: a reader that
// finds it gone calls Refresh and Find again.
//
// Format: docs/spec/store.md.
package pack

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Key names an entry: a BLAKE3-256 hash.
type Key = [32]byte

// Kind is what an entry is.
type Kind uint8

// The kinds of entries; the values are part of the format.
const (
	// Blob: bytes that hash to the key.
	Blob Kind = 0
	// Manifest: a list of the chunks of a content that hashes to the key.
	Manifest Kind = 1
)

// Entry says where something is in a pack.
type Entry struct {
	Key  Key
	Kind Kind
	// Size is that of the content which the key names, in bytes: Len for a blob.
	Size int64
	// Group is the number of its group in the pack, At and Len its place in that group's plain bytes.
	Group, At, Len uint32
}

// Group says where a group is in its pack and how it is encoded.
type Group struct {
	Offset        int64
	Stored, Plain uint32 // sizes in bytes, in the pack and decoded
	// Method is how it is to be decoded. See package codec.
	Method uint8
	// Sum is the CRC-32C (Castagnoli) of the stored bytes.
	Sum uint32
}

// MaxGroup is the largest size of a group, stored or plain, in bytes. It bounds
// what a reader has to hold.
const MaxGroup = 16 << 20

// Name names a pack: the BLAKE3-256 hash of its table.
type Name [32]byte

// String returns the 64 hex digits by which the pack's file is named.
func (n Name) String() string { return hex.EncodeToString(n[:]) }

// ParseName reads what String writes, and nothing else.
func ParseName(s string) (Name, error) {
	var n Name
	if len(s) != 2*len(n) || strings.ToLower(s) != s {
		return Name{}, fmt.Errorf("%q is not 64 lower-case hex digits", s)
	}
	if _, err := hex.Decode(n[:], []byte(s)); err != nil {
		return Name{}, fmt.Errorf("%q is not 64 lower-case hex digits", s)
	}
	return n, nil
}

// Location is where an entry is. One that comes from an index is as good as the
// index: before what is found there is called damaged, Set.Verify and Find again.
type Location struct {
	Pack Name
	Entry
}

// DamageError says that a pack is not what was written.
type DamageError struct {
	Pack Name
	// Group is the number of the group that is damaged, and -1 where it is the
	// pack as a whole: its header, table or trailer, or its size.
	Group int64
	Err   error
}

func (e *DamageError) Error() string {
	if e.Group < 0 {
		return fmt.Sprintf("pack %.10s is damaged: %v", e.Pack, e.Err)
	}
	return fmt.Sprintf("pack %.10s is damaged: group %d: %v", e.Pack, e.Group, e.Err)
}

// Unwrap returns e.Err.
func (e *DamageError) Unwrap() error { return e.Err }

// ErrVersion reports a pack or an index of another version of the format: not
// damaged, but not for this program either.
var ErrVersion = errors.New("it has a format that this version does not know")
