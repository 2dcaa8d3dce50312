package plot

import (
	"math"
	"strconv"
	"strings"

	"github.com/go-analyze/charts/chartdraw"
)

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// span is the part of a number line that an axis shows. Everything is drawn as
// a share of it, so that no number is too large or too small for the canvas.
type span struct{ low, high float64 }

// padded returns the span with air at both ends, and never one without length.
func (s span) padded(share float64) span {
	pad := s.high*share - s.low*share
	if s.low == s.high {
		pad = max(math.Abs(s.low)*0.05, 0.5)
		if a := math.Abs(s.low); a > 0 && a < 10 {
			pad = a * 0.05
		}
	}
	if !finite(pad) || s.low-pad == s.low && s.high+pad == s.high {
		pad = math.SmallestNonzeroFloat64
	}
	return span{clamp(s.low - pad), clamp(s.high + pad)}
}

func clamp(v float64) float64 { return min(max(v, -math.MaxFloat64), math.MaxFloat64) }

// share returns where v lies: 0 at the low end, 1 at the high end.
func (s span) share(v float64) float64 {
	if d := s.high - s.low; !math.IsInf(d, 0) {
		if d == 0 {
			return 0.5
		}
		return (v - s.low) / d
	}
	return (v/2 - s.low/2) / (s.high/2 - s.low/2)
}

// axis is a range from 0 to 1, the shares of a span, that brings its own ticks.
type axis struct {
	chartdraw.ContinuousRange
	ticks []chartdraw.Tick
}

// GetTicks implements chartdraw.TicksProvider.
func (a *axis) GetTicks(chartdraw.ValueFormatter) []chartdraw.Tick { return a.ticks }

func newAxis(ticks []chartdraw.Tick) *axis {
	return &axis{chartdraw.ContinuousRange{Max: 1}, ticks}
}

// ticks returns about n ticks at round numbers of the span.
func (s span) ticks(n int, whole bool) []chartdraw.Tick {
	step := roundStep(s.high/float64(n) - s.low/float64(n))
	if whole {
		step = max(step, 1)
	}
	if !finite(step) || step <= 0 {
		return nil
	}
	first := math.Ceil(s.low / step)
	var ticks []chartdraw.Tick
	for i := range 2*n + 2 {
		v := (first + float64(i)) * step
		if v > s.high {
			break
		}
		label := tickLabel(v, step, max(math.Abs(s.low), math.Abs(s.high)))
		// Next to a span that is all but a point, steps are too fine for a float64.
		if len(ticks) > 0 && ticks[len(ticks)-1].Label == label {
			continue
		}
		ticks = append(ticks, chartdraw.Tick{Value: s.share(v), Label: label})
	}
	return ticks
}

// roundStep returns the smallest of 1, 2 and 5 times a power of ten that is not much below v.
func roundStep(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*unit*1.25 {
			return m * unit
		}
	}
	return 10 * unit
}

// tickLabel writes v with the digits that tell it from its neighbours, step away.
func tickLabel(v, step, largest float64) string {
	if math.Abs(v) < step/2 {
		return "0"
	}
	stepDigits := int(math.Floor(math.Log10(step) + 1e-9))
	if e := math.Log10(largest); e >= 7 || e < -3 {
		digits := int(math.Floor(math.Log10(math.Abs(v))+1e-9)) - stepDigits
		text := strconv.FormatFloat(v, 'e', min(max(digits, 0), 16), 64)
		mantissa, exponent, _ := strings.Cut(text, "e")
		n, _ := strconv.Atoi(exponent) // FormatFloat wrote it.
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return mantissa + "e" + strconv.Itoa(n)
	}
	return strconv.FormatFloat(v, 'f', max(-stepDigits, 0), 64)
}
