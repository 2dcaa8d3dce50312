package lockfile

import "maps"

// ValidName reports whether a stage or an artifact can have that name.
func ValidName(name string) bool { return checkName(name) == nil }

// AllParams returns the parameters of a stage, those of its files and those
// that its program logged.
func (s *Stage) AllParams() map[string]Value {
	if len(s.Logged) == 0 {
		return s.Params
	}
	all := maps.Clone(s.Logged)
	maps.Copy(all, s.Params)
	return all
}
