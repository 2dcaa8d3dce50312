package lockfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MergeOptions is how Merge writes conflicts; Git hands all of it to a merge driver.
type MergeOptions struct {
	// MarkerSize is the length of a conflict marker, 7 where it is smaller.
	MarkerSize int
	// Ours and Theirs are the labels behind the markers.
	Ours, Theirs string
	// Base is the label of the common ancestor. Where it is set, conflicts also
	// show the ancestor's block, as in Git's diff3 style.
	Base string
}

// Merge merges two locks with the common ancestor base, which may be empty. A
// stage or an artifact of `kept add`, with all its tables, is taken from one
// side or the other and never mixed. The result is canonical; blocks that both
// sides changed differently stand in it between conflict markers, and conflicts
// is their number.
//
// Blocks of both sides that put artifacts at the same place are in conflict with
// each other: each is one side of a conflict whose other side has nothing there.
// So the lock is whole with all of ours, and with all of theirs.
//
// The ancestor may hold conflicts itself: where branches were merged crosswise,
// Git merges their several ancestors into one first. A block that is in conflict
// there is the same as that of neither side.
//
// Any other input that Parse refuses is an error: then only a text merge can help.
func Merge(base, ours, theirs []byte, opts MergeOptions) (merged []byte, conflicts int, err error) {
	pieces, err := parseSides(base, ours, theirs)
	if err != nil {
		return nil, 0, err
	}
	markClashes(pieces)
	slices.SortFunc(pieces, func(a, b *piece) int { return compareUnits(a.unit(), b.unit()) })

	for _, p := range pieces {
		if p.conflict {
			conflicts++
		}
	}
	if merged, err = appendPieces(pieces, opts); err != nil {
		return nil, 0, err
	}
	if conflicts == 0 {
		if _, err := Parse(merged); err != nil {
			return nil, 0, fmt.Errorf("check merged lock: %w", err)
		}
	}
	return merged, conflicts, nil
}

// appendPieces writes a lock of sorted pieces, conflicts between markers.
func appendPieces(pieces []*piece, opts MergeOptions) (b []byte, err error) {
	b = []byte(comment)
	for _, p := range pieces {
		if !p.conflict {
			b = append(b, separated(p.taken().text)...)
			continue
		}
		if b, err = p.appendConflict(b, opts); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// piece is one unit in its three versions.
type piece struct {
	path               []string
	base, ours, theirs version
	conflict           bool
}

// version is a unit as one lock has it; the text of an absent one is empty.
type version struct {
	path   []string
	text   string
	places []place
	// lock holds the unit alone, nothing where it is absent. It is nil where the
	// text is no block that anybody measured.
	lock *Lock
	// unknown is set for an ancestor of which several versions are left.
	unknown bool
}

// side is one lock of a merge: its units by their formatted paths.
type side map[string]*version

// changed reports whether v is another version than the ancestor's.
func (p *piece) changed(v version) bool { return p.base.unknown || v.text != p.base.text }

// taken returns the version that a merge takes where there is no conflict.
func (p *piece) taken() version {
	if p.changed(p.ours) {
		return p.ours
	}
	return p.theirs
}

// unit returns a version of the piece that is not absent, to sort by.
func (p *piece) unit() unit {
	return unit{p.path, cmp.Or(p.taken().text, p.ours.text, p.theirs.text, p.base.text)}
}

// parseSides parses the three locks and pairs their units.
func parseSides(base, ours, theirs []byte) ([]*piece, error) {
	b, err := parseAncestor(base)
	if err != nil {
		return nil, fmt.Errorf("parse common ancestor: %w", err)
	}
	o, err := parseSide(ours)
	if err != nil {
		return nil, fmt.Errorf("parse our side: %w", err)
	}
	t, err := parseSide(theirs)
	if err != nil {
		return nil, fmt.Errorf("parse their side: %w", err)
	}
	return alignUnits(b, o, t), nil
}

func parseSide(data []byte) (side, error) {
	lock, err := Parse(data)
	if err != nil {
		return nil, err
	}
	return lock.side(), nil
}

// side returns the units of the lock.
func (l *Lock) side() side {
	s := side{}
	for _, unit := range l.units() {
		s[formatPath(unit.path...)] = &version{path: unit.path, text: unit.text, lock: l.only(unit.path)}
	}
	for _, place := range l.places() {
		v := s[formatPath(place.key...)]
		v.places = append(v.places, place)
	}
	return s
}

// only returns a lock that holds one unit of l.
func (l *Lock) only(path []string) *Lock {
	one := New()
	switch {
	case len(path) == 2 && path[0] == "stage":
		one.Stages[path[1]] = l.Stages[path[1]]
	case len(path) == 2 && path[0] == "artifact":
		one.Artifacts[path[1]] = l.Artifacts[path[1]]
	case path[0] != "version":
		one.Unknown = map[string]any{path[0]: l.Unknown[path[0]]}
	}
	return one
}

// parseAncestor is parseSide for a lock that may be missing or hold conflicts.
func parseAncestor(data []byte) (side, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return New().side(), nil
	}
	s, err := parseSide(data)
	if _, ok := errors.AsType[*ConflictError](err); !ok {
		return s, err
	}
	ours, theirs, err := readConflicted(data)
	if err != nil {
		return nil, err
	}
	s = side{}
	for _, p := range alignUnits(side{}, ours, theirs) {
		v := p.ours
		if p.ours.text != p.theirs.text || v.lock == nil {
			v = version{path: p.path, unknown: true}
		}
		s[formatPath(p.path...)] = &v
	}
	return s, nil
}

// alignUnits pairs the units of three locks.
func alignUnits(base, ours, theirs side) []*piece {
	byKey := map[string]*piece{}
	for _, s := range []side{base, ours, theirs} {
		for key, v := range s {
			if byKey[key] == nil {
				byKey[key] = &piece{path: v.path, base: base.at(key), ours: ours.at(key), theirs: theirs.at(key)}
			}
		}
	}
	pieces := make([]*piece, 0, len(byKey))
	for _, p := range byKey {
		p.conflict = p.changed(p.ours) && p.changed(p.theirs) && p.ours.text != p.theirs.text
		pieces = append(pieces, p)
	}
	return pieces
}

// at returns the version of a unit, an empty one where the side has none.
func (s side) at(key string) version {
	if v := s[key]; v != nil {
		return *v
	}
	return version{lock: New()}
}

// markClashes turns blocks into conflicts until no two artifacts lie at one
// place, whichever side all conflicts are settled with. Where either side is free
// of clashes, one of two clashing blocks comes from the other side alone: that
// one is marked. Two blocks that clash in a side itself are left to Check.
func markClashes(pieces []*piece) {
	ours := func(p *piece) version { return p.ours }
	theirs := func(p *piece) version { return p.theirs }
	for markAmong(pieces, ours) || markAmong(pieces, theirs) {
	}
}

// markAmong marks clashes of a merge whose conflicts are settled with one side,
// and reports whether that made a conflict of anything.
func markAmong(pieces []*piece, side func(*piece) version) bool {
	var places []place
	owners := map[string]*piece{}
	for _, p := range pieces {
		v := p.taken()
		if p.conflict {
			v = side(p)
		}
		places = append(places, v.places...)
		owners[formatPath(p.path...)] = p
	}
	sortPlaces(places)
	marked, changed := map[*piece]bool{}, false
	var last place
	for _, next := range places {
		a, b := owners[formatPath(last.key...)], owners[formatPath(next.key...)]
		if a == nil || marked[a] || !clash(last, next) {
			last = next
			continue
		}
		if !b.conflict && b.taken().text != side(b).text {
			b.conflict, marked[b], changed = true, true, true
		} else {
			changed = changed || !a.conflict
			a.conflict, marked[a], last = true, true, next
		}
	}
	return changed
}

// separated returns a unit's text with the blank line that stands before a block.
func separated(text string) string {
	if strings.HasPrefix(text, "[") {
		return "\n" + text
	}
	return text
}

func (p *piece) appendConflict(b []byte, opts MergeOptions) ([]byte, error) {
	type side struct {
		marker      byte
		label, text string
	}
	sides := []side{{'<', opts.Ours, p.ours.text}}
	if opts.Base != "" {
		sides = append(sides, side{'|', opts.Base, p.base.text})
	}
	sides = append(sides, side{'=', "", p.theirs.text})

	blocks, absent := 0, 0
	for _, s := range sides {
		switch {
		case s.text == "":
			absent++
		case s.text[0] == '[':
			blocks++
		}
	}
	if blocks > 0 && blocks+absent < len(sides) {
		return nil, fmt.Errorf("merge %s: it is a value on one side and a table on the other", formatPath(p.path...))
	}
	// The blank line before a block stands between the markers only where a side
	// has no block: whichever side is kept, the rest is canonical.
	inside := absent > 0
	if blocks > 0 && !inside {
		b = append(b, '\n')
	}
	for _, s := range sides {
		b = appendMarker(b, s.marker, s.label, opts.MarkerSize)
		if inside {
			s.text = separated(s.text)
		}
		b = append(b, s.text...)
	}
	return appendMarker(b, '>', opts.Theirs, opts.MarkerSize), nil
}

func appendMarker(b []byte, marker byte, label string, size int) []byte {
	b = append(b, bytes.Repeat([]byte{marker}, max(size, 7))...)
	if label != "" {
		b = append(append(b, ' '), label...)
	}
	return append(b, '\n')
}
