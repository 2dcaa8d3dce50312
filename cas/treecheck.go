package cas

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"unicode/utf8"
)

// checker looks at the entries of a tree in bytewise order of their paths.
// All paths below one folder follow each other in that order, so it needs to
// remember the names of the folders that it is in and no others.
type checker struct {
	last  string
	first bool
	total int64
	open  []openFolder
	// spare are the sets of folders that were left.
	spare []*nameSet
}

type openFolder struct {
	prefix int // length of its path with the slash; 0 for the root
	names  *nameSet
}

func newChecker() *checker {
	return &checker{first: true, open: []openFolder{{names: newNameSet()}}}
}

func (c *checker) next(e *Entry) error {
	c.leave(e.Path)
	if err := c.values(e); err != nil {
		return fmt.Errorf("%w: %w", ErrTree, err)
	}
	switch {
	case c.first:
	case e.Path == c.last:
		return fmt.Errorf("%w: %q is in it twice", ErrTree, e.Path)
	case e.Path < c.last:
		return fmt.Errorf("%w: %q is not in order", ErrTree, e.Path)
	}
	c.first, c.last = false, e.Path
	return c.names(e.Path)
}

// leave closes the folders that path is not in.
func (c *checker) leave(path string) {
	for {
		top := c.open[len(c.open)-1]
		if strings.HasPrefix(path, c.last[:top.prefix]) {
			return
		}
		c.open = c.open[:len(c.open)-1]
		c.spare = append(c.spare, top.names)
	}
}

func (c *checker) values(e *Entry) error {
	if reason := c.badPath(e.Path); reason != "" {
		return pathError(e.Path, reason)
	}
	switch {
	case e.Kind != File && e.Kind != Executable && e.Kind != Link:
		return fmt.Errorf("%q is of no known kind", e.Path)
	case e.Size < 0:
		return fmt.Errorf("%q has a negative size", e.Path)
	case e.Kind == Link && (e.Size == 0 || e.Size > maxPath):
		return fmt.Errorf("link %q has a target of %d bytes", e.Path, e.Size)
	case e.Size > math.MaxInt64-c.total:
		return errors.New("the sizes add up to more than 63 bits hold")
	}
	c.total += e.Size
	return nil
}

// badPath is CheckPath without the folders that are open: they have passed.
func (c *checker) badPath(path string) string {
	at := c.open[len(c.open)-1].prefix
	if at == 0 || len(path) > maxPath {
		return badPath(path)
	}
	if !utf8.ValidString(path[at:]) {
		return "it is not UTF-8"
	}
	for name := range strings.SplitSeq(path[at:], "/") {
		if reason := badName(name); reason != "" {
			return reason
		}
	}
	return ""
}

// names notes the components of path and refuses one that is in its folder in
// another spelling, or as a file there and a folder here.
func (c *checker) names(path string) error {
	for {
		top := c.open[len(c.open)-1]
		name, _, folder := strings.Cut(path[top.prefix:], "/")
		if old, ok := top.names.add(name); !ok {
			if old == name {
				return fmt.Errorf("%w: %q is a file and a folder", ErrTree, path[:top.prefix]+name)
			}
			return fmt.Errorf("%w: %q and %q are one name on some systems", ErrTree, path[:top.prefix]+old, path[:top.prefix]+name)
		}
		if !folder {
			return nil
		}
		c.open = append(c.open, openFolder{prefix: top.prefix + len(name) + 1, names: c.newSet()})
	}
}

func (c *checker) newSet() *nameSet {
	if len(c.spare) == 0 {
		return newNameSet()
	}
	s := c.spare[len(c.spare)-1]
	c.spare = c.spare[:len(c.spare)-1]
	s.reset()
	return s
}

// nameSet is a set of names, of which two are the same if some system takes
// them for one. It is a hash table over one run of bytes, because a folder may
// have a million names.
type nameSet struct {
	seed  maphash.Seed // secret: a manifest may be made to collide
	bytes []byte
	ends  []uint32 // of the names in bytes
	// slots have the hash of a name in the upper half and its number, from 1 on,
	// in the lower; 0 is free. There are at least twice as many as names.
	slots       []uint64
	fold, other []byte // scratch
}

const fewNames = 1024

func newNameSet() *nameSet {
	return &nameSet{seed: maphash.MakeSeed(), slots: make([]uint64, 64)}
}

// reset empties the set. A large table is dropped: the next folder may be small.
func (s *nameSet) reset() {
	s.bytes, s.ends = s.bytes[:0], s.ends[:0]
	if len(s.slots) > fewNames {
		s.bytes, s.ends, s.slots = nil, nil, make([]uint64, 64)
	}
	clear(s.slots)
}

func (s *nameSet) name(i uint32) []byte {
	start := uint32(0)
	if i > 0 {
		start = s.ends[i-1]
	}
	return s.bytes[start:s.ends[i]]
}

// add puts name into the set, or returns the one that is there in its place.
func (s *nameSet) add(name string) (old string, ok bool) {
	if 2*(len(s.ends)+1) > len(s.slots) {
		s.grow()
	}
	s.fold = appendFold(s.fold[:0], name)
	hash := maphash.Bytes(s.seed, s.fold) >> 32
	at, found := s.find(hash)
	if found {
		return string(s.name(uint32(s.slots[at]) - 1)), false
	}
	s.bytes = append(s.bytes, name...)
	s.ends = append(s.ends, uint32(len(s.bytes))) // fits: MaxEntries paths in one folder are less than 4 GiB
	s.slots[at] = hash<<32 | uint64(len(s.ends))
	return "", true
}

// find returns the slot of the name whose folded form is in s.fold, or the free
// one that it would take.
func (s *nameSet) find(hash uint64) (at uint64, found bool) {
	mask := uint64(len(s.slots) - 1)
	for at = hash & mask; s.slots[at] != 0; at = (at + 1) & mask {
		if s.slots[at]>>32 != hash {
			continue
		}
		s.other = appendFold(s.other[:0], string(s.name(uint32(s.slots[at])-1)))
		if bytes.Equal(s.fold, s.other) {
			return at, true
		}
	}
	return at, false
}

func (s *nameSet) grow() {
	old := s.slots
	s.slots = make([]uint64, 2*len(old))
	mask := uint64(len(s.slots) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := slot >> 32 & mask
		for s.slots[at] != 0 {
			at = (at + 1) & mask
		}
		s.slots[at] = slot
	}
}

// appendFold appends foldName(name).
func appendFold(b []byte, name string) []byte {
	start := len(b)
	for i := range len(name) {
		c := name[i]
		if c >= utf8.RuneSelf {
			return append(b[:start], foldName(name)...)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}
