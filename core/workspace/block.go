package workspace

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"io/fs"
	"time"

	"github.com/kept-dev/kept/cas"
)

// stat is what tells a file apart from its former self without reading it.
type stat struct {
	size, mtime, ctime int64 // bytes, and nanoseconds since 1970
	inode              uint64
	mode               fs.FileMode
}

// noStat is as no file is.
var noStat = stat{size: -1}

// racy reports whether a file was changed so shortly before now that a second
// change could carry the same time. File systems that keep whole seconds show
// it by their zeros; the others tick at least every 10 ms.
func racy(s stat, now time.Time) bool {
	grain := int64(20 * time.Millisecond)
	if s.mtime%int64(time.Second) == 0 {
		grain = int64(2 * time.Second)
	}
	return max(s.mtime, s.ctime)+grain > now.UnixNano()
}

// recordSize is the length of a record: where its name ends in the block's names
// and its mode, of 4 bytes each, then size, mtime, ctime and inode of 8, then the
// digest. Numbers are little-endian.
const recordSize = 2*4 + 4*8 + len(cas.Digest{})

const (
	modeAt   = 4
	statAt   = 8
	digestAt = 40
)

// block is what is known of the files, links and folders in one folder, in the
// order in which the file system lists them. A folder in it has a name and no
// more. It is the bytes that the stat cache has on disk: a working tree with a
// million files is 84 MB of them and not a million objects.
//
// A block that the cache holds is never changed.
type block struct {
	records []byte
	names   []byte
	// check is the checksum of a block that the cache has, else zero.
	check cas.Digest
}

func (b *block) len() int { return len(b.records) / recordSize }

func (b *block) record(i int) []byte { return b.records[i*recordSize : (i+1)*recordSize] }

func (b *block) name(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = binary.LittleEndian.Uint32(b.record(i - 1))
	}
	return b.names[start:binary.LittleEndian.Uint32(b.record(i))]
}

func (b *block) mode(i int) fs.FileMode {
	return fs.FileMode(binary.LittleEndian.Uint32(b.record(i)[modeAt:]))
}

func (b *block) isDir(i int) bool { return b.mode(i).IsDir() }

func (b *block) size(i int) int64 {
	return int64(binary.LittleEndian.Uint64(b.record(i)[statAt:]))
}

func (b *block) stat(i int) stat {
	r := b.record(i)
	return stat{
		mode:  fs.FileMode(binary.LittleEndian.Uint32(r[modeAt:])),
		size:  int64(binary.LittleEndian.Uint64(r[statAt:])),
		mtime: int64(binary.LittleEndian.Uint64(r[statAt+8:])),
		ctime: int64(binary.LittleEndian.Uint64(r[statAt+16:])),
		inode: binary.LittleEndian.Uint64(r[statAt+24:]),
	}
}

func (b *block) digest(i int) cas.Digest { return cas.Digest(b.record(i)[digestAt:]) }

// add appends a record.
func (b *block) add(name []byte, s stat, d cas.Digest) {
	b.names = append(b.names, name...)
	b.records = binary.LittleEndian.AppendUint32(b.records, uint32(len(b.names)))
	b.records = binary.LittleEndian.AppendUint32(b.records, 0)
	b.records = append(b.records, make([]byte, recordSize-statAt)...)
	b.set(b.len()-1, s, d)
}

// set replaces all but the name of a record.
func (b *block) set(i int, s stat, d cas.Digest) {
	r := b.record(i)
	binary.LittleEndian.PutUint32(r[modeAt:], uint32(s.mode))
	binary.LittleEndian.PutUint64(r[statAt:], uint64(s.size))
	binary.LittleEndian.PutUint64(r[statAt+8:], uint64(s.mtime))
	binary.LittleEndian.PutUint64(r[statAt+16:], uint64(s.ctime))
	binary.LittleEndian.PutUint64(r[statAt+24:], s.inode)
	copy(r[digestAt:], d[:])
}

// setDigest is safe for concurrent use on different records.
func (b *block) setDigest(i int, d cas.Digest) { copy(b.record(i)[digestAt:], d[:]) }

func (b *block) setSize(i int, size int64) {
	binary.LittleEndian.PutUint64(b.record(i)[statAt:], uint64(size))
}

func (b *block) clone() *block {
	return &block{records: bytes.Clone(b.records), names: bytes.Clone(b.names)}
}

func (b *block) equal(c *block) bool {
	return bytes.Equal(b.records, c.records) && bytes.Equal(b.names, c.names)
}

// doubting returns b, or where some of it is doubtful a copy in which that is as no file is.
// The digests are left: they are of earlier versions.
func (b *block) doubting(doubtful func(i int) bool) *block {
	c := b
	for i := range b.len() {
		if !doubtful(i) {
			continue
		}
		if c == b {
			c = b.clone()
		}
		c.set(i, noStat, b.digest(i))
	}
	return c
}

// sound reports whether every record has a name.
func (b *block) sound() bool {
	end := uint32(0)
	for i := range b.len() {
		next := binary.LittleEndian.Uint32(b.record(i))
		if next <= end || int64(next) > int64(len(b.names)) {
			return false
		}
		end = next
	}
	return int(end) == len(b.names)
}

// sum is the checksum of a block.
func (b *block) sum() cas.Digest {
	h := cas.NewHasher()
	h.Write(b.records)
	h.Write(b.names)
	return h.Digest()
}

// index finds the records of a block by name.
type index struct {
	seed  maphash.Seed
	slots []uint32 // number of a record, from 1 on; at least twice as many as records
	known int
}

// find returns the number of the record with a name, or -1. It takes up the
// records that were added to b since the last call.
func (x *index) find(b *block, name []byte) int {
	if 2*b.len() >= len(x.slots) {
		x.slots = make([]uint32, max(64, 1<<bitsFor(4*b.len())))
		x.seed, x.known = maphash.MakeSeed(), 0
	}
	for ; x.known < b.len(); x.known++ {
		x.slots[x.slot(b, b.name(x.known))] = uint32(x.known + 1)
	}
	return int(x.slots[x.slot(b, name)]) - 1
}

// slot returns the slot that has name, or the free one that it would take.
func (x *index) slot(b *block, name []byte) uint64 {
	mask := uint64(len(x.slots) - 1)
	at := maphash.Bytes(x.seed, name) & mask
	for x.slots[at] != 0 && !bytes.Equal(b.name(int(x.slots[at]-1)), name) {
		at = (at + 1) & mask
	}
	return at
}

func bitsFor(n int) int {
	bits := 0
	for 1<<bits < n {
		bits++
	}
	return bits
}
