package lockfile

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Unmerged is a lock in the middle of a merge: what is settled, and the blocks
// of which two versions stand against each other.
//
//	u, err := ParseUnmerged(file, &Versions{Base: base, Ours: ours, Theirs: theirs})
//	for _, c := range u.Conflicts { u.Settle(c, c.Ours) }
//	data, err := u.Marshal(MergeOptions{Ours: "ours", Theirs: "theirs"})
type Unmerged struct {
	// Settled holds the blocks that are not in conflict.
	Settled *Lock
	// Conflicts are in the order in which the lock has them.
	Conflicts []*Conflict
}

// Conflict is a stage or other block with two versions.
type Conflict struct {
	// Stage is the name of the stage, Data that of data kept without one; both
	// are empty for a top-level key that this version does not know.
	Stage, Data string
	// Ours and Theirs hold that block alone, or nothing where the side has none.
	// A nil one is no block that anybody measured: lines of both sides were mixed.
	Ours, Theirs *Lock

	piece *piece
}

// dataPrefix starts the name of a conflict of data kept without a stage; the
// name of a stage holds no colon.
const dataPrefix = "data:"

// Name returns how people call the block: the stage's name, or "data:" and the
// name of the data.
func (c *Conflict) Name() string { return blockName(c.piece.path) }

func blockName(path []string) string {
	switch {
	case len(path) == 2 && path[0] == "stage":
		return path[1]
	case len(path) == 2 && path[0] == "artifact":
		return dataPrefix + path[1]
	}
	return formatPath(path...)
}

// Versions are the three locks of a merge; nil where a side has none.
type Versions struct{ Base, Ours, Theirs []byte }

// ParseUnmerged reads a lock in the middle of a merge: file is what lies in the
// working tree, nil where nothing does, and versions are what is merged, nil
// where nobody knows: then only the conflict markers of the file tell.
//
// A block without markers is what the file says: somebody settled it. A block
// with markers is in conflict where Merge would say so, too; that Git's merge
// by lines stumbles over less is no conflict. A file without any marker that is
// one of the sides as a whole was not merged at all.
func ParseUnmerged(file []byte, versions *Versions) (*Unmerged, error) {
	fileOurs, fileTheirs, err := readConflicted(file)
	if err != nil {
		return nil, err
	}
	if versions == nil {
		u := &Unmerged{Settled: New()}
		for _, p := range alignUnits(fileOurs, fileOurs, fileTheirs) {
			v := p.ours
			p.conflict = p.ours.text != p.theirs.text || v.lock == nil
			u.add(p, v)
		}
		return u.sorted().checked()
	}

	sides, err := readVersions(versions)
	if err != nil {
		return nil, err
	}
	clashing := map[string]bool{}
	for _, p := range sides {
		clashing[formatPath(p.path...)] = !p.conflict
	}
	markClashes(sides)
	for _, p := range sides {
		key := formatPath(p.path...)
		clashing[key] = clashing[key] && p.conflict
	}
	f := &unmergedFile{ours: fileOurs, theirs: fileTheirs, untouched: notMerged(file, versions, sides)}
	u := f.compare(sides)
	for _, is := range clashing {
		if !is {
			continue
		}
		// Git does not mark artifacts at one place. What the driver or a part of a
		// resolution wrote, though, is as somebody wants it.
		if own, err := u.Marshal(MergeOptions{Ours: "ours", Theirs: "theirs"}); err != nil || !bytes.Equal(own, normalize(file)) {
			f.clashing = clashing
			u = f.compare(sides)
		}
		break
	}
	return u.checked()
}

// unmergedFile is what the working tree has in the middle of a merge.
type unmergedFile struct {
	ours, theirs side
	// untouched says that the file says nothing, see notMerged.
	untouched bool
	// clashing are blocks that are in conflict though the file has no markers there.
	clashing map[string]bool
}

// compare tells what is settled from what is not.
func (f *unmergedFile) compare(sides []*piece) *Unmerged {
	u := &Unmerged{Settled: New()}
	known := map[string]bool{}
	for _, p := range sides {
		one := *p
		key := formatPath(p.path...)
		known[key] = true
		ours, theirs := f.ours.at(key), f.theirs.at(key)
		v := p.taken()
		switch {
		case f.untouched || f.clashing[key] && ours.text == v.text && theirs.text == v.text:
		case ours.text == theirs.text && ours.lock != nil:
			v, one.conflict = ours, false
		}
		if v.lock == nil {
			one.conflict = true
		}
		u.add(&one, v)
	}
	// What no side has is new: somebody ran a stage meanwhile.
	for _, p := range alignUnits(f.ours, f.ours, f.theirs) {
		if !known[formatPath(p.path...)] {
			p.conflict = p.ours.text != p.theirs.text || p.ours.lock == nil
			u.add(p, p.ours)
		}
	}
	return u.sorted()
}

// readVersions pairs the units of what is merged. A lock that one side removed
// as a whole is in conflict as a whole.
func readVersions(v *Versions) ([]*piece, error) {
	base, err := parseAncestor(v.Base)
	if err != nil {
		base = side{}
	}
	var sides [2]side
	for i, data := range [][]byte{v.Ours, v.Theirs} {
		if data == nil {
			sides[i] = side{}
			continue
		}
		if sides[i], _, err = readConflicted(data); err != nil {
			return nil, fmt.Errorf("read %s side: %w", [2]string{"our", "their"}[i], err)
		}
	}
	pieces := alignUnits(base, sides[0], sides[1])
	if v.Base != nil && (v.Ours == nil || v.Theirs == nil) {
		for _, p := range pieces {
			p.base.unknown = true
			p.conflict = p.ours.text != p.theirs.text
		}
	}
	return slices.DeleteFunc(pieces, func(p *piece) bool { return p.path[0] == "version" }), nil
}

// notMerged reports whether a file is one side as a whole, which is how Git
// leaves what it can't merge: ours where a driver fails, and the one that is
// left where the other was deleted. Theirs is somebody's decision, as long as
// nothing is lost by it that ours alone changed.
func notMerged(file []byte, v *Versions, pieces []*piece) bool {
	file = normalize(file)
	is := func(side []byte) bool { return side != nil && bytes.Equal(file, normalize(side)) }
	switch {
	case len(file) == 0, v.Ours == nil, v.Theirs == nil, is(v.Ours):
		return len(file) == 0 || is(v.Ours) || is(v.Theirs)
	case !is(v.Theirs):
		return false
	}
	return slices.ContainsFunc(pieces, func(p *piece) bool { return !p.conflict && p.taken().text != p.theirs.text })
}

// add takes a unit in: as a conflict, or with the version that is settled.
func (u *Unmerged) add(p *piece, settled version) {
	switch {
	case p.path[0] == "version":
	case p.conflict:
		c := &Conflict{Ours: p.ours.lock, Theirs: p.theirs.lock, piece: p}
		if len(p.path) == 2 && p.path[0] == "stage" {
			c.Stage = p.path[1]
		}
		if len(p.path) == 2 && p.path[0] == "artifact" {
			c.Data = p.path[1]
		}
		u.Conflicts = append(u.Conflicts, c)
	default:
		u.Settled.take(settled.lock)
	}
}

// take copies the blocks of a lock.
func (l *Lock) take(from *Lock) {
	maps.Copy(l.Stages, from.Stages)
	maps.Copy(l.Artifacts, from.Artifacts)
	if len(from.Unknown) > 0 && l.Unknown == nil {
		l.Unknown = map[string]any{}
	}
	maps.Copy(l.Unknown, from.Unknown)
}

func (u *Unmerged) sorted() *Unmerged {
	slices.SortFunc(u.Conflicts, func(a, b *Conflict) int { return compareUnits(a.piece.unit(), b.piece.unit()) })
	return u
}

// checked refuses settled blocks that do not go together.
func (u *Unmerged) checked() (*Unmerged, error) {
	if err := u.Settled.Check(); err != nil {
		return nil, err
	}
	return u, nil
}

// Names returns what is in conflict.
func (u *Unmerged) Names() []string {
	var names []string
	for _, c := range u.Conflicts {
		names = append(names, c.Name())
	}
	return names
}

// Settle ends a conflict with the blocks of a lock, which may hold none.
func (u *Unmerged) Settle(c *Conflict, with *Lock) {
	u.Conflicts = slices.DeleteFunc(slices.Clone(u.Conflicts), func(o *Conflict) bool { return o == c })
	u.Settled.take(with)
}

// Conflict returns the conflict of a stage, nil where there is none.
func (u *Unmerged) Conflict(stage string) *Conflict {
	for _, c := range u.Conflicts {
		if c.Stage == stage && stage != "" {
			return c
		}
	}
	return nil
}

// Marshal returns the canonical text of what is settled, with what is left in
// conflict between markers, as Merge writes it.
func (u *Unmerged) Marshal(opts MergeOptions) ([]byte, error) {
	if err := u.Settled.Check(); err != nil {
		return nil, err
	}
	pieces := alignUnits(side{}, u.Settled.side(), side{})
	for _, p := range pieces {
		p.conflict = false
	}
	for _, c := range u.Conflicts {
		pieces = append(pieces, c.piece)
	}
	slices.SortFunc(pieces, func(a, b *piece) int { return compareUnits(a.unit(), b.unit()) })
	return appendPieces(pieces, opts)
}

// readConflicted reads a lock as its two sides have it, block by block: a block
// that can't be read, because lines of several runs were mixed, is only text.
func readConflicted(data []byte) (ours, theirs side, err error) {
	data = normalize(data)
	if len(data) > MaxSize {
		return nil, nil, &Error{Line: 1, Err: refuse(ErrLimit, "lock of %d bytes is larger than %d", len(data), MaxSize)}
	}
	o, t, marked, err := splitConflicts(data)
	if err != nil {
		return nil, nil, err
	}
	if ours, err = readUnits(o); err != nil || !marked {
		return ours, ours, err
	}
	theirs, err = readUnits(t)
	return ours, theirs, err
}

// splitConflicts returns a text as both sides have it. Markers have seven
// characters or more, and those of one conflict are equally long: what Git
// merged before, of several ancestors, has longer ones.
func splitConflicts(data []byte) (ours, theirs []byte, marked bool, err error) {
	const both, left, middle, right = 0, 1, 2, 3
	state, size, start := both, 0, 0
	for line := 1; len(data) > 0; line++ {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			end = len(data)
		}
		text := data[:end]
		data = data[end:]
		kind, n := markerOf(text)
		switch {
		case state == both && kind == '<':
			state, size, start, marked = left, n, line, true
			continue
		case state == both && kind != 0:
			return nil, nil, true, &ConflictError{Line: line}
		case state == left && kind == '|' && n == size:
			state = middle
			continue
		case (state == left || state == middle) && kind == '=' && n == size:
			state = right
			continue
		case state == right && kind == '>' && n == size:
			state = both
			continue
		}
		if state == both || state == left {
			ours = append(ours, text...)
		}
		if state == both || state == right {
			theirs = append(theirs, text...)
		}
	}
	if state != both {
		return nil, nil, true, &ConflictError{Line: start}
	}
	return ours, theirs, marked, nil
}

// markerOf returns the character and the length of a conflict marker; 0 for
// any other line.
func markerOf(line []byte) (kind byte, size int) {
	if len(line) < 7 || strings.IndexByte("<=>|", line[0]) < 0 {
		return 0, 0
	}
	for size < len(line) && line[size] == line[0] {
		size++
	}
	if size < 7 {
		return 0, 0
	}
	return line[0], size
}

// readUnits reads a lock block by block.
func readUnits(data []byte) (side, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return New().side(), nil
	}
	if lock, err := Parse(data); err == nil {
		return lock.side(), nil
	}
	head, texts, paths, err := cutUnits(data)
	if err != nil {
		return nil, err
	}
	lock, err := Parse([]byte(head))
	if err != nil {
		return nil, err
	}
	s := lock.side()
	for key, text := range texts {
		s[key] = readUnit(paths[key], text)
	}
	return s, nil
}

// readUnit reads the text of one block.
func readUnit(path []string, text string) *version {
	text = strings.TrimSpace(text) + "\n"
	lock, err := Parse([]byte("version = 1\n" + text))
	if err != nil {
		return &version{path: path, text: text}
	}
	if v := lock.side()[formatPath(path...)]; v != nil {
		return v
	}
	return &version{path: path, text: text}
}

// cutUnits cuts a lock at its headers. The head is what comes before them.
func cutUnits(data []byte) (head string, texts map[string]string, paths map[string][]string, err error) {
	texts, paths = map[string]string{}, map[string][]string{}
	key, number := "", 0
	for line := range strings.Lines(string(data)) {
		number++
		if strings.HasPrefix(line, "[") {
			s := scanner{data: []byte(line), pos: 1, line: number}
			path, ok := s.key(']')
			if ok && (path[0] == "stage" || path[0] == "artifact") {
				ok = len(path) > 1
				path = path[:min(2, len(path))]
			} else if ok {
				path = path[:1]
			}
			if !ok {
				return "", nil, nil, &Error{Line: number, Err: refuse(ErrSyntax, "a header that kept does not write")}
			}
			key = formatPath(path...)
			paths[key] = path
		}
		if key == "" {
			head += line
		} else {
			texts[key] += line
		}
	}
	return head, texts, paths, nil
}

// conflictNames returns what a file with markers has in conflict. It reads no
// more than headers: an error that names them is on the way of every hook.
func conflictNames(data []byte) []string {
	o, t, _, err := splitConflicts(data)
	if err != nil {
		return nil
	}
	_, ours, paths, oursErr := cutUnits(o)
	_, theirs, others, theirsErr := cutUnits(t)
	if oursErr != nil || theirsErr != nil {
		return nil
	}
	maps.Copy(paths, others)
	var found [][]string
	for key, path := range paths {
		if strings.TrimSpace(ours[key]) != strings.TrimSpace(theirs[key]) {
			found = append(found, path)
		}
	}
	slices.SortFunc(found, slices.Compare[[]string])
	var names []string
	for _, path := range found {
		names = append(names, blockName(path))
	}
	return names
}
