package pack

import "maps"

// Without returns the set as it would be if some packs were gone. It is for
// finding out what they alone hold, and sees nothing that is published later.
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
	set.view.Store(rest)
	return set, nil
}
