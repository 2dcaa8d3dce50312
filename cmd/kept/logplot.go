package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/kept-dev/kept/core/history"
	"github.com/kept-dev/kept/core/plot"
	"github.com/kept-dev/kept/lockfile"
)

// plotLog draws a panel per metric, from the oldest version to the newest.
func (u *ui) plotLog(ctx context.Context, l *metricLog, name string) error {
	draw, err := drawing(name)
	if err != nil {
		return err
	}
	figure := plot.Figure{Title: "History of " + lockfile.Name}
	var left []string
	for _, m := range l.chosen {
		switch {
		case len(l.numbers(m)) == 0:
		case len(figure.Panels) == plot.MaxPanels:
			left = append(left, m.String())
		default:
			figure.Panels = append(figure.Panels, plot.Panel{Title: m.String(), XLabel: "version", Lines: []plot.Line{l.line(m)}})
		}
	}
	data, err := draw(figure)
	if err == nil {
		err = writeFile(ctx, name, data)
	}
	if err != nil {
		return fmt.Errorf("plot %q: %w", name, err)
	}
	u.say("drew %s through history to %s", plural(len(figure.Panels), "metric"), clean(name))
	for i, metric := range left {
		if i == mostFiles {
			u.say("  and %d more", len(left)-i)
			break
		}
		u.say("  not drawn: %s, a figure holds %d", clean(metric), plot.MaxPanels)
	}
	return nil
}

// line returns a metric over the number of the version, counted from the oldest.
func (l *metricLog) line(m history.Metric) plot.Line {
	line := plot.Line{Name: m.String()}
	for i, row := range slices.Backward(l.rows) {
		for _, c := range row.metrics {
			if n, ok := lockfile.Float(c.new); ok && c.Metric == m {
				line.X, line.Y = append(line.X, float64(len(l.rows)-i)), append(line.Y, n)
			}
		}
	}
	return line
}
