package lockfile

import (
	"bytes"
	"cmp"
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
// Two blocks, one from each side, that put artifacts at the same place are a
// conflict of the block from theirs.
//
// An input that Parse refuses is an error: then only a text merge can help.
func Merge(base, ours, theirs []byte, opts MergeOptions) (merged []byte, conflicts int, err error) {
	pieces, err := alignUnits(base, ours, theirs)
	if err != nil {
		return nil, 0, err
	}
	markClashes(pieces)
	slices.SortFunc(pieces, func(a, b *piece) int { return compareUnits(a.unit(), b.unit()) })

	b := []byte(comment)
	for _, p := range pieces {
		if p.conflict {
			conflicts++
			if b, err = p.appendConflict(b, opts); err != nil {
				return nil, 0, err
			}
			continue
		}
		b = append(b, separated(p.taken().text)...)
	}
	if conflicts == 0 {
		if _, err := Parse(b); err != nil {
			return nil, 0, fmt.Errorf("check merged lock: %w", err)
		}
	}
	return b, conflicts, nil
}

// piece is one unit in its three versions.
type piece struct {
	path               []string
	base, ours, theirs version
	conflict           bool
}

// version is a unit as one lock has it; the text of an absent one is empty.
type version struct {
	text   string
	places []place
}

// taken returns the version that a merge takes where there is no conflict.
func (p *piece) taken() version {
	if p.ours.text == p.base.text {
		return p.theirs
	}
	return p.ours
}

// unit returns a version of the piece that is not absent, to sort by.
func (p *piece) unit() unit {
	return unit{p.path, cmp.Or(p.taken().text, p.ours.text, p.theirs.text, p.base.text)}
}

// alignUnits parses the three locks and pairs their units.
func alignUnits(base, ours, theirs []byte) ([]*piece, error) {
	if len(bytes.TrimSpace(base)) == 0 {
		base = New().Marshal()
	}
	byKey := map[string]*piece{}
	for _, side := range []struct {
		name string
		data []byte
		of   func(*piece) *version
	}{
		{"common ancestor", base, func(p *piece) *version { return &p.base }},
		{"our side", ours, func(p *piece) *version { return &p.ours }},
		{"their side", theirs, func(p *piece) *version { return &p.theirs }},
	} {
		lock, err := Parse(side.data)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", side.name, err)
		}
		for _, unit := range lock.units() {
			key := formatPath(unit.path...)
			if byKey[key] == nil {
				byKey[key] = &piece{path: unit.path}
			}
			side.of(byKey[key]).text = unit.text
		}
		for _, place := range lock.places() {
			v := side.of(byKey[formatPath(place.key...)])
			v.places = append(v.places, place)
		}
	}

	pieces := make([]*piece, 0, len(byKey))
	for _, p := range byKey {
		p.conflict = p.ours.text != p.base.text && p.theirs.text != p.base.text && p.ours.text != p.theirs.text
		pieces = append(pieces, p)
	}
	return pieces, nil
}

// markClashes turns blocks into conflicts until no two artifacts lie at one
// place. Either side is free of clashes, so that one of two clashing blocks
// comes from theirs alone: that one is marked.
func markClashes(pieces []*piece) {
	for marked := true; marked; {
		marked = false
		var places []place
		owners := map[string]*piece{}
		for _, p := range pieces {
			if !p.conflict {
				places = append(places, p.taken().places...)
				owners[formatPath(p.path...)] = p
			}
		}
		sortPlaces(places)
		var last place
		for _, next := range places {
			a, b := owners[formatPath(last.key...)], owners[formatPath(next.key...)]
			if a == nil || a.conflict || !clash(last, next) {
				last = next
				continue
			}
			if b.taken().text != b.ours.text {
				b.conflict = true
			} else {
				a.conflict, last = true, next
			}
			marked = true
		}
	}
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
