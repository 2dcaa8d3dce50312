package pack

import "maps"

// Without returns the set as it would be if some packs were gone, whatever is
// in the folder. It is for finding out what they alone hold; what is published
// later it may see or not. It keeps away, which must not be changed.
func (s *Set) Without(away map[Name]bool) (*Set, error) {
	v, err := s.current()
	if err != nil {
		return nil, err
	}
	rest := v.clone()
	maps.DeleteFunc(rest.packs, func(name Name, _ bool) bool { return away[name] })
	rest.runs = nil
	for _, r := range v.runs {
		if r.index == nil && away[r.packs[0]] {
			continue
		}
		rest.runs = append(rest.runs, r.in(rest.packs))
	}
	set := OpenSet(s.fsys, s.dir)
	set.except = away
	set.view.Store(rest)
	return set, nil
}
