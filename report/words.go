package report

import (
	"fmt"
	"math"

	"github.com/kept-dev/kept/core/metrics"
)

// Size writes a size in bytes for people: "47.1 KiB".
func Size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, prefix := float64(n)/unit, 0
	for f >= unit && prefix < len(prefixes)-1 {
		f /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", f, prefixes[prefix])
}

const prefixes = "KMGTPE"

// DeltaText writes how a number changed: "+0.0121 (+1.5 %)".
func DeltaText(d metrics.Delta) string {
	text := fmt.Sprintf("%+.4g", d.Absolute)
	if !math.IsNaN(d.Relative) {
		text += " (" + Percent(d.Relative) + ")"
	}
	return text
}

// Percent writes a share, 0.01 being one percent, with as many digits as
// somebody reads.
func Percent(share float64) string {
	p := share * 100
	switch size := math.Abs(p); {
	case size >= 10:
		return fmt.Sprintf("%+.0f %%", p)
	case size >= 0.1:
		return fmt.Sprintf("%+.1f %%", p)
	}
	return fmt.Sprintf("%+.2g %%", p)
}

// DeltaWord says whether a change is to the better: "better", "worse", or "".
func DeltaWord(d metrics.Delta) string {
	switch d.Verdict() {
	case 1:
		return "better"
	case -1:
		return "worse"
	}
	return ""
}
