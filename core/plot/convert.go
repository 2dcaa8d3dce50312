package plot

import (
	"fmt"

	"github.com/kept-dev/kept/lockfile"
)

// Metric is the history of a metric by step on two sides, either of which may
// have none.
type Metric struct {
	Name     string
	Old, New []lockfile.Point
}

// Curves returns the figure of a comparison: a panel per metric, with the line
// of the old side and that of the new one. Of more metrics than a figure can
// hold it draws the first, and says so.
func Curves(title, old, new string, metrics []Metric) Figure {
	f := Figure{Title: title}
	if n := len(metrics); n > MaxPanels {
		f.Title = fmt.Sprintf("%s (%d of %d metrics)", title, MaxPanels, n)
		metrics = metrics[:MaxPanels]
	}
	for _, m := range metrics {
		f.Panels = append(f.Panels, Panel{Title: m.Name, XLabel: "step",
			Lines: []Line{FromSeries(old, m.Old), FromSeries(new, m.New)}})
	}
	return f
}

// FromSeries returns a metric's history as a line of values by step.
func FromSeries(name string, points []lockfile.Point) Line {
	l := Line{Name: name, X: make([]float64, len(points)), Y: make([]float64, len(points))}
	for i, p := range points {
		l.X[i] = float64(p.Step)
		l.Y[i], _ = lockfile.Float(p.Value)
	}
	return l
}
