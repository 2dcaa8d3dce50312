// Package plot draws metrics: curves by step, or a metric through history.
//
//	figure := plot.Curves("train.py: main → head", "main", "head", metrics)
//	svg, err := figure.SVG()
//
// A figure is a grid of panels; a panel has two axes and the lines between
// them. The package gets values and returns bytes: it reads and writes nothing.
//
//	check the figure
//	for each panel:  a frame (what range is shown), then each line's traces:
//	                 runs of points, or bands where there are more than pixels
//	chartdraw draws frame and traces on one canvas, which becomes SVG or PNG
//
// Equal figures give equal bytes on one platform. Both formats have a white
// ground of their own, so that they read the same on light and dark pages.
// Lines differ in dash and marker as well as in colour, and the colours are
// those of Okabe and Ito, which colour-blind people tell apart.
//
// Texts are those of a repository and may be hostile: what does not print is
// shown as an escape, and what is too long is cut.
//
// Which library draws, and what it costs: docs/decisions/0006-plots.md.
package plot

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-analyze/charts/chartdraw"
)

// What a figure holds at most.
const (
	MaxPanels = 12
	MaxLines  = 8
)

// ErrEmpty reports a figure without a single point.
var ErrEmpty = errors.New("nothing to plot: no line has a point")

// LimitError reports a figure with more of something than can be told apart.
type LimitError struct {
	What     string // "panels", "lines in panel …"
	N, Limit int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("a figure of %d %s: at most %d can be drawn", e.N, e.What, e.Limit)
}

// Figure is one or more panels under a title.
type Figure struct {
	Title  string
	Panels []Panel
}

// Panel is a pair of linear axes with lines.
type Panel struct {
	Title string
	// XLabel says what X counts ("step"); YLabel is a line of text under the title.
	XLabel, YLabel string
	// XTicks names the places 0, 1, 2, … on the X axis, such as short commit ids.
	// Without them the axis has numbers.
	XTicks []string
	// Lines are drawn in this order, the last on top. The first of several is the
	// dashed one, what the others are compared with.
	Lines []Line
}

// Line is a curve through points, in the order of X; X and Y have one length.
// A point that is not finite leaves a gap. A point with a gap on both sides is
// drawn as a marker.
//
// A line with more points than pixels is drawn as the mean and the band from
// the lowest to the highest of each column of three pixels, so that no extreme
// is lost; the panel says so.
type Line struct {
	Name string
	X, Y []float64
}

// SVG returns the figure as a scalable drawing: no script, no style sheet, no
// reference to anything outside, and a text for screen readers.
func (f Figure) SVG() ([]byte, error) {
	drawn, size, err := f.draw(chartdraw.SVG)
	if err != nil {
		return nil, err
	}
	return finishSVG(drawn, size, f.name(), f.describe())
}

// PNG returns the figure as an image with two pixels per CSS pixel.
func (f Figure) PNG() ([]byte, error) {
	drawn, _, err := f.draw(chartdraw.PNG)
	return drawn, err
}

// draw draws on a canvas that make brings, and returns what the canvas saves.
func (f Figure) draw(make chartdraw.RendererProvider) ([]byte, size, error) {
	if err := f.check(); err != nil {
		return nil, size{}, err
	}
	s := f.sheet()
	canvas := make(s.size.w, s.size.h)
	canvas.SetDPI(dpi)
	chartdraw.Draw.Box(canvas, chartdraw.Box{Right: s.size.w, Bottom: s.size.h}, chartdraw.Style{FillColor: ground})
	f.drawHead(canvas, s)
	for i, p := range f.Panels {
		at := s.cell(i)
		chart := p.chart(s, newFrame(p))
		provider := func(int, int) chartdraw.Renderer { return &inset{canvas, at.x, at.y} }
		if err := chart.Render(provider, io.Discard); err != nil {
			return nil, size{}, fmt.Errorf("draw panel %q: %w", p.Title, err)
		}
	}
	var b bytes.Buffer
	if err := canvas.Save(&b); err != nil {
		return nil, size{}, fmt.Errorf("draw figure: %w", err)
	}
	return b.Bytes(), s.size, nil
}

func (f Figure) check() error {
	if n := len(f.Panels); n > MaxPanels {
		return &LimitError{"panels", n, MaxPanels}
	}
	points := 0
	for _, p := range f.Panels {
		if n := len(p.Lines); n > MaxLines {
			return &LimitError{fmt.Sprintf("lines in panel %q", p.Title), n, MaxLines}
		}
		for _, l := range p.Lines {
			if len(l.X) != len(l.Y) {
				return fmt.Errorf("line %q of panel %q has %d X and %d Y", l.Name, p.Title, len(l.X), len(l.Y))
			}
			points += len(l.X)
		}
	}
	if points == 0 {
		return ErrEmpty
	}
	return nil
}

// inset is a canvas whose origin is the corner of a panel: a library's chart
// draws on a canvas of its own, and a figure is one canvas with many charts.
type inset struct {
	chartdraw.Renderer
	x, y int
}

func (r *inset) MoveTo(x, y int) { r.Renderer.MoveTo(r.x+x, r.y+y) }
func (r *inset) LineTo(x, y int) { r.Renderer.LineTo(r.x+x, r.y+y) }
func (r *inset) QuadCurveTo(cx, cy, x, y int) {
	r.Renderer.QuadCurveTo(r.x+cx, r.y+cy, r.x+x, r.y+y)
}
func (r *inset) ArcTo(cx, cy int, rx, ry, start, delta float64) {
	r.Renderer.ArcTo(r.x+cx, r.y+cy, rx, ry, start, delta)
}
func (r *inset) Circle(radius float64, x, y int) { r.Renderer.Circle(radius, r.x+x, r.y+y) }
func (r *inset) Text(body string, x, y int)      { r.Renderer.Text(body, r.x+x, r.y+y) }

// Save does nothing: the figure is saved once, when all panels are drawn.
func (r *inset) Save(io.Writer) error { return nil }
