package history

import "github.com/kept-dev/kept/lockfile"

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

// Blame returns where each of the metrics got the value that it has in v.
func (v *Version) Blame(all []Metric) []Blamed {
	blamed := make([]Blamed, len(all))
	causes := map[*Version][]lockfile.Change{} // of a version that may have set thousands
	for i, m := range all {
		by := v.setter(m)
		if _, ok := causes[by]; !ok {
			causes[by] = by.Causes()
		}
		blamed[i] = Blamed{Metric: m, Value: v.Value(m), By: by, Causes: causes[by]}
	}
	return blamed
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
