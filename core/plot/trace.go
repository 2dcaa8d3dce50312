package plot

import (
	"github.com/go-analyze/charts/chartdraw"
	"github.com/go-analyze/charts/chartdraw/drawing"
)

const (
	lineWidth  = 1.75 * scale
	markRadius = 3 * scale
	// markSpacing is how far apart points lie, in CSS pixels, that each have a marker.
	markSpacing = 12
	// columnWidth is that of the columns of a thinned line, in CSS pixels.
	columnWidth = 3
)

// The looks of lines. Colours and dashes repeat after five, shapes after four,
// so that the MaxLines of a panel all differ. The second is the one of a line
// that is alone, and of the new of two.
var (
	colors = []drawing.Color{
		drawing.ColorFromHex("d55e00"), // vermilion
		drawing.ColorFromHex("0072b2"), // blue
		drawing.ColorFromHex("009e73"), // bluish green
		drawing.ColorFromHex("cc79a7"), // reddish purple
		drawing.ColorFromHex("000000"), // black
	}
	dashes = [][]float64{{14, 8}, nil, {4, 6}, {20, 6, 4, 6}, {30, 10}}
	shapes = []shape{square, circle, triangle, diamond}
)

type shape int

const (
	square shape = iota
	circle
	triangle
	diamond
)

// look is what tells a line from the others.
type look struct {
	color drawing.Color
	dash  []float64
	shape shape
}

// look returns the look of line number i of the panel.
func (p Panel) look(i int) look {
	if len(p.Lines) == 1 {
		i = 1
	}
	return look{colors[i%len(colors)], dashes[i%len(dashes)], shapes[i%len(shapes)]}
}

// key draws the piece of line that stands for it in a legend.
func (l look) key(r chartdraw.Renderer, x, y int) {
	l.style().WriteDrawingOptionsToRenderer(r)
	r.MoveTo(x, y)
	r.LineTo(x+keyLength, y)
	r.Stroke()
	l.mark(r, x+keyLength/2, y)
}

func (l look) style() chartdraw.Style {
	return chartdraw.Style{StrokeColor: l.color, StrokeWidth: lineWidth, StrokeDashArray: l.dash}
}

// mark draws a marker; squares and their like are hollow, so that the two lines
// of a comparison differ where they cross.
func (l look) mark(r chartdraw.Renderer, x, y int) {
	fill := l.color
	if l.shape == square || l.shape == diamond {
		fill = ground
	}
	chartdraw.Style{StrokeColor: l.color, StrokeWidth: scale, FillColor: fill}.WriteDrawingOptionsToRenderer(r)
	const a = markRadius
	switch l.shape {
	case circle:
		r.Circle(a, x, y)
	case square:
		polygon(r, x-a, y-a, x+a, y-a, x+a, y+a, x-a, y+a)
	case triangle:
		polygon(r, x, y-a-1, x+a+1, y+a, x-a-1, y+a)
	case diamond:
		polygon(r, x, y-a-2, x+a+2, y, x, y+a+2, x-a-2, y)
	}
	r.FillStroke()
}

func polygon(r chartdraw.Renderer, corners ...int) {
	r.MoveTo(corners[0], corners[1])
	for i := 2; i < len(corners); i += 2 {
		r.LineTo(corners[i], corners[i+1])
	}
	r.Close()
}

// trace is a line as the library draws it. It implements chartdraw.Series.
type trace struct {
	look
	runs []run
	// marked says that every point has a marker, not only those that stand alone.
	marked bool
}

func (trace) GetName() string               { return "" }
func (trace) GetYAxis() chartdraw.YAxisType { return chartdraw.YAxisSecondary }
func (trace) GetStyle() chartdraw.Style     { return chartdraw.Style{} }
func (trace) Validate() error               { return nil }

// Render implements chartdraw.Series.
func (t trace) Render(r chartdraw.Renderer, box chartdraw.Box, x, y chartdraw.Range, _ chartdraw.Style) {
	for _, run := range t.runs {
		if len(run.x) > 1 {
			chartdraw.Draw.LineSeries(r, box, x, y, t.style(), run)
		}
		if !t.marked && len(run.x) > 1 {
			continue
		}
		for i := range run.x {
			t.mark(r, box.Left+x.Translate(run.x[i]), box.Bottom-y.Translate(run.y[i]))
		}
	}
}

// band is what a thinned line spans.
type band trace

func (band) GetName() string               { return "" }
func (band) GetYAxis() chartdraw.YAxisType { return chartdraw.YAxisSecondary }
func (band) GetStyle() chartdraw.Style     { return chartdraw.Style{} }
func (band) Validate() error               { return nil }

// Render implements chartdraw.Series.
func (b band) Render(r chartdraw.Renderer, box chartdraw.Box, x, y chartdraw.Range, _ chartdraw.Style) {
	style := chartdraw.Style{FillColor: b.color.WithAlpha(64), StrokeColor: b.color.WithAlpha(112), StrokeWidth: scale / 2}
	for _, run := range b.runs {
		if run.low != nil {
			chartdraw.Draw.BoundedSeries(r, box, x, y, style, run)
		}
	}
}

// Len implements chartdraw.ValuesProvider.
func (r run) Len() int { return len(r.x) }

// GetValues implements chartdraw.ValuesProvider.
func (r run) GetValues(i int) (x, y float64) { return r.x[i], r.y[i] }

// GetBoundedValues implements chartdraw.BoundedValuesProvider.
func (r run) GetBoundedValues(i int) (x, y1, y2 float64) { return r.x[i], r.low[i], r.high[i] }
