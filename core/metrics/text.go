package metrics

import (
	"math"
	"strconv"

	"github.com/kept-dev/kept/lockfile"
)

// Bounds on the significant digits of a float that people read: 17 tell any two
// floats apart.
const (
	fewDigits = 6
	allDigits = 17
)

// Text writes a metric for people: a float with six significant digits. Nil is "".
func Text(v lockfile.Value) string { return Texts(v)[0] }

// Texts writes values that are read side by side, such as the old and the new
// one of a metric: floats with six significant digits, and with as many more as
// the whole part has or it takes to tell different ones apart. Nil is "".
func Texts(values ...lockfile.Value) []string {
	texts := make([]string, len(values))
	for digits := fewDigits; digits <= allDigits; digits++ {
		for i, v := range values {
			texts[i] = rounded(v, digits)
		}
		if telling(values, texts) {
			break
		}
	}
	return texts
}

// rounded is the lock's text of a value, of a float that has so many digits at most.
func rounded(v lockfile.Value, digits int) string {
	switch n := v.(type) {
	case nil:
		return ""
	case float64:
		if whole := len(strconv.FormatFloat(math.Trunc(math.Abs(n)), 'f', 0, 64)); whole <= allDigits {
			digits = max(digits, whole) // what is before the point is not rounded
		}
		if digits < allDigits {
			// It parses: it is what was written from a float.
			v, _ = strconv.ParseFloat(strconv.FormatFloat(n, 'g', digits, 64), 64)
		}
	}
	return lockfile.FormatValue(v)
}

// telling reports whether different values have different texts.
func telling(values []lockfile.Value, texts []string) bool {
	for i := range values {
		for k := range i {
			if texts[i] == texts[k] && values[i] != nil && values[k] != nil && !lockfile.EqualValues(values[i], values[k]) {
				return false
			}
		}
	}
	return true
}
