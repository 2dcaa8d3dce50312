// Package pack is the file format of the store: many chunks in one file.
//
// An entry is what a key names: a blob, whose bytes hash to the key, or the
// manifest of a content that was cut into chunks, whose key is the hash of that content. A group
// is entries that are encoded together. A pack is groups and, at its end, a table of
// them; it is written once, has the hash of its table as its name, and is
// self-contained. An index is a sorted table of the entries of many packs: it
// holds nothing that the packs do not, and is made again from them when it is
// damaged. A Set is the packs of a folder, found through their indexes.
//
//	w := NewWriter(temp)
//	w.Append(method, plain, stored, entries)     // one group; by many at once
//	name, err := w.Finish()                      // table and trailer; then temp.Sync, set.Publish
//
//	set := OpenSet(fs, dir)
//	at, err := set.Find(key)                     // which pack, which group, where in it
//	stored, err := at.Pack.ReadGroup(at.Group, buf)
//
// Format: docs/spec/store.md.
package pack

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
