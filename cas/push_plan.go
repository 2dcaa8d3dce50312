package cas

import (
	"cmp"
	"slices"

	"github.com/kept-dev/kept/cas/pack"
)

// draft is a pack that is to be put: pieces of packs of the store.
type draft struct {
	pieces []piece
	size   int64 // in bytes, about
}

// piece is what is taken of a group.
type piece struct {
	pack  *pack.Pack
	n     uint32
	group pack.Group
	// take are the entries, all that the group has if it is whole: then it is put as it is stored.
	take  []pack.Entry
	whole bool
	first int32 // the number of the first need that it meets
}

// entrySize and groupSize are what an entry and a group take in a table, and frameSize all that is in
// every pack.
const (
	entrySize = 60
	groupSize = 24
	frameSize = 16 + 8 + 64
)

// cost returns about how many bytes of a pack the piece takes.
func (p *piece) cost() int64 {
	n := int64(groupSize + entrySize*len(p.take))
	if p.whole {
		return n + int64(p.group.Stored)
	}
	for _, e := range p.take {
		n += int64(shareOf(p.group, e))
	}
	return n
}

// plan puts what is needed and nowhere into drafts. The same needs in the same packs of the
// store make the same drafts. A large pack all of which is needed is put as it is; else
// entries follow each other as the objects need them.
func (p *push) plan() ([]*draft, error) {
	local := make([]bool, len(p.packs))
	for i := range p.needs {
		if n := &p.needs[i]; n.whole && n.on == nowhere {
			local[n.pack] = true
		}
	}
	var drafts []*draft
	var loose []piece
	for number, name := range p.packs {
		if !local[number] {
			continue
		}
		src, err := p.l.set.Open(name)
		if err != nil {
			return nil, err
		}
		pieces, all, err := p.piecesOf(src, int32(number))
		if err != nil {
			return nil, err
		}
		if all && src.Size() >= p.l.packSize/smallPart {
			drafts = append(drafts, &draft{pieces, src.Size()})
		} else {
			loose = append(loose, pieces...)
		}
	}
	slices.SortFunc(loose, func(a, b piece) int { return cmp.Compare(a.first, b.first) })
	return append(drafts, p.fill(loose)...), nil
}

// fill makes drafts of pieces.
func (p *push) fill(pieces []piece) (drafts []*draft) {
	var open *draft
	for i := range pieces {
		cost := pieces[i].cost()
		if open == nil || open.size+cost > p.l.packSize {
			open = &draft{size: frameSize}
			drafts = append(drafts, open)
		}
		open.pieces = append(open.pieces, pieces[i])
		open.size += cost
	}
	return drafts
}

// piecesOf returns what is to be taken of a pack, and whether that is all of it as it is.
func (p *push) piecesOf(src *pack.Pack, number int32) (pieces []piece, all bool, err error) {
	t, err := src.Table()
	if err != nil {
		return nil, false, err
	}
	groups := t.Groups()
	entries := make([][]pack.Entry, len(groups))
	for i := range t.Len() {
		e := t.Entry(i)
		entries[e.Group] = append(entries[e.Group], e)
	}
	all = true
	for n, g := range groups {
		piece := piece{pack: src, n: uint32(n), group: g}
		p.takeFrom(&piece, entries[n], number)
		if len(piece.take) > 0 {
			pieces = append(pieces, piece)
		}
		all = all && piece.whole
	}
	return pieces, all, nil
}

// takeFrom chooses entries of a group. It is taken as it is stored only where every byte of it
// belongs to something that is wanted: what is not must not leave this machine. What of it the
// remote has already is put again with it, unless that is most of it.
func (p *push) takeFrom(piece *piece, entries []pack.Entry, number int32) {
	wanted, fresh := true, uint64(0)
	for _, e := range entries {
		i, ok := p.index[e.Key]
		if !ok {
			wanted = false
			continue
		}
		if n := &p.needs[i]; n.whole && n.on == nowhere && n.pack == number && n.group == piece.n {
			if len(piece.take) == 0 || i < piece.first {
				piece.first = i
			}
			piece.take = append(piece.take, e)
			fresh += uint64(e.Len)
		}
	}
	if len(piece.take) > 0 && wanted && 2*fresh >= uint64(piece.group.Plain) && coversAll(entries, piece.group) {
		piece.take, piece.whole = entries, true
	}
}

// coversAll reports whether every plain byte of a group belongs to one of the entries.
func coversAll(entries []pack.Entry, g pack.Group) bool {
	byPlace := slices.SortedFunc(slices.Values(entries), func(a, b pack.Entry) int { return cmp.Compare(a.At, b.At) })
	end := uint64(0)
	for _, e := range byPlace {
		if uint64(e.At) > end {
			return false
		}
		end = max(end, uint64(e.At)+uint64(e.Len))
	}
	return end == uint64(g.Plain)
}
