package metrics

import (
	"math"
	"math/big"

	"github.com/kept-dev/kept/lockfile"
)

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

// Compare returns how old became new, and false unless both are finite numbers.
// It subtracts in decimal: from 0.83 to 0.825 it is -0.005, and not the
// -0.0050000000000000044 between the two binary fractions.
func Compare(old, new lockfile.Value, better Direction) (Delta, bool) {
	from, to := exact(old), exact(new)
	if from == nil || to == nil {
		return Delta{}, false
	}
	change := minus(to, from)
	d := Delta{Relative: math.NaN(), Better: better}
	d.Absolute, _ = change.Float64()
	if from.Sign() != 0 {
		d.Relative, _ = change.Quo(change, absolute(from)).Float64()
	}
	return d, true
}

func minus(a, b *big.Rat) *big.Rat { return new(big.Rat).Sub(a, b) }

func absolute(a *big.Rat) *big.Rat { return new(big.Rat).Abs(a) }

// exact returns the number that the text of a value means, and nil for what is
// no finite number. The text is the shortest that reads back as the same float,
// which is what a person or a program wrote unless it had more than 15 digits.
func exact(v lockfile.Value) *big.Rat {
	switch v := v.(type) {
	case int64:
		return new(big.Rat).SetInt64(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		if r, ok := new(big.Rat).SetString(lockfile.FormatValue(v)); ok {
			return r
		}
	}
	return nil
}
