package oci

import (
	"strings"
	"sync"
)

// seen is what manifests were seen to say. A digest says the same forever; a tag
// doesn't, except that of a pack.
type seen struct {
	sync.Mutex
	digests map[digest]layer
	names   map[string]layer
}

func (s *seen) add(name string, d digest, l layer) {
	s.Lock()
	defer s.Unlock()
	if s.digests == nil {
		s.digests, s.names = make(map[digest]layer), make(map[string]layer)
	}
	s.digests[d] = l
	if strings.HasPrefix(name, packs) {
		s.names[name] = l
	}
}

func (s *seen) digest(d digest) (layer, bool) {
	s.Lock()
	defer s.Unlock()
	l, ok := s.digests[d]
	return l, ok
}

func (s *seen) name(name string) (layer, bool) {
	s.Lock()
	defer s.Unlock()
	l, ok := s.names[name]
	return l, ok
}

func (s *seen) forget(name string) {
	s.Lock()
	defer s.Unlock()
	delete(s.names, name)
}
