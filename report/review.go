// Package report writes what changed between two locks, and what the gate says
// of it, as documents: Markdown for a comment, HTML for a browser, annotations,
// JUnit, OpenMetrics and JSON for machines.
//
//	review := report.New(experiment, comparison, rules) // core.Comparison in words
//	review.Verdict = &verdict               // where there is a gate
//	err := report.Markdown(w, []*report.Review{review}, report.Options{…})
//
// A Review holds text as the repository has it. Nothing in it is trusted: each
// writer escapes for its own format, and what it cannot show harmlessly it shows
// as an escape.
package report

import (
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// Review is what changed in one experiment.
type Review struct {
	// Experiment is the folder of kept.toml in the repository, "." for its top.
	Experiment string
	// Old is zero where a lock is shown alone.
	Old, New Revision
	// Stages are those that changed, in the order of the comparison; data that is
	// kept without a stage comes first, under an empty name.
	Stages []Stage
	// Verdict is what the gate says, nil where nobody asked it.
	Verdict *metrics.Verdict
	// BaseNote says how the base was found, such as "merge base with main"; it may be empty.
	BaseNote string
	// Patches are the files of code that changed, where somebody asked for their lines.
	Patches []Patch
	// Curves are the metrics that have a value by step on either side.
	Curves []Curve
	// Metrics are all metrics of New, changed or not, by stage and key. Without them
	// a document knows only those that changed and those that have a rule.
	Metrics []MetricValue
}

// alone reports whether there is nothing that New is compared with.
func (r *Review) alone() bool {
	return r.Old == (Revision{}) && r.New != (Revision{}) && r.Verdict == nil
}

// Revision is one side of a review.
type Revision struct {
	// Name is what the user wrote, or "working tree".
	Name string
	// Commit is the full commit id, and empty for the working tree.
	Commit string
}

// Stage is what changed in one stage.
type Stage struct {
	Name string
	// Fate is Added or Removed for the stage as a whole, and Changed else.
	Fate     Fate
	Sections []Section
}

// Fate is what happened to a thing.
type Fate int

// The fates.
const (
	Changed Fate = iota
	Added
	Removed
	Renamed
)

// Section holds the changes of one kind, in the order of review: command,
// params, metrics, artifacts, inputs, code, environment, history, other.
type Section struct {
	Kind  lockfile.Kind
	Title string
	Rows  []Row
}

// Row is one change.
type Row struct {
	// Name is the key, the artifact's name or the path. It is empty for a command.
	Name string
	Fate Fate
	// Old and New are the sides for people, without the one that is missing: a
	// value, "9b1e3a77 (47.1 KiB)", "2.1.0". For what was Renamed, Old is the name
	// or path that it had.
	Old, New string
	// OldEntry and NewEntry are the sides for programs: a *lockfile.Artifact, a
	// *lockfile.Input, a *cas.Entry, a cas.Digest or a lockfile.Value. A side that
	// is missing, or has no more to say than its text, is nil.
	OldEntry, NewEntry any
	// Better is the direction in which a metric gets better, Unknown for anything else.
	Better metrics.Direction
	// Delta is how a metric changed; nil where a side is missing or not finite, and
	// for anything else.
	Delta *metrics.Delta
	// Rows are the files of a folder or the packages of a list.
	Rows []Row
}

// Curve is a metric by step on both sides.
type Curve struct {
	Stage, Key string
	// Old and New are nil where the side has none, or the store has not its bytes.
	Old, New []lockfile.Point
}

// MetricValue is a metric as the lock has it.
type MetricValue struct {
	Stage, Key string
	// Value is an int64 or a float64.
	Value  lockfile.Value
	Better metrics.Direction
}
