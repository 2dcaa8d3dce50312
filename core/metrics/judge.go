package metrics

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/lockfile"
)

// Case is what Judge judges.
type Case struct {
	Rules Rules
	// Base is what Head is compared with; nil where there is none.
	Base, Head *lockfile.Lock
	// NoBase says in a sentence why there is no base, for the reasons of findings.
	NoBase string
	// BaseSamples and HeadSamples are the values of several runs of each side.
	BaseSamples, HeadSamples Samples
	Acceptances              []Acceptance
}

// Samples are several runs' values by metric name.
type Samples map[string][]float64

// Judge applies the rules to the metrics of the head. The error is ctx's.
func Judge(ctx context.Context, c Case) (Verdict, error) {
	j := &judge{Case: c, matched: make([]bool, len(c.Rules)), acceptances: map[string][]int{}, used: map[int]bool{}}
	for i, a := range c.Acceptances {
		j.acceptances[a.Metric] = append(j.acceptances[a.Metric], i)
	}
	j.collect()
	for _, m := range j.metrics {
		if err := ctx.Err(); err != nil {
			return Verdict{}, err
		}
		if i := c.Rules.find(m.name(), j.matched); i >= 0 {
			j.metric(m, c.Rules[i])
		}
	}
	for i, rule := range c.Rules {
		if !j.matched[i] {
			j.unmatched(rule)
		}
	}
	return j.verdict(), ctx.Err()
}

type judge struct {
	Case
	metrics []metric
	// matched are the rules that match any of the metrics.
	matched  []bool
	findings []Finding
	// acceptances are the indices of Acceptances by metric, used those that took something.
	acceptances map[string][]int
	used        map[int]bool
	// added are up to two of the metrics that only the head has, by value, and names
	// those of all metrics on either side, both made on first use.
	added map[string][]string
	names []string
	// compared is how many names were compared with those of rules without a metric.
	compared int
}

// maxCompared bounds the search for a name that may be meant: each takes microseconds.
const maxCompared = 200_000

// metric is one metric with its values.
type metric struct {
	stage, key string
	// base and head are nil where the side has no such metric.
	base, head lockfile.Value
}

func (m metric) name() string { return Name(m.stage, m.key) }

// collect lists the metrics of both sides in the order of their names.
func (j *judge) collect() {
	type id struct{ stage, key string }
	seen := map[id]bool{}
	for _, lock := range []*lockfile.Lock{j.Base, j.Head} {
		if lock == nil {
			continue
		}
		for stage, block := range lock.Stages {
			for key := range block.Metrics {
				if seen[id{stage, key}] {
					continue
				}
				seen[id{stage, key}] = true
				m := metric{stage, key, valueIn(j.Base, stage, key), valueIn(j.Head, stage, key)}
				j.metrics = append(j.metrics, m)
			}
		}
	}
	slices.SortFunc(j.metrics, func(a, b metric) int {
		return cmp.Or(cmp.Compare(a.stage, b.stage), cmp.Compare(a.key, b.key))
	})
}

func valueIn(lock *lockfile.Lock, stage, key string) lockfile.Value {
	if lock == nil || lock.Stages[stage] == nil {
		return nil
	}
	return lock.Stages[stage].Metrics[key]
}

// metric judges one metric by its rule.
func (j *judge) metric(m metric, rule Rule) {
	f := Finding{Stage: m.stage, Key: m.key, Rule: rule, Base: m.base, Head: m.head, Result: j.result(m.stage)}
	if m.head == nil {
		if rule.Required {
			j.add(f, outcome{unknown: []string{j.gone(m)}})
		}
		return
	}
	f.Noise = compareRuns(j.BaseSamples[m.name()], j.HeadSamples[m.name()])
	if o, judged := j.apply(f); judged {
		j.add(f, o)
	}
}

// outcome is what a rule says of a metric, in sentences: why it fails, why it
// cannot be told, and else how it passes.
type outcome struct{ failed, unknown, passed []string }

// apply applies a rule to a metric that the head has. It returns false where the
// rule has nothing to say: it compares, the base has no such metric, and the
// metric may be missing.
func (j *judge) apply(f Finding) (outcome, bool) {
	var o outcome
	head := exact(f.Head)
	if head == nil {
		o.failed = append(o.failed, number(f.Head)+" is no value that a rule can allow")
		return o, true
	}
	r := f.Rule
	if r.Min != nil && head.Cmp(exact(*r.Min)) < 0 {
		o.failed = append(o.failed, fmt.Sprintf("%s is below the minimum of %s", number(f.Head), number(*r.Min)))
	}
	if r.Max != nil && head.Cmp(exact(*r.Max)) > 0 {
		o.failed = append(o.failed, fmt.Sprintf("%s is above the maximum of %s", number(f.Head), number(*r.Max)))
	}
	if !r.Compares() {
		return o, true
	}
	base := exact(f.Base)
	switch {
	case base != nil:
		j.change(&o, f, base, head)
	case f.Base != nil:
		o.unknown = append(o.unknown, "the base is "+number(f.Base)+", which nothing can be compared with")
	case r.Required:
		o.unknown = append(o.unknown, j.noBase(f))
	case r.Min == nil && r.Max == nil:
		return o, false
	default:
		o.passed = append(o.passed, j.noBase(f))
	}
	return o, true
}

// change applies the bounds on the change against the base.
func (j *judge) change(o *outcome, f Finding, base, head *big.Rat) {
	for _, bound := range []struct {
		tolerance *Tolerance
		worse     *big.Rat
		verb      string
	}{{f.Rule.MaxDrop, minus(base, head), "dropped"}, {f.Rule.MaxRise, minus(head, base), "rose"}} {
		if bound.tolerance == nil || bound.worse.Cmp(bound.tolerance.of(base)) <= 0 {
			continue
		}
		if f.Noise != nil && f.Noise.Within {
			o.unknown = append(o.unknown, "within the noise: "+f.Noise.String())
			continue
		}
		amount, _ := bound.worse.Float64()
		limit, _ := bound.tolerance.of(base).Float64()
		texts := Texts(amount, limit)
		text := fmt.Sprintf("%s by %s, more than %s", bound.verb, whole(texts[0]), bound.tolerance)
		if bound.tolerance.Relative {
			text += fmt.Sprintf(" of the base, which is %s", whole(texts[1]))
		}
		if f.Noise != nil {
			text += ", and beyond the noise: " + f.Noise.String()
		}
		o.failed = append(o.failed, text)
	}
}

// of returns how much a tolerance allows for a base.
func (t Tolerance) of(base *big.Rat) *big.Rat {
	amount := exact(t.Amount)
	if t.Relative {
		amount.Mul(amount, absolute(base))
	}
	return amount
}

// noBase says why there is nothing to compare a metric of the head with.
func (j *judge) noBase(f Finding) string {
	switch {
	case j.Base == nil && j.NoBase != "":
		return "there is nothing to compare with: " + j.NoBase
	case j.Base == nil:
		return "there is nothing to compare with"
	case j.Base.Stages[f.Stage] == nil:
		return fmt.Sprintf("the base has no stage %s to compare with", clip(f.Stage))
	}
	return fmt.Sprintf("the base has no %s to compare with", clip(f.Metric()))
}

// gone says that the head lacks a metric of the base, and under which name it
// may have it.
func (j *judge) gone(m metric) string {
	text := "the base has it and the head does not"
	if j.Head == nil || j.Head.Stages[m.stage] == nil {
		text = fmt.Sprintf("the head has no stage %s any more", clip(m.stage))
	}
	if same := j.sameValue(m.base); len(same) == 1 {
		text += fmt.Sprintf("; %s is new and has its value: renamed?", clip(same[0]))
	}
	return text
}

// sameValue returns up to two metrics that only the head has and that have that value.
func (j *judge) sameValue(v lockfile.Value) []string {
	if j.added == nil {
		j.added = map[string][]string{}
		for _, m := range j.metrics {
			if n := exact(m.head); m.base == nil && n != nil && len(j.added[n.RatString()]) < 2 {
				j.added[n.RatString()] = append(j.added[n.RatString()], m.name())
			}
		}
	}
	n := exact(v)
	if n == nil {
		return nil
	}
	return j.added[n.RatString()]
}

// unmatched is the finding of a rule whose pattern matches nothing on either side.
func (j *judge) unmatched(r Rule) {
	if !r.Required {
		return
	}
	text := "no metric is called so"
	switch {
	case j.Head == nil || len(j.Head.Stages) == 0:
		text = "kept.lock has no stage yet"
	case isGlob(r.Pattern):
		text = "no metric matches"
	default:
		if near := j.near(r.Pattern); len(near) > 0 {
			text += fmt.Sprintf("; is %s meant?", clip(near[0]))
		}
	}
	j.add(Finding{Key: r.Pattern, Rule: r}, outcome{unknown: []string{text}})
}

// near returns the metrics whose names are like that one, while that is quick.
func (j *judge) near(name string) []string {
	if j.compared += len(j.metrics); j.compared > maxCompared {
		return nil
	}
	if j.names == nil {
		for _, m := range j.metrics {
			j.names = append(j.names, m.name())
		}
	}
	return values.Nearest(name, j.names)
}

// result returns the digest of the head's block of a stage.
func (j *judge) result(stage string) cas.Digest {
	if j.Head == nil || j.Head.Stages[stage] == nil {
		return cas.Digest{}
	}
	return j.Head.Stages[stage].Result
}

// add turns an outcome into a status and keeps the finding.
func (j *judge) add(f Finding, o outcome) {
	reasons := o.passed
	switch {
	case len(o.failed) > 0:
		f.Status, reasons = Failed, append(o.failed, o.unknown...)
	case len(o.unknown) > 0:
		f.Status, reasons = Inconclusive, o.unknown
	}
	f.Reason = strings.Join(slices.Compact(reasons), "; ")
	if f.Status != Passed {
		j.accept(&f)
	}
	if f.Rule.Warn && f.Status > Warned {
		f.Status = Warned
	}
	j.findings = append(j.findings, f)
}

// accept looks for the line that takes a bad finding.
func (j *judge) accept(f *Finding) {
	if f.Stage == "" {
		return
	}
	for _, i := range j.acceptances[f.Metric()] {
		a := &j.Acceptances[i]
		if a.Result == f.Result {
			j.used[i] = true
			f.Status, f.Acceptance = Accepted, a
			return
		}
		f.Reason += fmt.Sprintf("; the acceptance in kept.toml:%d is of another result", a.Line)
	}
}

func (j *judge) verdict() Verdict {
	v := Verdict{Findings: j.findings}
	for _, f := range v.Findings {
		v.Status = max(v.Status, f.Status)
	}
	slices.SortStableFunc(v.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Status, a.Status), cmp.Compare(a.Metric(), b.Metric()), cmp.Compare(a.Stage, b.Stage))
	})
	for i, a := range j.Acceptances {
		if !j.used[i] {
			v.Unused = append(v.Unused, a)
		}
	}
	return v
}
