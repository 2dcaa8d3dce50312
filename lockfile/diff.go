package lockfile

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/kept-dev/kept/cas"
)

// Kind says what a Change is about.
type Kind int

// The kinds of changes, in the order in which people review them. The types of
// Change.Old and Change.New follow from the kind.
const (
	KindStage           Kind = iota // the stage as a whole: *Stage
	KindCommand                     // string
	KindParam                       // Value
	KindMetric                      // Value
	KindArtifact                    // *Artifact
	KindInput                       // *Input
	KindCode                        // *Input
	KindEnvironment                 // "packages": cas.Digest; "platform" and "runtime": string; else a key this version does not know: any
	KindEnvironmentFile             // cas.Digest, by path
	KindHistory                     // cas.Digest of the series, by metric
	KindOther                       // a key that this version does not know: any
)

var kindNames = [...]string{"stage", "command", "param", "metric", "artifact", "input", "code", "environment", "environment file", "history", "other"}

// String returns the kind in words.
func (k Kind) String() string { return kindNames[k] }

// MarshalText implements encoding.TextMarshaler with the words of String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Change is one difference between two locks.
type Change struct {
	// Stage is the stage's name and empty outside of stages.
	Stage string
	Kind  Kind
	// Name is the param's or metric's dotted key, the artifact's name, or the
	// path of an input, of code or of an environment file. It is empty for
	// KindStage and KindCommand.
	Name string
	// Old and New are nil where there was or is none.
	Old, New any
}

// Added reports whether there was nothing before.
func (c Change) Added() bool { return c.Old == nil }

// Removed reports whether there is nothing any more.
func (c Change) Removed() bool { return c.New == nil }

// Diff returns what changed from old to new, sorted by stage, kind and name. A
// nil lock is an empty one. A stage that was added or removed gives a change of
// KindStage and one for each of its keys. Diff returns nothing exactly where
// both locks marshal to the same bytes: results, which only sum up a block, are
// no changes of their own.
func Diff(old, new *Lock) []Change {
	d := &differ{}
	old, new = orEmpty(old), orEmpty(new)
	diffMaps(d, KindArtifact, old.Artifacts, new.Artifacts, equalArtifacts)
	diffMaps(d, KindOther, old.Unknown, new.Unknown, equalUnknown)
	for _, name := range unionKeys(old.Stages, new.Stages) {
		a, b := old.Stages[name], new.Stages[name]
		if a == b {
			continue // Parser shares what is the same.
		}
		d.stage = name
		if a == nil || b == nil {
			d.add(KindStage, "", orNone(a, a != nil), orNone(b, b != nil))
		}
		d.stages(orEmpty(a), orEmpty(b), a != nil, b != nil)
	}
	slices.SortStableFunc(d.changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return d.changes
}

type differ struct {
	stage   string
	changes []Change
}

func (d *differ) add(kind Kind, name string, old, new any) {
	d.changes = append(d.changes, Change{Stage: d.stage, Kind: kind, Name: name, Old: old, New: new})
}

// stages compares two stages; hadOld and hasNew tell an absent one from an empty one.
func (d *differ) stages(a, b *Stage, hadOld, hasNew bool) {
	if a.Command != b.Command || hadOld != hasNew {
		d.add(KindCommand, "", orNone(a.Command, hadOld), orNone(b.Command, hasNew))
	}
	diffMaps(d, KindParam, a.Params, b.Params, EqualValues)
	diffMaps(d, KindParam, a.Logged, b.Logged, EqualValues)
	diffMaps(d, KindMetric, a.Metrics, b.Metrics, EqualValues)
	diffMaps(d, KindArtifact, a.Artifacts, b.Artifacts, equalArtifacts)
	diffMaps(d, KindInput, a.Inputs, b.Inputs, equalInputs)
	diffMaps(d, KindCode, a.Code, b.Code, equalInputs)
	diffMaps(d, KindHistory, a.History, b.History, equalDigests)
	diffMaps(d, KindOther, a.Unknown, b.Unknown, equalUnknown)
	d.environments(orEmpty(a.Environment), orEmpty(b.Environment))
}

func (d *differ) environments(a, b *Environment) {
	diffMaps(d, KindEnvironment, a.known(), b.known(), func(x, y any) bool { return x == y })
	diffMaps(d, KindEnvironment, a.Unknown, b.Unknown, equalUnknown)
	diffMaps(d, KindEnvironmentFile, a.Files, b.Files, equalDigests)
	diffMaps(d, KindOther, a.unknownOfFiles(), b.unknownOfFiles(), equalUnknown)
}

// known returns the fixed keys that are set.
func (e *Environment) known() map[string]any {
	known := map[string]any{}
	if !e.Packages.IsZero() {
		known["packages"] = e.Packages
	}
	if e.Platform != "" {
		known["platform"] = e.Platform
	}
	if e.Runtime != "" {
		known["runtime"] = e.Runtime
	}
	return known
}

// unknownOfFiles returns the unknown keys of the files under their dotted keys in the block.
func (e *Environment) unknownOfFiles() map[string]any {
	flat := map[string]any{}
	for path := range e.Files {
		for key, value := range e.UnknownOfFiles[path] {
			flat[formatPath("environment", "file", path, key)] = value
		}
	}
	return flat
}

func diffMaps[E any](d *differ, kind Kind, old, new map[string]E, equal func(a, b E) bool) {
	for _, name := range unionKeys(old, new) {
		a, inOld := old[name]
		b, inNew := new[name]
		if inOld && inNew && equal(a, b) {
			continue
		}
		d.add(kind, name, orNone(a, inOld), orNone(b, inNew))
	}
}

func unionKeys[E any](a, b map[string]E) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// orNone returns an untyped nil for what is absent, which is what Change promises.
func orNone[E any](e E, present bool) any {
	if !present {
		return nil
	}
	return e
}

func orEmpty[E any](e *E) *E {
	if e == nil {
		return new(E)
	}
	return e
}

func equalDigests(a, b cas.Digest) bool { return a == b }

func equalArtifacts(a, b *Artifact) bool {
	if len(a.Unknown)+len(b.Unknown) > 0 {
		return equalTables(a.table(), b.table())
	}
	return a.Path == b.Path && a.Hash == b.Hash && a.Size == b.Size && a.Executable == b.Executable &&
		a.Folder == b.Folder && (!a.Folder || a.Files == b.Files)
}

func equalInputs(a, b *Input) bool {
	if len(a.Unknown)+len(b.Unknown) > 0 {
		return equalTables(a.table(), b.table())
	}
	return a.Hash == b.Hash && a.Sized == b.Sized && (!a.Sized || a.Size == b.Size) &&
		a.Folder == b.Folder && (!a.Folder || a.Files == b.Files)
}

func equalTables(a, b map[string]any) bool {
	return bytes.Equal(appendTables(nil, nil, a), appendTables(nil, nil, b))
}

func equalUnknown(a, b any) bool { return bytes.Equal(appendInline(nil, a), appendInline(nil, b)) }
