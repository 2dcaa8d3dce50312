package cas

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/kept-dev/kept/cas/codec"
	"github.com/kept-dev/kept/cas/pack"
)

// readFresh is read without the cache, for what may be damaged.
func (l *Local) readFresh(at pack.Location) ([]byte, error) {
	l.cache.forget(groupName{at.Pack, at.Group})
	return l.read(at)
}

// quarantine takes the damaged pack that holds d out of use, if it can: what is
// whole in it moves to another pack, and d is missing from then on. It returns
// the *CorruptError that tells of it.
func (l *Local) quarantine(d Digest, name pack.Name, reason error) error {
	e := &CorruptError{Digest: d, Err: reason}
	if l.foreign {
		return e
	}
	_, _ = l.salvage(context.Background(), name) // if it can't, the pack is where it was
	e.Quarantine = l.quarantined(name)
	return e
}

// quarantined returns where a damaged pack was moved to, if it was.
func (l *Local) quarantined(name pack.Name) string {
	file := filepath.Join(l.dir, "quarantine", filepath.Base(l.set.Path(name)))
	if _, err := l.disk.Stat(file); err != nil {
		return ""
	}
	return file
}

// salvage copies what is whole in a damaged pack into another, and moves the
// pack to quarantine. It returns the keys of what is lost.
func (l *Local) salvage(ctx context.Context, name pack.Name) (lost []Digest, err error) {
	p, err := l.set.Open(name)
	if err != nil {
		return nil, err
	}
	s := newShelf(l)
	defer s.discard()
	byGroup := make([][]pack.Entry, len(p.Groups()))
	err = p.Each(func(e pack.Entry) error {
		byGroup[e.Group] = append(byGroup[e.Group], e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	damaged := false
	for n, entries := range byGroup {
		bad, sound, err := s.copyGroup(p, uint32(n), entries)
		if err != nil {
			return nil, err
		}
		lost = append(lost, bad...)
		damaged = damaged || !sound
	}
	if !damaged {
		return nil, fmt.Errorf("pack %s is whole", name) // somebody looked at bytes of another moment
	}
	if err := s.close(ctx); err != nil {
		return nil, err
	}
	if err := l.set.Sync(); err != nil {
		return nil, err
	}
	return lost, l.set.Quarantine(name)
}

// copyGroup copies a group to the shelf as it is, or, where it is damaged, what
// is whole of it. It returns the keys of the rest, and whether there was no damage.
func (s *shelf) copyGroup(p *pack.Pack, n uint32, entries []pack.Entry) (lost []Digest, sound bool, err error) {
	g, stored, err := p.ReadGroup(n, nil)
	if err != nil && damage(err) == nil {
		return nil, false, err // the disk can't say now
	}
	sound = err == nil
	plain := make([]byte, g.Plain)
	switch err := decodeGroup(g, stored, plain); {
	case sound && errors.Is(err, codec.ErrMethod):
		return nil, true, s.append(codec.Method(g.Method), int(g.Plain), stored, entries)
	case err != nil:
		plain = nil
	}
	var good []pack.Entry
	for _, e := range entries {
		if plain != nil && isWhole(e, plain, sound) {
			good = append(good, e)
		} else {
			lost = append(lost, e.Key)
		}
	}
	if sound && len(lost) == 0 {
		return nil, true, s.append(codec.Method(g.Method), int(g.Plain), stored, entries)
	}
	for _, e := range good {
		b := plain[e.At : e.At+e.Len]
		e.At = 0
		if err := s.append(codec.Raw, len(b), b, []pack.Entry{e}); err != nil {
			return nil, false, err
		}
	}
	return lost, false, nil
}

// isWhole reports whether an entry is right in the plain bytes of its group,
// whose checksum was right or not.
func isWhole(e pack.Entry, plain []byte, sound bool) bool {
	if uint64(e.At)+uint64(e.Len) > uint64(len(plain)) {
		return false
	}
	b := plain[e.At : e.At+e.Len]
	if e.Kind == pack.Manifest {
		n, err := parseNode(b)
		return sound && err == nil && n.size == e.Size
	}
	return Sum(b) == e.Key
}
