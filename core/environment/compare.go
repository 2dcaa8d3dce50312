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
