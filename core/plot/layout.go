package plot

import (
	"fmt"
	"math"
	"strings"

	"github.com/go-analyze/charts/chartdraw"
	"github.com/go-analyze/charts/chartdraw/drawing"
)

// The library places everything on whole units, so a unit is half a CSS pixel.
const (
	scale = 2
	dpi   = 72 * scale // a point of a font size is one CSS pixel
)

// Sizes, in units.
const (
	margin      = 12 * scale
	lineHeight  = 20 * scale
	titleHeight = 26 * scale
	keyLength   = 30 * scale // of the piece of line in a legend
)

// Font sizes, in CSS pixels.
const (
	fontTitle  = 16
	fontPanel  = 13
	fontLegend = 12
	fontAxis   = 11
)

var (
	ground  = drawing.ColorWhite
	ink     = drawing.ColorFromHex("1f2328")
	softInk = drawing.ColorFromHex("59636e")
	axisInk = drawing.ColorFromHex("8c959f")
	gridInk = drawing.ColorFromHex("e4e8ec")
)

// size is of a canvas, place a corner on it; both in units.
type (
	size  struct{ w, h int }
	place struct{ x, y int }
)

// sheet is how the panels of a figure share the canvas.
type sheet struct {
	size    size // of all
	panel   size
	columns int
	top     int  // of the first panel
	shared  bool // one legend for all panels
	noted   bool // there is something to say of a panel
}

// sheet lays out a figure: one panel is wide, two to four stand in two columns,
// more in three.
func (f Figure) sheet() sheet {
	s := sheet{columns: 1, panel: size{760 * scale, 360 * scale}, shared: f.sharesLegend()}
	switch n := len(f.Panels); {
	case n > 4:
		s.columns, s.panel = 3, size{350 * scale, 250 * scale}
	case n > 1:
		s.columns, s.panel = 2, size{450 * scale, 290 * scale}
	}
	for _, p := range f.Panels {
		s.noted = s.noted || len(p.notes(s)) > 0
	}
	s.size.w = s.columns*s.panel.w + margin
	s.top = margin / 2
	if f.Title != "" {
		s.top += titleHeight
	}
	if s.shared {
		s.top += legendHeight(f.Panels[0], s.size.w)
	}
	s.size.h = s.top + rows(len(f.Panels), s.columns)*s.panel.h + margin/2
	return s
}

func (s sheet) cell(i int) place {
	return place{margin/2 + i%s.columns*s.panel.w, s.top + i/s.columns*s.panel.h}
}

// sharesLegend reports whether the same names stand for the same lines everywhere.
func (f Figure) sharesLegend() bool {
	first := f.Panels[0].Lines
	if len(first) < 2 {
		return false
	}
	for _, p := range f.Panels[1:] {
		if len(p.Lines) != len(first) {
			return false
		}
		for i, l := range p.Lines {
			if l.Name != first[i].Name {
				return false
			}
		}
	}
	return true
}

// drawHead draws the title and a legend that all panels share.
func (f Figure) drawHead(r chartdraw.Renderer, s sheet) {
	y := margin / 2
	if f.Title != "" {
		drawText(r, printable(f.Title), place{margin, y + titleHeight*3/4}, s.size.w-2*margin, fontTitle, ink)
		y += titleHeight
	}
	if s.shared {
		drawLegend(r, f.Panels[0], place{margin, y}, s.size.w-2*margin)
	}
}

// drawText draws as much of a printable text as fits into width, and returns how wide that is.
func drawText(r chartdraw.Renderer, text string, at place, width int, font float64, color drawing.Color) (drawn int) {
	textStyle(font, color).WriteToRenderer(r)
	// An SVG is shown in another font where there is no Roboto: some are wider.
	text = fit(r, text, width*6/7)
	r.Text(text, at.x, at.y)
	return r.MeasureText(text).Width()
}

func textStyle(size float64, color drawing.Color) chartdraw.Style {
	return chartdraw.Style{FontStyle: chartdraw.FontStyle{FontSize: size, FontColor: color, Font: chartdraw.GetDefaultFont()}}
}

// keyWidth is the room of a line in a legend, if there is that much.
const keyWidth = 160 * scale

// legendHeight is how high the legend of a panel is when it is so wide.
func legendHeight(p Panel, width int) int {
	return rows(len(p.Lines), max((width-margin)/keyWidth, 1)) * lineHeight
}

func rows(n, columns int) int { return (n + columns - 1) / columns }

// drawLegend draws a piece of each line with its name, in as many rows as they need.
func drawLegend(r chartdraw.Renderer, p Panel, at place, width int) {
	columns := max((width-margin)/keyWidth, 1)
	each := (width - margin) / min(columns, max(len(p.Lines), 1))
	x := at.x
	for i, l := range p.Lines {
		if i%columns == 0 && i > 0 {
			x, at.y = at.x, at.y+lineHeight
		}
		y := at.y + lineHeight/2
		p.look(i).key(r, x, y)
		drawn := drawText(r, printable(l.Name), place{x + keyLength + 6*scale, y + 4*scale}, each-keyLength-20*scale, fontLegend, ink)
		if len(p.Lines) > columns {
			x += each
		} else {
			x += keyLength + drawn + 20*scale
		}
	}
}

// chart is the panel as the library draws it.
func (p Panel) chart(s sheet, f frame) chartdraw.Chart {
	head, top := p.head(s)
	hidden, axisStyle := chartdraw.Hidden(), textStyle(fontAxis, softInk)
	axisStyle.StrokeColor, axisStyle.StrokeWidth = axisInk, scale/2
	grid := chartdraw.Style{StrokeColor: gridInk, StrokeWidth: scale / 2}
	yTicks := f.yTicks(s)
	lines := make([]chartdraw.GridLine, len(yTicks))
	for i, t := range yTicks {
		lines[i].Value = t.Value
	}
	return chartdraw.Chart{
		Width: s.panel.w, Height: s.panel.h, DPI: dpi,
		Background: chartdraw.Style{FillColor: ground, Padding: chartdraw.Box{
			Top: top, Left: margin / 2, Right: margin, Bottom: margin / 2, IsSet: true}},
		Canvas: chartdraw.Style{FillColor: ground},
		XAxis: chartdraw.XAxis{Name: printable(p.XLabel), NameStyle: textStyle(fontAxis, softInk), Style: axisStyle,
			Range: newAxis(p.xTicks(f, s)), GridMajorStyle: hidden, GridMinorStyle: hidden},
		// The library's first Y axis is on the right, where nobody looks for one.
		YAxis: chartdraw.YAxis{Style: hidden, Range: newAxis(nil)},
		YAxisSecondary: chartdraw.YAxis{Style: axisStyle, Range: newAxis(yTicks), Zero: chartdraw.GridLine{Style: hidden},
			GridLines: lines, GridMajorStyle: grid, GridMinorStyle: hidden},
		Series:   p.series(s, f),
		Elements: []chartdraw.Renderable{head},
	}
}

// head returns what draws all that stands above the plot, and how high that is.
func (p Panel) head(s sheet) (draw chartdraw.Renderable, height int) {
	notes, width := p.notes(s), s.panel.w-margin
	height = titleHeight + 4*scale
	noteAt := titleHeight + lineHeight/2
	if s.noted {
		height += lineHeight
	}
	legendAt, ownLegend := height-lineHeight/4, !s.shared && len(p.Lines) > 1
	if ownLegend {
		height += legendHeight(p, width)
	}
	return func(r chartdraw.Renderer, _ chartdraw.Box, _ chartdraw.Style) {
		drawText(r, printable(p.Title), place{margin / 2, titleHeight * 3 / 4}, width, fontPanel, ink)
		drawText(r, strings.Join(notes, " · "), place{margin / 2, noteAt}, width, fontAxis, softInk)
		if ownLegend {
			drawLegend(r, p, place{margin / 2, legendAt}, width)
		}
	}, height
}

// notes returns what has to be said of the panel.
func (p Panel) notes(s sheet) (notes []string) {
	if p.YLabel != "" {
		notes = append(notes, printable(p.YLabel))
	}
	points, missing, banded := 0, 0, false
	for _, l := range p.Lines {
		gaps := l.missing()
		points, missing = points+len(l.X), missing+gaps
		banded = banded || len(l.X)-gaps > s.fit()
	}
	switch {
	case points == 0:
		notes = append(notes, "no points")
	case points == missing:
		notes = append(notes, "no finite value")
	case missing > 0:
		notes = append(notes, fmt.Sprintf("%d not finite", missing))
	}
	if banded {
		notes = append(notes, "mean, and band from lowest to highest")
	}
	return notes
}

// fit is the number of points that a line can have without being thinned, one
// per CSS pixel.
func (s sheet) fit() int { return s.panel.w / scale }

// series returns what the library draws between the axes: first the bands, so
// that none covers a line.
func (p Panel) series(s sheet, f frame) []chartdraw.Series {
	var bands, traces []chartdraw.Series
	for i, l := range p.Lines {
		t := trace{p.look(i), l.trace(f, s.fit(), s.fit()/columnWidth), len(l.X)*markSpacing <= s.fit()}
		bands, traces = append(bands, band(t)), append(traces, t)
	}
	// The library refuses to draw a chart without a series.
	return append(append(bands, traces...), trace{})
}

func (l Line) missing() (n int) {
	for i, y := range l.Y {
		if !finite(y) || !finite(l.X[i]) {
			n++
		}
	}
	return n
}

// xTicks returns the ticks of the X axis: numbers, or as many names as there is room for.
func (p Panel) xTicks(f frame, s sheet) []chartdraw.Tick {
	if f.empty {
		return nil
	}
	if len(p.XTicks) == 0 {
		return f.x.ticks(max(s.panel.w/(70*scale), 3), f.whole)
	}
	const most = 12 // characters of a name
	width := 0
	names := make([]string, len(p.XTicks))
	for i, name := range p.XTicks {
		if runes := []rune(printable(name)); len(runes) > most {
			names[i] = string(runes[:most-1]) + ellipsis
		} else {
			names[i] = string(runes)
		}
		width = max(width, len([]rune(names[i])))
	}
	room := max(s.panel.w*4/5/((width+2)*7*scale), 2)
	step := max((len(names)+room-1)/room, 1)
	var ticks []chartdraw.Tick
	// From the last one backwards: it is the one that everybody looks for.
	for i := len(names) - 1; i >= 0; i -= step {
		if at := f.x.share(float64(i)); at >= 0 && at <= 1 {
			ticks = append([]chartdraw.Tick{{Value: at, Label: names[i]}}, ticks...)
		}
	}
	return ticks
}

// frame is the part of the plane that a panel shows.
type frame struct {
	x, y span
	// whole says that every X is a whole number, empty that there is no point.
	whole, empty bool
}

func newFrame(p Panel) frame {
	f := frame{whole: true, empty: true}
	for _, l := range p.Lines {
		for i, x := range l.X {
			y := l.Y[i]
			if !finite(x) || !finite(y) {
				continue
			}
			if f.empty {
				f.x, f.y, f.empty = span{x, x}, span{y, y}, false
			}
			f.x = span{min(f.x.low, x), max(f.x.high, x)}
			f.y = span{min(f.y.low, y), max(f.y.high, y)}
			f.whole = f.whole && x == math.Trunc(x)
		}
	}
	if f.x.low == f.x.high && f.whole {
		f.x = span{f.x.low - 1, f.x.high + 1}
	}
	f.x, f.y = f.x.padded(0.02), f.y.padded(0.05)
	return f
}

func (f frame) yTicks(s sheet) []chartdraw.Tick {
	if f.empty {
		return nil
	}
	return f.y.ticks(s.panel.h/(36*scale), false)
}
