package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/lockfile"
)

// Metric names a number that a stage measures.
type Metric struct{ Stage, Key string }

// String returns the metric's name, such as "train.accuracy".
func (m Metric) String() string { return metrics.Name(m.Stage, m.Key) }

// Value returns the metric's value in a version, nil where it has none.
func (v *Version) Value(m Metric) lockfile.Value {
	if v.Lock == nil || v.Lock.Stages[m.Stage] == nil {
		return nil
	}
	value, ok := v.Lock.Stages[m.Stage].Metrics[m.Key]
	if !ok {
		return nil
	}
	return value
}

// sameValue compares values of which either may be nil.
func sameValue(a, b lockfile.Value) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a == b || lockfile.EqualValues(a, b)
}

// Sets reports whether v gave the metric its value, or took it away: no version
// before v has the same. A version that can't be read sets nothing.
func (v *Version) Sets(m Metric) bool {
	if v.Lock == nil {
		return false
	}
	value := v.Value(m)
	before := v.Before()
	if len(before) == 0 {
		return value != nil
	}
	for _, old := range before {
		if sameValue(old.Value(m), value) {
			return false
		}
	}
	return true
}

// Metrics returns all metrics that any version has, sorted.
func (h *History) Metrics() []Metric {
	found := map[Metric]bool{}
	for _, v := range h.Versions {
		if v.Lock == nil {
			continue
		}
		addMetrics(found, v.Lock)
		for _, p := range v.Parents {
			if p.Beyond && p.Lock != nil {
				addMetrics(found, p.Lock)
			}
		}
	}
	return sorted(found)
}

// MetricsOf returns all metrics of a lock, sorted.
func MetricsOf(lock *lockfile.Lock) []Metric {
	found := map[Metric]bool{}
	addMetrics(found, lock)
	return sorted(found)
}

func addMetrics(found map[Metric]bool, lock *lockfile.Lock) {
	for name, stage := range lock.Stages {
		for key := range stage.Metrics {
			found[Metric{name, key}] = true
		}
	}
}

func sorted(found map[Metric]bool) []Metric {
	return slices.SortedFunc(maps.Keys(found), func(a, b Metric) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Key, b.Key))
	})
}

// UnknownMetricError reports a word that names no metric.
type UnknownMetricError struct {
	Name string
	// Known are the names that there are, Near those that were probably meant.
	Known, Near []string
	// Part says that not all of the history was looked at.
	Part bool
}

func (e *UnknownMetricError) Error() string {
	switch {
	case e.Part && len(e.Known) == 0:
		return fmt.Sprintf("no metric %q was recorded in this part of the history, nor any other", e.Name)
	case len(e.Near) > 0:
		return fmt.Sprintf("no metric %q was ever recorded here; did you mean %s?", e.Name, strings.Join(e.Near, " or "))
	case len(e.Known) == 0:
		return fmt.Sprintf("no metric %q was ever recorded here, nor any other", e.Name)
	}
	return fmt.Sprintf("no metric %q was ever recorded here; there are %s", e.Name, fewNames(e.Known))
}

// AmbiguousMetricError reports a word that may mean several metrics.
type AmbiguousMetricError struct {
	Name       string
	Candidates []string
}

func (e *AmbiguousMetricError) Error() string {
	return fmt.Sprintf("metric %q may be %s", e.Name, fewNames(e.Candidates))
}

// fewNames lists names, and counts them where there are many.
func fewNames(names []string) string {
	const most = 8
	if len(names) > most+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// Find returns those of all metrics that a word means: the name of one, the end
// of a single name behind a dot, or a pattern in which * stands for any text and
// ? for one character.
func Find(all []Metric, word string) ([]Metric, error) {
	if strings.ContainsAny(word, "*?") {
		return matchMetrics(all, word)
	}
	if i := slices.IndexFunc(all, func(m Metric) bool { return m.String() == word }); i >= 0 {
		return all[i : i+1 : i+1], nil
	}
	for _, means := range []func(Metric) bool{
		func(m Metric) bool { return m.Key == word },
		func(m Metric) bool { return strings.HasSuffix(m.Key, "."+word) },
	} {
		var found []Metric
		for _, m := range all {
			if means(m) {
				found = append(found, m)
			}
		}
		if len(found) > 1 {
			return nil, &AmbiguousMetricError{Name: word, Candidates: namesOf(found)}
		}
		if len(found) == 1 {
			return found, nil
		}
	}
	return nil, unknownMetric(all, word)
}

func matchMetrics(all []Metric, pattern string) ([]Metric, error) {
	glob := metrics.NewGlob(pattern)
	var found []Metric
	for _, m := range all {
		if glob.Match(m.String()) || glob.Match(m.Key) {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil, unknownMetric(all, pattern)
	}
	return found, nil
}

func unknownMetric(all []Metric, word string) error {
	e := &UnknownMetricError{Name: word, Known: namesOf(all)}
	e.Near = values.Nearest(word, e.Known)
	if len(e.Near) == 0 {
		for _, m := range all {
			if len(values.Nearest(word, []string{m.Key})) > 0 {
				e.Near = append(e.Near, m.String())
			}
		}
	}
	e.Near = e.Near[:min(len(e.Near), 3)]
	return e
}

// FindAll returns the metrics that any of the words means, sorted.
func FindAll(all []Metric, words []string) ([]Metric, error) {
	found := map[Metric]bool{}
	for _, word := range words {
		list, err := Find(all, word)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			found[m] = true
		}
	}
	return sorted(found), nil
}

// FindOne returns the one metric that a word means.
func FindOne(all []Metric, word string) (Metric, error) {
	found, err := Find(all, word)
	if err == nil && len(found) > 1 {
		err = &AmbiguousMetricError{Name: word, Candidates: namesOf(found)}
	}
	if err != nil {
		return Metric{}, err
	}
	return found[0], nil
}

func namesOf(list []Metric) []string {
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = m.String()
	}
	return names
}
