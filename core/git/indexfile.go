package git

import (
	"bytes"
	"encoding/binary"
	"os"
	"path"
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

// The functions below read the index without starting Git: a hook asks with every
// change of it, and a process costs a hook half of what it may take. They know the
// plain layouts of versions 2 and 3 and say no to all others: version 4, SHA-256,
// split and sparse ones.

// filesInIndex returns the paths in the index whose last component is name, sorted.
func (r *Repo) filesInIndex(name string) (paths []string, ok bool) {
	return r.namedInIndex(name, false)
}

// unmergedInIndex is filesInIndex for those in conflict.
func (r *Repo) unmergedInIndex(name string) (paths []string, ok bool) {
	return r.namedInIndex(name, true)
}

func (r *Repo) namedInIndex(name string, unmerged bool) (paths []string, ok bool) {
	ok = r.eachInIndex(func(path string, inConflict bool) {
		if (path == name || strings.HasSuffix(path, "/"+name)) && (inConflict || !unmerged) {
			paths = append(paths, path)
		}
	})
	if !ok {
		return nil, false
	}
	return slices.Compact(paths), true // a conflict has up to three entries
}

// trackedInIndex returns those of paths, which are clean, that are in the index or are
// folders of what is.
func (r *Repo) trackedInIndex(paths []string) (tracked map[string]bool, ok bool) {
	wanted := map[string]bool{}
	for _, p := range paths {
		wanted[p] = true
	}
	tracked = map[string]bool{}
	last := "" // the folder of the file before, mostly that of this one too
	ok = r.eachInIndex(func(name string, _ bool) {
		if wanted[name] {
			tracked[name] = true
		}
		folder := path.Dir(name)
		if folder == last {
			return
		}
		last = folder
		for ; folder != "."; folder = path.Dir(folder) {
			if wanted[folder] {
				tracked[folder] = true
			}
		}
		if wanted["."] {
			tracked["."] = true
		}
	})
	return tracked, ok
}

// eachInIndex calls each with every entry of the index, in their order. Where it returns
// false there is more that each was not called with.
func (r *Repo) eachInIndex(each func(path string, inConflict bool)) (ok bool) {
	file := filepath.Join(r.GitDir, "index")
	if info, err := os.Stat(file); err != nil || info.Size() > maxIndex {
		return false
	}
	if config, err := os.ReadFile(filepath.Join(r.CommonDir, "config")); err != nil || bytes.Contains(bytes.ToLower(config), []byte("objectformat")) {
		return false
	}
	data, err := os.ReadFile(file)
	return err == nil && parseIndex(data, each)
}

// parseIndex is eachInIndex for the bytes of an index.
func parseIndex(data []byte, each func(path string, inConflict bool)) (ok bool) {
	const stageBits = 0x3000
	if len(data) < indexHeader+20 || string(data[:4]) != "DIRC" {
		return false
	}
	version := binary.BigEndian.Uint32(data[4:])
	count := binary.BigEndian.Uint32(data[8:])
	if version != 2 && version != 3 {
		return false
	}
	rest := data[indexHeader : len(data)-20]
	for range count {
		path, size := indexEntry(rest)
		if size == 0 {
			return false
		}
		each(path, binary.BigEndian.Uint16(rest[60:])&stageBits != 0)
		rest = rest[size:]
	}
	// A split index holds its entries elsewhere, a sparse one folders of them.
	for len(rest) >= 8 {
		if signature := string(rest[:4]); signature == "link" || signature == "sdir" {
			return false
		}
		size := uint64(binary.BigEndian.Uint32(rest[4:])) + 8
		if size > uint64(len(rest)) {
			return false
		}
		rest = rest[size:]
	}
	return len(rest) == 0
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
