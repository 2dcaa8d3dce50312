package cas

import (
	"cmp"
	"context"
	"slices"

	"github.com/kept-dev/kept/cas/pack"
)

const (
	// fewBytes is how much has to be pushed before the remote is asked for more than it has to
	// be, to find out what it has of it.
	fewBytes = 1 << 20
	// mostBases and mostTables are how much it is asked for.
	mostBases  = 32
	mostTables = 256
	// fewPacks is how many packs a root may list in any case, and one more for each bytesPerPack
	// of what it stands for.
	fewPacks     = 32
	bytesPerPack = 4 << 20
)

// farPack is a pack of the remote that has something that is needed.
type farPack struct {
	packRef
	number int32
	offers []offer
}

// offer is a key that a pack has.
type offer struct {
	need   int32
	stored uint32 // bytes, by its share in its group
}

// learn finds out what of that which is needed the remote has.
func (p *push) learn(ctx context.Context) error {
	p.far = nil
	seen := map[pack.Name]bool{}
	for _, name := range p.known.names() {
		if t := p.known.table(name); t != nil {
			seen[name] = true
			p.match(t)
		}
	}
	if p.unmatched() > fewBytes {
		if err := p.learnFrom(ctx, p.roots, seen); err != nil {
			return err
		}
	}
	if len(p.far) == 0 && p.unmatched() > fewBytes {
		bases, err := p.bases(ctx)
		if err == nil {
			err = p.learnFrom(ctx, bases, seen)
		}
		if err != nil {
			return err
		}
	}
	return p.rely(ctx)
}

// match notes what a pack of the remote has of that which is needed.
func (p *push) match(t *pack.Table) {
	f := &farPack{packRef: refOf(t), number: int32(len(p.far))}
	groups := t.Groups()
	for i := range t.Len() {
		e := t.Entry(i)
		if n, ok := p.index[e.Key]; ok {
			f.offers = append(f.offers, offer{n, shareOf(groups[e.Group], e)})
		}
	}
	if len(f.offers) > 0 {
		p.far = append(p.far, f)
	}
}

// shareOf returns how many of the stored bytes of its group an entry is good for.
func shareOf(g pack.Group, e pack.Entry) uint32 {
	if g.Plain == 0 {
		return 0
	}
	return uint32(uint64(g.Stored) * uint64(e.Len) / uint64(g.Plain))
}

// unmatched returns how many bytes no known pack has.
func (p *push) unmatched() int64 {
	matched := map[int32]bool{}
	for _, f := range p.far {
		for _, o := range f.offers {
			matched[o.need] = true
		}
	}
	sum := int64(0)
	for i := range p.needs {
		if p.needs[i].whole && !matched[int32(i)] {
			sum += int64(p.needs[i].len)
		}
	}
	return sum
}

// bases returns the roots of objects that may have much in common with what is wanted.
func (p *push) bases(ctx context.Context) ([]*root, error) {
	list := p.o.Bases[:min(len(p.o.Bases), mostBases)]
	roots := make([]*root, len(list))
	err := p.each(ctx, len(list), func(ctx context.Context, i int) error {
		r, err := p.root(ctx, list[i].Digest)
		if err == nil {
			roots[i] = r
		}
		return ctx.Err() // without it more is put than has to be
	})
	return slices.DeleteFunc(roots, func(r *root) bool { return r == nil }), err
}

// learnFrom matches the packs of roots.
func (p *push) learnFrom(ctx context.Context, roots []*root, seen map[pack.Name]bool) error {
	var packs []packRef
	for _, r := range roots {
		for _, ref := range r.packs {
			if !seen[ref.name] && len(packs) < mostTables {
				seen[ref.name] = true
				packs = append(packs, ref)
			}
		}
	}
	tables := make([]*pack.Table, len(packs))
	err := p.each(ctx, len(packs), func(ctx context.Context, i int) error {
		if t, err := p.table(ctx, packs[i]); err == nil {
			tables[i] = t
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	for _, t := range tables {
		if t != nil {
			p.match(t)
		}
	}
	return nil
}

// rely chooses the packs that have what is needed, as few as may be, and has the remote prove
// each. One that it does not have is forgotten, and the choice made again.
func (p *push) rely(ctx context.Context) error {
	// The order in which tables were found must not matter.
	slices.SortFunc(p.far, func(a, b *farPack) int {
		return cmp.Or(cmp.Compare(len(b.offers), len(a.offers)), byName(a.packRef, b.packRef))
	})
	for {
		var chosen []packRef
		for i := range p.needs {
			p.needs[i].on = nowhere
		}
		for i, f := range p.far {
			f.number = int32(i)
			used := false
			for _, o := range f.offers {
				if n := &p.needs[o.need]; n.on == nowhere {
					n.on, used = f.number, true
				}
			}
			if used {
				chosen = append(chosen, f.packRef)
			}
		}
		if err := p.prove(ctx, chosen); err != nil {
			return err
		}
		gone := false
		for _, ref := range chosen {
			if !p.has(ref) {
				p.known.forget(ref.name)
				gone = true
			}
		}
		if !gone {
			return nil
		}
		p.far = slices.DeleteFunc(p.far, func(f *farPack) bool {
			_, asked := p.proven[f.name]
			return asked && !p.has(f.packRef)
		})
	}
}

// spread has those entries put once more that are all that an object needs of some pack, where
// it would need very many packs: whoever fetches it would have to read from each.
func (p *push) spread() {
	for _, o := range p.objects {
		use := map[int32]int64{}
		size := int64(0)
		for _, i := range o.uses {
			n := &p.needs[i]
			size += int64(n.len)
			if n.on != nowhere {
				use[n.on] += int64(n.len)
			}
		}
		most := fewPacks + int(size/bytesPerPack)
		if len(use) <= most {
			continue
		}
		packs := make([]int32, 0, len(use))
		for number := range use {
			packs = append(packs, number)
		}
		slices.SortFunc(packs, func(a, b int32) int { return cmp.Or(cmp.Compare(use[a], use[b]), cmp.Compare(a, b)) })
		// Half of what is allowed: the next version needs some more.
		leave := map[int32]bool{}
		for _, number := range packs[:len(packs)-most/2] {
			leave[number] = true
		}
		for _, i := range o.uses {
			if n := &p.needs[i]; n.on != nowhere && leave[n.on] {
				n.on = nowhere
			}
		}
	}
}
