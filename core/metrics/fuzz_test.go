package metrics_test

import (
	"testing"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// FuzzGate judges two values of one metric by whatever a kept.toml says. What a
// rule refuses or cannot tell, a tighter one never passes.
func FuzzGate(f *testing.F) {
	f.Add([]byte(gate("train.accuracy", "min=0.8", "max_drop=0.005")), 0.83, 0.825, 0.5)
	f.Add([]byte(gate("*", `max_rise="1%"`, "required=false")), 0.0, 1.0, 0.0)
	f.Add([]byte(gate("tr?in.*", "max=1", "max_rise=3", "max_drop=1", "warn=true")), -1.0, 5e-324, 0.99)
	f.Add([]byte("[gate.a.b]\nmin=nan\n[accept.\"train.accuracy\"]\nresult=1"), 1e308, -1e308, 1.0)
	f.Fuzz(func(t *testing.T, data []byte, base, head, share float64) {
		experiment, err := pipeline.Parse(data)
		if err != nil {
			return
		}
		_, _ = metrics.ParseAcceptances(experiment.Acceptances, experiment.Line)
		rules, err := metrics.ParseRules(experiment.Gates, experiment.Line)
		if err != nil {
			return
		}
		judge := func(rules metrics.Rules) metrics.Verdict {
			v, err := metrics.Judge(t.Context(), metrics.Case{Rules: rules, Base: oneMetric(base), Head: oneMetric(head),
				BaseSamples: metrics.Samples{"train.accuracy": {base, head, base}},
				HeadSamples: metrics.Samples{"train.accuracy": {head, base * share}}})
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		before := judge(rules)
		if !(share >= 0 && share <= 1) {
			return
		}
		for i := range rules {
			rules[i] = tighten(rules[i], share)
		}
		after := judge(rules)
		if len(after.Findings) != len(before.Findings) {
			t.Fatalf("%d findings became %d", len(before.Findings), len(after.Findings))
		}
		if before.Status > metrics.Passed && after.Status == metrics.Passed {
			t.Errorf("%+v became %+v", before, after)
		}
	})
}

func oneMetric(value float64) *lockfile.Lock {
	l := lockfile.New()
	l.Stages["train"] = &lockfile.Stage{Metrics: map[string]lockfile.Value{"accuracy": value}}
	return l
}

// tighten returns a rule that allows less, by a share of 0 to 1.
func tighten(r metrics.Rule, share float64) metrics.Rule {
	if r.Min != nil {
		higher := *r.Min + share
		r.Min = &higher
	}
	if r.Max != nil {
		lower := *r.Max - share
		r.Max = &lower
	}
	for _, t := range []**metrics.Tolerance{&r.MaxDrop, &r.MaxRise} {
		if *t != nil {
			*t = &metrics.Tolerance{Amount: (*t).Amount * share, Relative: (*t).Relative}
		}
	}
	return r
}
