package core

import (
	"context"

	"github.com/kept-dev/kept/lockfile"
)

// Blamed is where a metric got the value that it has now.
type Blamed struct {
	Metric Metric
	// Value is nil where the lock lost the metric.
	Value lockfile.Value
	// By set it. It is the working tree's version for a value that is not committed
	// yet, and may not be the first with that value where it is a Boundary.
	By *Version
	// Causes are what changed there of what stages read.
	Causes []lockfile.Change
}

// Blame finds the versions that set the metrics of the lock on disk, or those of
// them that the words mean.
func (p *Project) Blame(ctx context.Context, words []string) ([]Blamed, *History, error) {
	h, err := p.History(ctx, HistoryOptions{WorkingTree: true})
	if err != nil {
		return nil, nil, err
	}
	if len(h.Versions) == 0 {
		h.Versions = []*Version{{Lock: lockfile.New()}}
	}
	now := h.Versions[0]
	if now.Err != nil {
		return nil, nil, &FileError{Path: p.LockPath(), Rev: revOf(now), Err: now.Err}
	}
	all := MetricsOf(now.Lock)
	if len(words) > 0 {
		if all, err = findAll(all, words); err != nil {
			return nil, nil, err
		}
	}
	blamed := make([]Blamed, len(all))
	for i, m := range all {
		by := now.setter(m)
		blamed[i] = Blamed{Metric: m, Value: now.Value(m), By: by, Causes: by.Causes()}
	}
	return blamed, h, nil
}

func revOf(v *Version) string {
	if v.Uncommitted() {
		return ""
	}
	return v.Commit.ID[:10]
}

func findAll(all []Metric, words []string) ([]Metric, error) {
	found := map[Metric]bool{}
	for _, word := range words {
		list, err := FindMetrics(all, word)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			found[m] = true
		}
	}
	return sortedMetrics(found), nil
}

// setter goes back from v as long as a version before has the same value.
func (v *Version) setter(m Metric) *Version {
	value := v.Value(m)
	for {
		var same *Version
		for _, old := range v.Before() {
			if sameValue(old.Value(m), value) {
				same = old
				break
			}
		}
		if same == nil {
			return v
		}
		v = same
	}
}
