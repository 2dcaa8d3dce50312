package core

import (
	"slices"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// pairRenames makes one change of a removed and an added entry of a stage that
// hold the same content.
func pairRenames(changes []Change) []Change {
	type content struct {
		stage  string
		kind   lockfile.Kind
		hash   cas.Digest
		folder bool
	}
	of := func(c Change, side any) content {
		hash, folder := contentHash(side)
		return content{c.Stage, c.Kind, hash, folder}
	}
	removed := map[content][]int{}
	for i, c := range changes {
		if c.Removed() && renames(c.Kind) {
			removed[of(c, c.Old)] = append(removed[of(c, c.Old)], i)
		}
	}
	gone := map[int]bool{}
	for i := range changes {
		c := &changes[i]
		if !c.Added() || !renames(c.Kind) {
			continue
		}
		if from := removed[of(*c, c.New)]; len(from) > 0 {
			old := changes[from[0]]
			removed[of(*c, c.New)] = from[1:]
			gone[from[0]] = true
			c.From, c.Old = old.Name, old.Old
		}
	}
	var paired []Change
	for i, c := range changes {
		if !gone[i] {
			paired = append(paired, c)
		}
	}
	return paired
}

func renames(k lockfile.Kind) bool {
	return k == lockfile.KindArtifact || k == lockfile.KindInput || k == lockfile.KindCode
}

// pairMoved does the same for the files of a folder. Empty files are all alike,
// so nobody can say which became which.
func pairMoved(changes []FileChange) []FileChange {
	type content struct {
		kind cas.Kind
		hash cas.Digest
	}
	removed := map[content][]*cas.Entry{}
	for _, c := range changes {
		if c.New == nil && c.Old.Size > 0 {
			key := content{c.Old.Kind, c.Old.Digest}
			removed[key] = append(removed[key], c.Old)
		}
	}
	moved := map[string]bool{}
	for i := range changes {
		c := &changes[i]
		if c.Old != nil {
			continue
		}
		key := content{c.New.Kind, c.New.Digest}
		if from := removed[key]; len(from) > 0 {
			c.Old, c.From = from[0], from[0].Path
			removed[key] = from[1:]
			moved[c.From] = true
		}
	}
	return slices.DeleteFunc(changes, func(c FileChange) bool { return c.New == nil && moved[c.Path] })
}
