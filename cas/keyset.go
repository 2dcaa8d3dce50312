package cas

import (
	"encoding/binary"
	"slices"
)

// keySet is a set of keys of which it remembers the first 8 bytes: it may take a
// key for one that it has, once in many billions, and never one that it has for
// one that it has not. That is the safe side for what must stay.
type keySet struct {
	sorted []uint64
	recent []uint64
}

func shortKey(d Digest) uint64 { return binary.BigEndian.Uint64(d[:]) }

func (s *keySet) add(d Digest) {
	s.recent = append(s.recent, shortKey(d))
	if len(s.recent) > 1<<16 && len(s.recent) > len(s.sorted)/4 {
		s.settle()
	}
}

// settle sorts what was added.
func (s *keySet) settle() {
	if len(s.recent) == 0 {
		return
	}
	all := append(s.sorted, s.recent...)
	slices.Sort(all)
	s.sorted, s.recent = slices.Compact(all), s.recent[:0]
}

// has reports whether d was added before the last settle.
func (s *keySet) has(d Digest) bool {
	_, found := slices.BinarySearch(s.sorted, shortKey(d))
	return found
}
