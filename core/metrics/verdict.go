package metrics

import (
	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// Status is what became of a rule, and of all rules together.
type Status int

// The statuses, from good to bad: the status of several findings is the largest.
const (
	Passed       Status = iota
	Accepted            // worse than the rule allows, and accepted in kept.toml
	Warned              // worse than a rule allows that only warns
	Inconclusive        // a metric, a base or an object is missing, or the difference is within the noise
	Failed
)

var statusNames = [...]string{"passed", "accepted", "warned", "inconclusive", "failed"}

// String returns the status in one word.
func (s Status) String() string { return statusNames[s] }

// MarshalText implements encoding.TextMarshaler with the word of String.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one rule applied to one metric.
type Finding struct {
	// Stage and Key name the metric. For a pattern that matched nothing Stage is
	// empty and Key the pattern.
	Stage, Key string
	Rule       Rule
	// Base and Head are int64 or float64, and nil where there is no value.
	Base, Head lockfile.Value
	Status     Status
	// Reason is one sentence, without a full stop, that says why. Names in it are
	// as the repository has them: whoever prints it escapes it.
	Reason string
	// Noise compares several runs of base and head; nil where they are not recorded.
	Noise *Noise
	// Acceptance is the line of kept.toml that accepts the result, if there is one.
	Acceptance *Acceptance
	// Result is the digest of the head's block, which an acceptance names. It is
	// zero where the head has no such stage.
	Result cas.Digest
}

// Metric returns the metric's name, or the pattern that matched nothing.
func (f Finding) Metric() string {
	if f.Stage == "" {
		return f.Key
	}
	return Name(f.Stage, f.Key)
}

// Direction returns the direction in which the finding's metric gets better, or
// Unknown for a pattern that matched nothing.
func (f Finding) Direction() Direction {
	if f.Stage == "" {
		return Unknown
	}
	return f.Rule.direction(f.Key)
}

// Delta returns how the metric changed, and false where a side has no finite number.
func (f Finding) Delta() (Delta, bool) { return Compare(f.Base, f.Head, f.Direction()) }

// Verdict is what the rules say of a head.
type Verdict struct {
	// Status is the worst of the findings, and Passed where there are none.
	Status Status
	// Findings are sorted from the worst status to the best, then by metric.
	Findings []Finding
	// Unused are the acceptances that name another result than the head's, or a
	// metric that needs none: leftovers to remove.
	Unused []Acceptance
}

// Noise is what several recorded runs of the same stage tell about a difference.
type Noise struct {
	// BaseRuns and HeadRuns count the runs, at least two each.
	BaseRuns, HeadRuns int
	// BaseMean and HeadMean are the means, BaseSD and HeadSD the sample standard deviations.
	BaseMean, HeadMean, BaseSD, HeadSD float64
	// P is the two-sided p-value of Welch's t-test on the difference of the means.
	P float64
	// Within says that the runs do not tell the two apart: P is at least 0.05.
	Within bool
}

// Acceptance is a table [accept."stage.metric"] of kept.toml: somebody looked at
// this result and takes it.
type Acceptance struct {
	// Metric is the metric's name.
	Metric string
	// Result is the digest of the block that is accepted. Another result needs another line.
	Result cas.Digest
	Reason string
	// Line is where kept.toml has it, counted from 1.
	Line int
}
