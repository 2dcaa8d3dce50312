package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/plot"
	"github.com/kept-dev/kept/lockfile"
)

// noCurvesError reports a comparison without a metric by step.
type noCurvesError struct{ old, new string }

func (e *noCurvesError) Error() string {
	return fmt.Sprintf("no metric has values by step: neither in %s nor in %s", short(e.old), short(e.new))
}

// drawing returns what makes the file of a figure, by the file's ending.
func drawing(file string) (func(plot.Figure) ([]byte, error), error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".svg":
		return plot.Figure.SVG, nil
	case ".png":
		return plot.Figure.PNG, nil
	}
	return nil, &usageError{err: fmt.Errorf("%q ends neither in .svg nor in .png", file), command: "kept diff"}
}

// plotCurves draws the metrics by step of a comparison to a file.
func (u *ui) plotCurves(ctx context.Context, p *core.Project, c *core.Comparison, file string) error {
	draw, err := drawing(file)
	if err != nil {
		return err
	}
	curves, err := p.Curves(ctx, c.Old.Lock, c.New.Lock)
	if err != nil {
		return err
	}
	shown, err := u.readable(curves)
	if err != nil {
		return err
	}
	if len(shown) == 0 {
		return &noCurvesError{c.Old.Rev, c.New.Rev}
	}
	data, err := draw(curvesFigure(p.Rel, c, shown))
	if err != nil {
		return err
	}
	if err := writeFile(ctx, file, data); err != nil {
		return fmt.Errorf("plot %q: %w", file, err)
	}
	u.say("drew %s by step to %s", plural(min(len(shown), plot.MaxPanels), "metric"), clean(file))
	for _, m := range shown[min(len(shown), plot.MaxPanels):] {
		u.say("  not drawn: %s, a figure holds %d", clean(metrics.Name(m.Stage, m.Key)), plot.MaxPanels)
	}
	return nil
}

// readable returns the curves with a point on either side, and says what could
// not be read. If that is all there is, it is the error.
func (u *ui) readable(curves []core.Curve) (shown []core.Curve, err error) {
	var unread []error
	for _, c := range curves {
		if c.Err != nil {
			unread = append(unread, c.Err)
		}
		if len(c.Old)+len(c.New) > 0 {
			shown = append(shown, c)
		}
	}
	if len(shown) == 0 {
		return nil, errors.Join(unread...)
	}
	for _, err := range unread {
		u.say("%s %s", u.paint(yellow, "not drawn:"), strings.ReplaceAll(cleanLines(err.Error()), "\n", "; "))
	}
	return shown, nil
}

// curvesFigure is the figure of a comparison. What differs comes first, because
// a figure does not hold everything.
func curvesFigure(rel string, c *core.Comparison, curves []core.Curve) plot.Figure {
	slices.SortStableFunc(curves, func(a, b core.Curve) int { return rank(a) - rank(b) })
	list := make([]plot.Metric, len(curves))
	for i, m := range curves {
		list[i] = plot.Metric{Name: metrics.Name(m.Stage, m.Key), Old: m.Old, New: m.New}
	}
	old, new := short(c.Old.Rev), short(c.New.Rev)
	title := old + " → " + new
	if rel != "" {
		title = rel + ": " + title
	}
	return plot.Curves(title, old, new, list)
}

func rank(c core.Curve) int {
	same := slices.EqualFunc(c.Old, c.New, func(a, b lockfile.Point) bool {
		return a.Step == b.Step && lockfile.EqualValues(a.Value, b.Value)
	})
	if same {
		return 1
	}
	return 0
}
