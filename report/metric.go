package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// metric is a line of the table of metrics: what the gate says, what the
// comparison says, or both.
type metric struct {
	stage, key string
	// old and new are the sides as text, empty where there is none.
	old, new string
	delta    *metrics.Delta
	better   metrics.Direction
	fate     Fate
	changed  bool
	// finding is nil for a metric without a rule.
	finding *metrics.Finding
}

// verdict is +1, 0 or -1 for better, neither and worse.
func (m metric) verdict() int {
	if m.delta == nil {
		return 0
	}
	return m.delta.Verdict()
}

// rankOfUnchanged is the last rank: an unchanged metric that is as it should be.
const rankOfUnchanged = 4

// rank sorts from what needs a look to what needs none.
func (m metric) rank() int {
	switch {
	case m.finding != nil && m.finding.Status != metrics.Passed:
		return -int(m.finding.Status)
	case !m.changed:
		return rankOfUnchanged
	case m.verdict() < 0:
		return 1
	case m.verdict() == 0:
		return 2
	}
	return 3
}

// metricsOf returns the metrics of a review, worst first.
func metricsOf(r *Review) []metric {
	type name struct{ stage, key string }
	index := map[name]int{}
	var all []metric
	at := func(stage, key string) *metric {
		i, ok := index[name{stage, key}]
		if !ok {
			i = len(all)
			index[name{stage, key}] = i
			all = append(all, metric{stage: stage, key: key})
		}
		return &all[i]
	}
	for _, v := range r.Metrics {
		m := at(v.Stage, v.Key)
		m.old, m.new, m.better = metrics.Text(v.Value), metrics.Text(v.Value), v.Better
	}
	for _, stage := range r.Stages {
		for _, section := range stage.Sections {
			if section.Kind != lockfile.KindMetric {
				continue
			}
			for _, row := range section.Rows {
				m := at(stage.Name, row.Name)
				m.old, m.new, m.delta, m.fate, m.changed = row.Old, row.New, row.Delta, row.Fate, true
				m.better = cmp.Or(row.Better, m.better)
				if row.Delta != nil {
					m.better = cmp.Or(m.better, row.Delta.Better)
				}
			}
		}
	}
	if r.Verdict != nil {
		for i := range r.Verdict.Findings {
			at(r.Verdict.Findings[i].Stage, r.Verdict.Findings[i].Key).judge(&r.Verdict.Findings[i])
		}
	}
	slices.SortStableFunc(all, func(a, b metric) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.stage, b.stage), cmp.Compare(a.key, b.key))
	})
	return all
}

// judge takes in what the gate says. Its values are the ones that it compared.
func (m *metric) judge(f *metrics.Finding) {
	m.finding = f
	m.better = cmp.Or(f.Direction(), m.better)
	texts := metrics.Texts(f.Base, f.Head)
	m.old, m.new, m.fate = texts[0], texts[1], Changed
	m.changed = m.old != m.new
	switch {
	case f.Base == nil && f.Head != nil:
		m.fate = Added
	case f.Base != nil && f.Head == nil:
		m.fate = Removed
	}
	m.delta = nil
	if d, ok := f.Delta(); ok {
		m.delta = &d
	}
}

// finite returns a value as a float, and NaN where it is no finite number.
func finite(v lockfile.Value) float64 {
	if n, ok := lockfile.Float(v); ok && !math.IsInf(n, 0) {
		return n
	}
	return math.NaN()
}

// name is how tables call the metric.
func (m metric) name() string {
	if m.stage == "" {
		return m.key
	}
	return metrics.Name(m.stage, m.key)
}

// arrow shows the direction in which the metric gets better.
func (m metric) arrow() string {
	switch m.better {
	case metrics.Higher:
		return "↑"
	case metrics.Lower:
		return "↓"
	}
	return ""
}

// change says how the number changed, in words that mean the same without colour.
func (m metric) change() string {
	switch {
	case m.old == "" && m.new == "":
		return "–" // a pattern that matched nothing, or a metric that may be missing
	case m.fate == Added:
		return "new"
	case m.fate == Removed:
		return "removed"
	case !m.changed:
		return "="
	case m.delta == nil:
		return "changed"
	}
	// With a minus that is as wide as the plus.
	text := strings.ReplaceAll(DeltaText(*m.delta), "-", "−")
	if word := DeltaWord(*m.delta); word != "" {
		text += " " + word
	}
	return text
}

// noiseText says what several runs tell, in a few words.
func noiseText(n *metrics.Noise) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%d runs of the base: %.4g ± %.2g, %d of the head: %.4g ± %.2g, p = %.2g",
		n.BaseRuns, n.BaseMean, n.BaseSD, n.HeadRuns, n.HeadMean, n.HeadSD, n.P)
}

// reason is why a finding did not pass: the sentence of whoever accepted it, else the gate's.
func reason(f *metrics.Finding) string {
	if f.Status == metrics.Accepted && f.Acceptance != nil && f.Acceptance.Reason != "" {
		return f.Acceptance.Reason
	}
	return f.Reason
}
