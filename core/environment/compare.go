package environment

import (
	"maps"
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// Change is one thing that differs between the environments of two runs.
type Change struct {
	// Name is what differs: "platform", "runtime", "packages" or the path of a
	// requirement file.
	Name string `json:"name"`
	// Old and New are the values as the lock writes them, "" where nothing is known.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// String returns the change for people, such as "numpy 2.1.0 → 2.2.0".
func (c Change) String() string {
	old, new := brief(c.Old), brief(c.New)
	switch {
	case old == "":
		return c.Name + " " + new + " (new)"
	case new == "":
		return c.Name + " " + old + " (gone)"
	}
	return c.Name + " " + old + " → " + new
}

// Detail says for people what is and what was, where New is the case now.
func (c Change) Detail() string {
	switch {
	case c.Old == "":
		return "is " + brief(c.New) + ", the lock has none"
	case c.New == "":
		return "is gone, the lock says " + brief(c.Old)
	}
	return "is " + brief(c.New) + ", the lock says " + brief(c.Old)
}

// brief shortens a digest.
func brief(text string) string {
	if d, err := cas.ParseDigest(text); err == nil {
		return d.Short()
	}
	return text
}

// Compare names what differs between two environments, in the order platform,
// runtime, packages, files. Packages are compared by their digest only; Diff
// tells which ones differ. A nil environment is one of which nothing is known.
//
// Keys that this version does not know are not compared: a run by this version
// cannot have written them, so they would always differ.
func Compare(a, b *lockfile.Environment) []Change {
	if a == nil {
		a = &lockfile.Environment{}
	}
	if b == nil {
		b = &lockfile.Environment{}
	}
	var changes []Change
	add := func(name, old, new string) {
		if old != new {
			changes = append(changes, Change{Name: name, Old: old, New: new})
		}
	}
	add("platform", a.Platform, b.Platform)
	add("runtime", a.Runtime, b.Runtime)
	add("packages", written(a.Packages), written(b.Packages))
	files := slices.AppendSeq(slices.Collect(maps.Keys(a.Files)), maps.Keys(b.Files))
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		add(file, written(a.Files[file]), written(b.Files[file]))
	}
	return changes
}

func written(d cas.Digest) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}
