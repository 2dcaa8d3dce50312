// Package history walks over the versions that the lock of an experiment had:
// which of them gave a metric its value, and at which one a condition became true.
//
// A Version is the lock as a commit left it, connected with the versions that it
// replaced. A version sets a metric if none before it has the same value; so a
// merge that takes a side, or a lock that was only sorted anew, sets nothing.
// A version whose lock can't be read tells nothing and is looked through.
//
//	h := &history.History{Versions: versions}    // the newest first; core reads them
//	m, err := history.FindOne(h.Metrics(), "accuracy")
//	by := h.Versions[0].Setter(m)                // whose value it is
//	b, err := h.Bisect(m, condition, "HEAD", "") // who broke it
//
// The package is pure: it reads no file and starts nothing.
package history

import (
	"cmp"
	"slices"
	"time"

	"github.com/kept-dev/kept/lockfile"
)

// History is the lock of an experiment over time.
type History struct {
	// Versions come before what they were made of, the newest first.
	Versions []*Version
	// Shallow says that the clone ends before the history does.
	Shallow bool
}

// Version is the lock as a commit left it.
type Version struct {
	// Commit is the commit that changed the lock. It has no ID where the version is
	// the working tree's, and nothing but its ID where it is Beyond.
	Commit Commit
	// Blob is Git's id of the lock's content, "" where there is no such file.
	Blob string
	// Parents are the versions that this one replaced: none for the first, several
	// for a merge.
	Parents []*Version
	// Beyond marks a version outside of the range that was asked for. It is a parent
	// of one inside and in no list, and its own parents are not known.
	Beyond bool
	// Lock is empty where the commit has no lock, and nil where Err says why it
	// can't be read: nobody resolved a conflict, a merge spliced it, a newer kept
	// wrote it.
	Lock *lockfile.Lock
	Err  error
}

// Uncommitted reports whether the version is the working tree's.
func (v *Version) Uncommitted() bool { return v.Commit.ID == "" }

// Commit is what is known of a commit.
type Commit struct {
	ID, Author, Subject string
	// Time is when it was authored.
	Time time.Time
	// Boundary says that a shallow clone ends here: what the commit is said to have
	// set may be older.
	Boundary bool
}

// TookOver reports whether the bytes of the lock are those of a version that v
// replaced, as in a merge that takes one side.
func (v *Version) TookOver() bool {
	return v.Blob != "" && slices.ContainsFunc(v.Parents, func(p *Version) bool { return p.Blob == v.Blob })
}

// Before returns the nearest versions before v whose locks can be read: its
// parents, or what is behind those that can't be.
func (v *Version) Before() []*Version {
	if !slices.ContainsFunc(v.Parents, func(p *Version) bool { return p.Lock == nil }) {
		return v.Parents
	}
	var found []*Version
	seen := map[*Version]bool{}
	queue := slices.Clone(v.Parents)
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		if p.Lock != nil {
			found = append(found, p)
			continue
		}
		queue = append(queue, p.Parents...)
	}
	return found
}

// Changed returns what v changed in the lock, against the first version before
// it: nothing where v has the content of any version before it, as a merge that
// takes one side, and nothing where v can't be read.
func (v *Version) Changed() []lockfile.Change {
	if v.Lock == nil {
		return nil
	}
	before := v.Before()
	if len(before) == 0 {
		return lockfile.Diff(nil, v.Lock)
	}
	var first []lockfile.Change
	for i, old := range before {
		if old.Lock == v.Lock {
			return nil
		}
		changes := lockfile.Diff(old.Lock, v.Lock)
		if len(changes) == 0 {
			return nil
		}
		if i == 0 {
			first = changes
		}
	}
	return first
}

// Params returns the parameters of a stage that changed in v, against the first
// version before it that has the stage.
func (v *Version) Params(stage string) []lockfile.Change {
	if v.Lock == nil || v.Lock.Stages[stage] == nil {
		return nil
	}
	now := v.Lock.Stages[stage]
	for _, old := range v.Before() {
		if was := old.Lock.Stages[stage]; was != nil {
			return slices.Concat(paramChanges(stage, was.Params, now.Params), paramChanges(stage, was.Logged, now.Logged))
		}
	}
	return nil
}

func paramChanges(stage string, old, new map[string]lockfile.Value) []lockfile.Change {
	var changes []lockfile.Change
	for key, value := range new {
		was, ok := old[key]
		if !ok {
			changes = append(changes, lockfile.Change{Stage: stage, Kind: lockfile.KindParam, Name: key, New: value})
		} else if !lockfile.EqualValues(was, value) {
			changes = append(changes, lockfile.Change{Stage: stage, Kind: lockfile.KindParam, Name: key, Old: was, New: value})
		}
	}
	for key, value := range old {
		if _, ok := new[key]; !ok {
			changes = append(changes, lockfile.Change{Stage: stage, Kind: lockfile.KindParam, Name: key, Old: value})
		}
	}
	slices.SortFunc(changes, func(a, b lockfile.Change) int { return cmp.Compare(a.Name, b.Name) })
	return changes
}

// Causes returns what changed in v of what a stage reads: its command, params,
// inputs and code, and those of the stages that it was measured with. It
// compares with the first version before v, and with nothing for the first one.
func (v *Version) Causes() []lockfile.Change {
	if v.Lock == nil {
		return nil
	}
	var old *lockfile.Lock
	if before := v.Before(); len(before) > 0 {
		old = before[0].Lock
	}
	return slices.DeleteFunc(lockfile.Diff(old, v.Lock), func(c lockfile.Change) bool {
		switch c.Kind {
		case lockfile.KindCommand, lockfile.KindParam, lockfile.KindInput, lockfile.KindCode, lockfile.KindEnvironment, lockfile.KindEnvironmentFile:
			return c.Stage == ""
		}
		return true
	})
}
