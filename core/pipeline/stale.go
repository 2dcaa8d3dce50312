package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// Facts are what a stage would read, and what it has written, right now.
type Facts struct {
	// Code and Inputs hold every file and folder that Stage.Code and
	// Stage.Inputs stand for, globs expanded, by path.
	Code   map[string]*lockfile.Input
	Inputs map[string]*lockfile.Input
	// Params are what Stage.ReadParams returns.
	Params map[string]lockfile.Value
	// Artifacts holds the digests of the artifacts of the lock's block by name;
	// zero, or not in the map, is an artifact that is missing.
	Artifacts map[string]cas.Digest
	// Environment may be nil where the stage is not Strict.
	Environment *lockfile.Environment
}

// Kind says what a Reason is about. The texts are part of the JSON output.
type Kind string

// The kinds, in the order in which Stale returns them.
const (
	KindNew         Kind = "new"         // the lock has no block of the stage
	KindCommand     Kind = "command"     // the command is another
	KindCode        Kind = "code"        // code changed, appeared or went away
	KindInput       Kind = "input"       // an input did
	KindParam       Kind = "param"       // a parameter of a file did
	KindEnvironment Kind = "environment" // the environment is another and the stage is Strict
	KindArtifact    Kind = "artifact"    // kept.toml has an artifact, or a path of one, that the block has not
	KindMetrics     Kind = "metrics"     // kept.toml has metrics, and the block none
	// Of the block's artifacts, which restoring brings back without a run:
	KindMissing  Kind = "missing"  // one is not there
	KindModified Kind = "modified" // one has other content
	// Reasons that Stale does not find by itself:
	KindUpstream Kind = "upstream" // a stage upstream would run first
	KindForced   Kind = "forced"   // somebody asked for it
	KindSpliced  Kind = "spliced"  // nobody measured the block: a merge or a hand made it
	KindConflict Kind = "conflict" // a merge left two blocks
	KindWriting  Kind = "writing"  // somebody is writing one of the stage's files
)

// Reason is one reason to run a stage.
type Reason struct {
	Kind Kind
	// Name is the path of code or an input, the key of a parameter, the name of
	// an artifact, or the part of an environment that differs.
	Name string
	// Old and New are what the lock says and what is the case now, each empty
	// where there is nothing: digests, values as the lock writes them, paths, commands.
	Old, New string
}

// String returns the reason for people, such as "tfidf.ngram_max: 1 → 2".
func (r Reason) String() string {
	switch r.Kind {
	case KindNew:
		return "never ran"
	case KindSpliced:
		return "its block in the lock is no run's"
	case KindConflict:
		return "in conflict"
	case KindUpstream:
		return "after " + r.Name
	case KindForced:
		return "forced"
	case KindWriting:
		return r.Name + " is being written"
	case KindMetrics:
		return "no metrics are recorded"
	case KindMissing:
		return "artifact " + r.Name + " is missing"
	case KindModified:
		return "artifact " + r.Name + " was modified"
	case KindArtifact:
		return r.change("artifact "+r.Name, "")
	case KindCommand:
		if strings.Contains(r.Old+r.New, "\n") {
			return "command changed"
		}
		return "command: " + r.Old + " → " + r.New
	case KindParam:
		return r.change(r.Name, " = "+cmp.Or(r.New, r.Old))
	}
	return r.change(r.Name, "")
}

// change says that something changed, is new or is gone. Digests tell people
// nothing and are left out.
func (r Reason) change(name, value string) string {
	switch {
	case r.Old == "":
		return name + value + " is new"
	case r.New == "":
		return name + value + " is gone"
	case strings.HasPrefix(r.Old, cas.Prefix) || strings.HasPrefix(r.New, cas.Prefix):
		return name + " changed"
	}
	return fmt.Sprintf("%s: %s → %s", name, r.Old, r.New)
}

// Stale returns the reasons for which a stage has to run, sorted by kind and
// name; none means that a run would only repeat what the lock says. block is
// the stage's block of the lock, nil where it never ran.
//
// Everything that the block's Params, Code and Inputs hold must be there now,
// and the other way round. Artifacts that only the block has are none of
// kept.toml's: the program logged them, or they are no longer listed, and the
// bytes are what that run wrote in either case. Metrics are compared by
// presence alone: a file of metrics that Git ignores stays behind when the
// lock moves, and that is no reason for a run of hours.
func Stale(stage *Stage, block *lockfile.Stage, now Facts) []Reason {
	if block == nil {
		return []Reason{{Kind: KindNew}}
	}
	var reasons []Reason
	if stage.Command != block.Command {
		reasons = append(reasons, Reason{KindCommand, "", block.Command, stage.Command})
	}
	reasons = compare(reasons, KindCode, block.Code, now.Code, formatInput)
	reasons = compare(reasons, KindInput, block.Inputs, now.Inputs, formatInput)
	reasons = compare(reasons, KindParam, block.Params, now.Params, lockfile.FormatValue)
	if stage.Environment == Strict {
		reasons = compareEnvironments(reasons, block.Environment, now.Environment)
	}
	reasons = compareArtifacts(reasons, stage, block)
	if len(stage.Metrics) > 0 && len(block.Metrics) == 0 {
		reasons = append(reasons, Reason{Kind: KindMetrics})
	}
	return checkArtifacts(reasons, block, now)
}

// compare adds a reason for every key whose formatted values differ.
func compare[V any](reasons []Reason, kind Kind, old, now map[string]V, format func(V) string) []Reason {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(old)), maps.Keys(now))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		r := Reason{Kind: kind, Name: key}
		if v, ok := old[key]; ok {
			r.Old = format(v)
		}
		if v, ok := now[key]; ok {
			r.New = format(v)
		}
		if r.Old != r.New {
			reasons = append(reasons, r)
		}
	}
	return reasons
}

// formatInput tells a folder from a file whose content is the folder's manifest.
func formatInput(input *lockfile.Input) string {
	if input.Folder {
		return input.Hash.String() + "/"
	}
	return input.Hash.String()
}

func compareEnvironments(reasons []Reason, old, now *lockfile.Environment) []Reason {
	return compare(reasons, KindEnvironment, environmentParts(old), environmentParts(now), func(s string) string { return s })
}

// environmentParts returns what is known of an environment, files by their paths.
func environmentParts(e *lockfile.Environment) map[string]string {
	parts := map[string]string{}
	if e == nil {
		return parts
	}
	for name, text := range map[string]string{"platform": e.Platform, "runtime": e.Runtime} {
		if text != "" {
			parts[name] = text
		}
	}
	if !e.Packages.IsZero() {
		parts["packages"] = e.Packages.String()
	}
	for file, digest := range e.Files {
		parts[file] = digest.String()
	}
	return parts
}

// compareArtifacts adds what kept.toml lists and the block does not have there.
func compareArtifacts(reasons []Reason, stage *Stage, block *lockfile.Stage) []Reason {
	for _, name := range slices.Sorted(maps.Keys(stage.Artifacts)) {
		r := Reason{Kind: KindArtifact, Name: name, New: stage.Artifacts[name]}
		if recorded := block.Artifacts[name]; recorded != nil {
			r.Old = recorded.Path
		}
		if r.Old != r.New {
			reasons = append(reasons, r)
		}
	}
	return reasons
}

// checkArtifacts adds the block's artifacts that are not what they were.
func checkArtifacts(reasons []Reason, block *lockfile.Stage, now Facts) []Reason {
	var modified []Reason
	for _, name := range slices.Sorted(maps.Keys(block.Artifacts)) {
		was, is := block.Artifacts[name].Hash, now.Artifacts[name]
		switch {
		case is.IsZero():
			reasons = append(reasons, Reason{KindMissing, name, was.String(), ""})
		case is != was:
			modified = append(modified, Reason{KindModified, name, was.String(), is.String()})
		}
	}
	return append(reasons, modified...)
}
