package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/history"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/plot"
	"github.com/kept-dev/kept/lockfile"
	"github.com/kept-dev/kept/report"
)

// rulesOf returns the gates of kept.toml for the directions they give. A gate
// that can't be read is no reason not to show numbers: names have to do then.
func (u *ui) rulesOf(p *core.Project) metrics.Rules {
	rules, err := p.Rules()
	if err != nil {
		u.say("%s %s", u.paint(yellow, "warning:"), clean(err.Error()))
	}
	return rules
}

const notCommitted = "not committed"

// versionID is how a version is called in a column.
func versionID(v *history.Version) string {
	if v.Uncommitted() {
		return notCommitted
	}
	return v.Commit.ID[:min(10, len(v.Commit.ID))]
}

// versionDate is the day on which a version was made, where the reader is.
func versionDate(v *history.Version) string {
	if v.Uncommitted() {
		return ""
	}
	return v.Commit.Time.Format(time.DateOnly)
}

// metricText is a value in a column.
func metricText(v lockfile.Value) string { return cmp.Or(metrics.Text(v), "removed") }

// metricsText is a change of a metric.
func metricsText(old, new lockfile.Value) string {
	sides := metrics.Texts(old, new)
	return cmp.Or(sides[0], "none") + " → " + cmp.Or(sides[1], "removed")
}

// movedText is how a value changed, in words where the direction is known.
func movedText(old, new lockfile.Value, better metrics.Direction) string {
	d, ok := metrics.Compare(old, new, better)
	if !ok {
		return ""
	}
	return strings.TrimSpace(report.DeltaText(d) + " " + report.DeltaWord(d))
}

// causeText is a change of what a stage reads, on one line.
func causeText(c lockfile.Change) string {
	what := ""
	switch c.Kind {
	case lockfile.KindCommand:
		what = "command"
	case lockfile.KindInput, lockfile.KindCode:
		return clean(c.Kind.String()+" "+c.Name) + " " + sourceText(c)
	case lockfile.KindEnvironment, lockfile.KindEnvironmentFile:
		what = "environment " + c.Name
	default:
		what = c.Name
	}
	return clean(what) + " " + fromTo(plainText(c.Old), plainText(c.New))
}

func sourceText(c lockfile.Change) string {
	switch {
	case c.Old == nil:
		return "added"
	case c.New == nil:
		return "removed"
	}
	return "changed"
}

func fromTo(old, new string) string {
	switch {
	case old == "":
		return new + " (new)"
	case new == "":
		return old + " (removed)"
	}
	return old + " → " + new
}

func plainText(side any) string {
	switch v := side.(type) {
	case nil:
		return ""
	case string:
		return clean(cut(v, 60))
	case cas.Digest:
		return v.Short()
	}
	return clean(cut(lockfile.FormatValue(side), 60))
}

// causesText lists changes by stage. Those of a stage that is new say only that.
func causesText(changes []lockfile.Change) []string {
	const most = 8
	var lines []string
	for i := 0; i < len(changes); {
		stage := changes[i].Stage
		var parts []string
		n := i
		for ; n < len(changes) && changes[n].Stage == stage; n++ {
			if len(parts) < most {
				parts = append(parts, causeText(changes[n]))
			}
		}
		if n-i > most {
			parts = append(parts, fmt.Sprintf("and %d more", n-i-most))
		}
		lines = append(lines, clean(stage)+": "+strings.Join(parts, ", "))
		i = n
	}
	return lines
}

// sparks are the heights of a sparkline; ASCII has fewer that rise.
var sparks = map[bool][]rune{false: []rune("▁▂▃▄▅▆▇█"), true: []rune("_.-~=+*#")}

// sparkline draws numbers from left to right between the least and the greatest
// of them, at most width characters wide: of several in one place it shows the
// last. A gap is a number that is not finite.
func sparkline(numbers []float64, width int, ascii bool) string {
	heights := sparks[ascii]
	low, high := bounds(numbers)
	var b strings.Builder
	places := min(len(numbers), width)
	for i := range places {
		n := numbers[(i+1)*len(numbers)/places-1]
		switch {
		case math.IsNaN(n) || math.IsInf(n, 0):
			b.WriteByte(' ')
		case high == low:
			b.WriteRune(heights[len(heights)/2])
		default:
			// Halved, so that the span of any two numbers is one.
			share := (n/2 - low/2) / (high/2 - low/2)
			b.WriteRune(heights[min(int(share*float64(len(heights))), len(heights)-1)])
		}
	}
	return b.String()
}

// bounds returns the least and the greatest of the finite numbers.
func bounds(numbers []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, n := range numbers {
		if !math.IsNaN(n) && !math.IsInf(n, 0) {
			low, high = min(low, n), max(high, n)
		}
	}
	return low, high
}

// isOpen reports whether history has no answer to what was asked.
func isOpen(err error) bool {
	var metric *history.UnknownMetricError
	var inconclusive *history.InconclusiveError
	return errors.As(err, &metric) || errors.As(err, &inconclusive) || errors.Is(err, plot.ErrEmpty)
}

func hintHistory(err error) string {
	var unknown *history.UnknownMetricError
	var several *history.AmbiguousMetricError
	var inconclusive *history.InconclusiveError
	var condition *history.ConditionError
	switch {
	case errors.As(err, &inconclusive) && inconclusive.Shallow:
		return "git fetch --unshallow"
	case errors.As(err, &condition):
		return "kept bisect --help"
	case errors.As(err, &several), errors.As(err, &unknown) && (unknown.Part || len(unknown.Known) > 0):
		return "kept log"
	case errors.As(err, &unknown):
		return "kept run"
	}
	return ""
}
