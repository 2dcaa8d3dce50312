package git

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The index file, as gitformat-index(5) describes it: a header, entries sorted
// by name, extensions, a checksum.
const (
	indexHeader = 12
	// entryFixed is what stands before the name of an entry: ten numbers of 4
	// bytes, a SHA-1 of 20, and flags of 2.
	entryFixed = 62
	// maxIndex bounds what is read; a larger index is left to Git.
	maxIndex = 64 << 20
)

// filesInIndex returns the paths in the index whose last component is name,
// sorted, without starting Git. It knows the plain layouts of versions 2 and 3
// and says no to all others: version 4, SHA-256, split and sparse ones.
//
// A hook asks with every change of the index, and a process costs a hook half of
// what it may take.
func (r *Repo) filesInIndex(name string) (paths []string, ok bool) {
	data, ok := r.readIndex()
	if !ok {
		return nil, false
	}
	return parseIndex(data, name, false)
}

// unmergedInIndex is filesInIndex for those in conflict.
func (r *Repo) unmergedInIndex(name string) (paths []string, ok bool) {
	data, ok := r.readIndex()
	if !ok {
		return nil, false
	}
	return parseIndex(data, name, true)
}

// readIndex returns the index file where parseIndex may understand it.
func (r *Repo) readIndex() (data []byte, ok bool) {
	file := filepath.Join(r.GitDir, "index")
	if info, err := os.Stat(file); err != nil || info.Size() > maxIndex {
		return nil, false
	}
	if config, err := os.ReadFile(filepath.Join(r.CommonDir, "config")); err != nil || bytes.Contains(bytes.ToLower(config), []byte("objectformat")) {
		return nil, false
	}
	data, err := os.ReadFile(file)
	return data, err == nil
}

// parseIndex returns the paths whose last component, or whole, is name; with
// unmerged only those in conflict.
func parseIndex(data []byte, name string, unmerged bool) (paths []string, ok bool) {
	const stageBits = 0x3000
	if len(data) < indexHeader+20 || string(data[:4]) != "DIRC" {
		return nil, false
	}
	version := binary.BigEndian.Uint32(data[4:])
	count := binary.BigEndian.Uint32(data[8:])
	if version != 2 && version != 3 {
		return nil, false
	}
	rest := data[indexHeader : len(data)-20]
	for range count {
		path, size := indexEntry(rest)
		if size == 0 {
			return nil, false
		}
		inConflict := binary.BigEndian.Uint16(rest[60:])&stageBits != 0
		if (path == name || strings.HasSuffix(path, "/"+name)) && (inConflict || !unmerged) {
			paths = append(paths, path)
		}
		rest = rest[size:]
	}
	// A split index holds its entries elsewhere, a sparse one folders of them.
	for len(rest) >= 8 {
		if signature := string(rest[:4]); signature == "link" || signature == "sdir" {
			return nil, false
		}
		size := uint64(binary.BigEndian.Uint32(rest[4:])) + 8
		if size > uint64(len(rest)) {
			return nil, false
		}
		rest = rest[size:]
	}
	return slices.Compact(paths), len(rest) == 0 // a conflict has up to three entries
}

// indexEntry returns the path of the entry that b begins with, and its size in
// bytes, 0 where b holds no whole entry.
func indexEntry(b []byte) (path string, size int) {
	const extended = 0x4000
	fixed := entryFixed
	if len(b) < fixed {
		return "", 0
	}
	if binary.BigEndian.Uint16(b[60:])&extended != 0 {
		fixed += 2
	}
	if len(b) < fixed {
		return "", 0
	}
	end := bytes.IndexByte(b[fixed:], 0)
	if end <= 0 {
		return "", 0
	}
	// One to eight zeros fill an entry up to a multiple of eight.
	size = (fixed+end)/8*8 + 8
	if size > len(b) {
		return "", 0
	}
	return string(b[fixed : fixed+end]), size
}
