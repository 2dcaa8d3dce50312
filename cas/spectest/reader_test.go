package spectest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/zeebo/blake3"
)

// Hash is a BLAKE3-256 hash.
type Hash = [32]byte

// Store is what the packs of a store have. Everything is read when it is opened.
type Store struct {
	Packs   map[Hash]*Pack
	Indexes int
	entries map[Hash]place
	cache   map[*group][]byte
}

// Pack is the table of a pack.
type Pack struct {
	file    []byte
	groups  []*group
	entries []entry
}

type group struct {
	offset                     uint64
	stored, plain, sum, method uint32
}

type entry struct {
	key                           Hash
	size                          uint64
	group, at, length, pack, kind uint32
}

const (
	blob     = 0
	manifest = 1
	maxChunk = 262_144
	maxGroup = 16_777_216
)

type place struct {
	pack  *Pack
	entry entry
}

var le = binary.LittleEndian

// Open reads the store in dir.
func Open(dir string) (*Store, error) {
	s := &Store{Packs: map[Hash]*Pack{}, entries: map[Hash]place{}, cache: map[*group][]byte{}}
	err := eachFile(filepath.Join(dir, "packs"), `^([0-9a-f]{64})\.pack$`, func(name Hash, file []byte) error {
		p, err := parsePack(name, file)
		if err != nil {
			return err
		}
		s.Packs[name] = p
		for _, e := range p.entries {
			s.entries[e.key] = place{p, e}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, eachFile(filepath.Join(dir, "index"), `^([0-9a-f]{64})\.index$`, func(name Hash, file []byte) error {
		s.Indexes++
		return s.checkIndex(name, file)
	})
}

func eachFile(dir, pattern string, fn func(name Hash, file []byte) error) error {
	files, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		m := regexp.MustCompile(pattern).FindStringSubmatch(f.Name())
		if m == nil || !f.Type().IsRegular() {
			continue
		}
		file, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		name, _ := hex.DecodeString(m[1])
		if err := fn(Hash(name), file); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return nil
}

const packHeader = "kept pack 1\n\x00\x00\x00\x00"

func parsePack(name Hash, b []byte) (*Pack, error) {
	if len(b) < 16+8+64 || string(b[:16]) != packHeader || string(b[len(b)-16:]) != packHeader {
		return nil, fmt.Errorf("not a pack of version 1")
	}
	trailer := b[len(b)-64:]
	at, size := le.Uint64(trailer), le.Uint64(trailer[8:])
	if at < 16 || at > uint64(len(b)) || size != uint64(len(b))-64-at {
		return nil, fmt.Errorf("%d bytes with a table of %d at %d", len(b), size, at)
	}
	table := b[at : at+size]
	if blake3.Sum256(table) != name || Hash(trailer[16:48]) != name {
		return nil, fmt.Errorf("the hash of the table is another")
	}
	g, e := uint64(le.Uint32(table)), uint64(le.Uint32(table[4:]))
	if size != 8+24*g+60*e {
		return nil, fmt.Errorf("a table of %d bytes for %d groups and %d entries", size, g, e)
	}
	p := &Pack{file: b}
	end := uint64(16)
	for i := range g {
		rec := table[8+24*i:]
		g := &group{le.Uint64(rec), le.Uint32(rec[8:]), le.Uint32(rec[12:]), le.Uint32(rec[16:]), le.Uint32(rec[20:])}
		if g.offset != end || g.stored > maxGroup || g.plain > maxGroup || g.method > 255 {
			return nil, fmt.Errorf("group %d: %+v", i, *g)
		}
		end += uint64(g.stored)
		p.groups = append(p.groups, g)
	}
	if end != at {
		return nil, fmt.Errorf("the groups end at %d, the table is at %d", end, at)
	}
	p.entries = parseEntries(table[8+24*g:])
	for i, e := range p.entries {
		switch {
		case i > 0 && bytes.Compare(p.entries[i-1].key[:], e.key[:]) >= 0,
			e.pack != 0, e.kind > manifest, e.size >= 1<<63, e.kind == blob && e.size != uint64(e.length),
			uint64(e.group) >= g, uint64(e.at)+uint64(e.length) > uint64(p.groups[e.group].plain):
			return nil, fmt.Errorf("entry %d: %+v", i, e)
		}
	}
	return p, nil
}

func parseEntries(b []byte) (entries []entry) {
	for rec := range slices.Chunk(b, 60) {
		entries = append(entries, entry{Hash(rec), le.Uint64(rec[32:]), le.Uint32(rec[40:]), le.Uint32(rec[44:]),
			le.Uint32(rec[48:]), le.Uint32(rec[52:]), le.Uint32(rec[56:])})
	}
	return entries
}

// checkIndex compares an index with the packs, which this reader has all read.
func (s *Store) checkIndex(name Hash, b []byte) error {
	if len(b) < 56 || string(b[:16]) != "kept index 1\n\x00\x00\x00" || le.Uint32(b[20:]) != 0 {
		return fmt.Errorf("not an index of version 1")
	}
	end := len(b) - 32
	if blake3.Sum256(b[:end]) != name || Hash(b[end:]) != name {
		return fmt.Errorf("the hash is another")
	}
	n := int(le.Uint32(b[16:]))
	if 24+32*n > end || (end-24-32*n)%60 != 0 {
		return fmt.Errorf("%d bytes for %d packs", len(b), n)
	}
	var packs []Hash
	for i := range n {
		packs = append(packs, Hash(b[24+32*i:]))
		if i > 0 && bytes.Compare(packs[i-1][:], packs[i][:]) >= 0 {
			return fmt.Errorf("the names are not sorted")
		}
	}
	got := map[Hash][]entry{}
	var last Hash
	for _, e := range parseEntries(b[24+32*n : end]) {
		if bytes.Compare(last[:], e.key[:]) > 0 || int64(e.pack) >= int64(n) {
			return fmt.Errorf("entry %+v", e)
		}
		last = e.key
		pack := packs[e.pack]
		e.pack = 0
		got[pack] = append(got[pack], e)
	}
	for _, name := range packs {
		if p := s.Packs[name]; p != nil && !slices.Equal(got[name], p.entries) {
			return fmt.Errorf("pack %x has other entries", name)
		}
	}
	return nil
}

// Keys returns what the store has, sorted.
func (s *Store) Keys() (keys []Hash) {
	for key := range s.entries {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	return keys
}

// Read writes the content of key to w, verified when it returns, and returns its size.
func (s *Store) Read(key Hash, w io.Writer) (uint64, error) {
	at, ok := s.entries[key]
	if !ok {
		return 0, fmt.Errorf("%x is missing", key)
	}
	b, err := s.bytes(at)
	if err != nil {
		return 0, err
	}
	hash := blake3.New()
	w = io.MultiWriter(w, hash)
	if at.entry.kind == blob {
		_, err = w.Write(b)
	} else {
		err = s.readNode(b, -1, at.entry.size, w)
	}
	if err == nil && Hash(hash.Sum(nil)) != key {
		err = fmt.Errorf("%x: it has another hash", key)
	}
	return at.entry.size, err
}

// bytes returns the plain bytes of an entry.
func (s *Store) bytes(at place) ([]byte, error) {
	g := at.pack.groups[at.entry.group]
	plain := s.cache[g]
	if plain == nil {
		stored := at.pack.file[g.offset:][:g.stored]
		if sum := crc32.Checksum(stored, crc32.MakeTable(crc32.Castagnoli)); sum != g.sum {
			return nil, fmt.Errorf("group %d has the checksum %x, want %x", at.entry.group, sum, g.sum)
		}
		var err error
		if plain, err = decode(g.method, stored, int(g.plain)); err != nil {
			return nil, fmt.Errorf("group %d, method %d: %w", at.entry.group, g.method, err)
		}
		s.cache[g] = plain
	}
	return plain[at.entry.at:][:at.entry.length], nil
}

// readNode writes what a node of a manifest lists. level is -1 for the root.
func (s *Store) readNode(b []byte, level int, size uint64, w io.Writer) error {
	if len(b) < 16 || b[0] != 1 || b[1] > 6 || le.Uint16(b[2:]) != 0 || le.Uint64(b[8:]) != size || level >= 0 && int(b[1]) != level {
		return fmt.Errorf("a node of %d bytes: %x", len(b), b[:min(16, len(b))])
	}
	level = int(b[1])
	count := int(le.Uint32(b[4:]))
	if count < 1 || count > 4096 || len(b) != 16+40*count {
		return fmt.Errorf("a node of %d parts has %d bytes", count, len(b))
	}
	for part := range slices.Chunk(b[16:], 40) {
		length := le.Uint64(part[32:])
		at, ok := s.entries[Hash(part)]
		switch {
		case !ok:
			return fmt.Errorf("chunk %x is missing", part[:32])
		case at.entry.kind != blob:
			return fmt.Errorf("chunk %x is no blob", part[:32])
		case length == 0 || length > size || level == 0 && length > maxChunk:
			return fmt.Errorf("a part of %d bytes", length)
		}
		size -= length
		chunk, err := s.bytes(at)
		if err != nil {
			return err
		}
		if blake3.Sum256(chunk) != Hash(part) {
			return fmt.Errorf("chunk %x has another hash", part[:32])
		}
		if level > 0 {
			err = s.readNode(chunk, level-1, length, w)
		} else if uint64(len(chunk)) != length {
			err = fmt.Errorf("chunk %x has %d bytes, want %d", part[:32], len(chunk), length)
		} else {
			_, err = w.Write(chunk)
		}
		if err != nil {
			return err
		}
	}
	if size != 0 {
		return fmt.Errorf("the parts are %d bytes short", size)
	}
	return nil
}

// Methods returns how many groups are stored by each method.
func (s *Store) Methods() map[uint32]int {
	methods := map[uint32]int{}
	for _, p := range s.Packs {
		for _, g := range p.groups {
			methods[g.method]++
		}
	}
	return methods
}

// Manifests returns the number of manifests.
func (s *Store) Manifests() (n int) {
	for _, at := range s.entries {
		n += int(at.entry.kind)
	}
	return n
}
