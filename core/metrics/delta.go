package metrics

// Delta is how a number changed.
type Delta struct {
	// Absolute is new - old.
	Absolute float64
	// Relative is Absolute as a share of old's absolute value, 0.01 for one
	// percent, and NaN where old is 0 or either side is not finite.
	Relative float64
	// Better is the direction in which the metric gets better.
	Better Direction
}

// Verdict returns +1 for a change to the better, -1 for one to the worse and 0
// where there is none or the direction is unknown.
func (d Delta) Verdict() int {
	up := 0
	switch {
	case d.Absolute > 0:
		up = 1
	case d.Absolute < 0:
		up = -1
	}
	switch d.Better {
	case Higher:
		return up
	case Lower:
		return -up
	}
	return 0
}
