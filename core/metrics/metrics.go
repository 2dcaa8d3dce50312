// Package metrics judges what a stage measured: which way a metric gets
// better, how much it changed, and whether the rules in kept.toml allow that.
// It is pure: it reads no file, starts nothing and knows no clock.
//
//	rules, err := metrics.ParseRules(experiment.Gates, experiment.Line)
//	verdict, err := metrics.Judge(ctx, metrics.Case{Rules: rules, Base: base, Head: head})
//	for _, finding := range verdict.Findings { … } // worst first
//
// A metric is named by its stage and its key: "train.accuracy". A rule says what
// is allowed for the metrics that its pattern matches. The base is what the head
// is compared with. A finding is one rule applied to one metric. What cannot be
// compared is inconclusive, and never passes.
//
// The rules are specified in docs/spec/gate.md.
package metrics

// Direction is the way in which a metric gets better.
type Direction int

// The directions.
const (
	Unknown Direction = iota // a change is neither better nor worse
	Higher                   // accuracy
	Lower                    // loss
)

// String returns "higher" or "lower", as kept.toml and JSON write it, and "" for Unknown.
func (d Direction) String() string { return [...]string{"", "higher", "lower"}[d] }

// Name returns how reports, rules and acceptances call a metric of a stage.
func Name(stage, key string) string { return stage + "." + key }
