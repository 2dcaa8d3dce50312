package metrics

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// significance is the p-value from which on two sets of runs are not told apart.
const significance = 0.05

// String returns both sides and the p-value on one line.
func (n Noise) String() string {
	return fmt.Sprintf("%s (%d runs) and %s (%d runs), p = %.2g", spread(n.BaseMean, n.BaseSD), n.BaseRuns,
		spread(n.HeadMean, n.HeadSD), n.HeadRuns, n.P)
}

// spread writes a mean and a standard deviation with the digits that the
// deviation leaves meaning to: two of its own.
func spread(mean, sd float64) string {
	if sd == 0 {
		return fmt.Sprintf("%s ± 0", number(mean))
	}
	digits := 1 - int(math.Floor(math.Log10(sd)))
	if digits < 0 || digits > 12 || math.Abs(mean) >= 1e12 {
		return fmt.Sprintf("%.6g ± %.2g", mean, sd)
	}
	return fmt.Sprintf("%.*f ± %.*f", digits, mean, digits, sd)
}

// compareRuns compares several runs of two sides by Welch's t-test: the spread
// of the two need not be the same. It returns nil where a side has fewer than
// two runs, or values with which there is no reckoning.
func compareRuns(base, head []float64) *Noise {
	if len(base) < 2 || len(head) < 2 {
		return nil
	}
	n := &Noise{BaseRuns: len(base), HeadRuns: len(head)}
	n.BaseMean, n.BaseSD = moments(base)
	n.HeadMean, n.HeadSD = moments(head)
	n.P = welch(n)
	// It is NaN also where a value is not finite, or a square beyond the range.
	if math.IsNaN(n.P) {
		return nil
	}
	n.Within = n.P >= significance
	return n
}

// moments returns the mean and the sample standard deviation. Values that are
// all the same have none: rounding must not give them one.
func moments(values []float64) (mean, sd float64) {
	if slices.Min(values) == slices.Max(values) {
		return values[0], 0
	}
	for _, v := range values {
		mean += v / float64(len(values))
	}
	sum := 0.0
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sum / float64(len(values)-1))
}

// welch returns the two-sided p-value of the difference of the means.
func welch(n *Noise) float64 {
	base := n.BaseSD * n.BaseSD / float64(n.BaseRuns)
	head := n.HeadSD * n.HeadSD / float64(n.HeadRuns)
	difference := n.HeadMean - n.BaseMean
	variance := base + head
	if math.IsNaN(variance) || math.IsInf(variance, 0) || math.IsNaN(difference) || math.IsInf(difference, 0) {
		return math.NaN()
	}
	if variance == 0 {
		// Nothing varies: the two are the same or they are not.
		if difference == 0 {
			return 1
		}
		return 0
	}
	t2 := difference * difference / variance
	// Shares of the variance, so that no square of a small one becomes 0.
	b, h := base/variance, head/variance
	freedom := 1 / (b*b/float64(n.BaseRuns-1) + h*h/float64(n.HeadRuns-1))
	if math.IsInf(t2, 0) {
		return 0
	}
	// P(|T| > t) of Student's distribution, Abramowitz and Stegun 26.5.27 and 26.7.1.
	return mathext.RegIncBeta(freedom/2, 0.5, freedom/(freedom+t2))
}
