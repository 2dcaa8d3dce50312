package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/lockfile"
)

// wave is a line of n points, so noisy that no two neighbours are alike.
func wave(name string, n int) Line {
	l := Line{Name: name}
	for i := range n {
		l.X = append(l.X, float64(i))
		l.Y = append(l.Y, math.Exp(-float64(i)/float64(n))+0.1*math.Sin(float64(i*i)))
	}
	return l
}

func figure(lines ...Line) Figure {
	return Figure{Title: "main → head", Panels: []Panel{{Title: "train.loss", XLabel: "step", Lines: lines}}}
}

func mustSVG(t *testing.T, f Figure) string {
	t.Helper()
	svg, err := f.SVG()
	if err != nil {
		t.Fatal(err)
	}
	return string(svg)
}

func TestBothFormats(t *testing.T) {
	nan := math.NaN()
	grid := Figure{Title: "many"}
	for i := range MaxPanels {
		grid.Panels = append(grid.Panels, Panel{Title: fmt.Sprint("metric ", i), Lines: []Line{wave("old", 20), wave("new", 3)}})
	}
	lines := make([]Line, MaxLines)
	for i := range lines {
		lines[i] = wave(fmt.Sprint("run ", i), 10)
	}
	tests := []struct {
		name string
		f    Figure
		w, h int // of the PNG
	}{
		{"two lines", figure(wave("old", 50), wave("new", 50)), 1544, 836},
		{"one point", figure(wave("new", 1)), 1544, 796},
		{"untitled", Figure{Panels: []Panel{{Lines: []Line{wave("", 2)}}}}, 1544, 744},
		{"grid", grid, 2124, 2116},
		{"no finite value", figure(Line{Name: "a", X: []float64{1, nan}, Y: []float64{nan, 1}}), 1544, 796},
		{"one side is empty", figure(Line{Name: "old"}, wave("new", 5)), 1544, 836},
		{"most lines", figure(lines...), 1544, 876},
		{"largest numbers", figure(Line{X: []float64{-math.MaxFloat64, math.MaxFloat64}, Y: []float64{-math.MaxFloat64, math.MaxFloat64}}), 1544, 796},
		{"smallest numbers", figure(Line{X: []float64{0, 1}, Y: []float64{0, 5e-324}}), 1544, 796},
		{"largest twice", figure(Line{X: []float64{0, 1}, Y: []float64{math.MaxFloat64, math.MaxFloat64}}), 1544, 796},
		{"neighbours", figure(Line{X: []float64{1e18, 1e18}, Y: []float64{1e15, math.Nextafter(1e15, 2e15)}}), 1544, 796},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := tt.f.PNG()
			if err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if b := img.Bounds(); b.Dx() != tt.w || b.Dy() != tt.h {
				t.Errorf("PNG has %d x %d pixels, want %d x %d", b.Dx(), b.Dy(), tt.w, tt.h)
			}
			again, err := tt.f.PNG()
			if err != nil || !bytes.Equal(again, data) {
				t.Errorf("the same figure is another PNG (%v)", err)
			}
			svg := mustSVG(t, tt.f)
			if svg != mustSVG(t, tt.f) {
				t.Error("the same figure is another SVG")
			}
			checkSVG(t, svg)
			if head := fmt.Sprintf(`width="%d" height="%d" viewBox="0 0 %d %d"`, tt.w/2, tt.h/2, tt.w, tt.h); !strings.Contains(svg, head) {
				t.Errorf("SVG begins %.200s, want %s", svg, head)
			}
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, "922337203685477") {
				t.Error("SVG has a coordinate that is none")
			}
		})
	}
}

// checkSVG fails unless an SVG consists of what draws, and nothing else.
func checkSVG(t *testing.T, svg string) (texts []string) {
	t.Helper()
	allowed := map[string][]string{
		"svg":    {"xmlns", "role", "width", "height", "viewBox", "style"},
		"title":  nil,
		"desc":   nil,
		"path":   {"d", "style", "stroke-dasharray"},
		"circle": {"cx", "cy", "r", "style"},
		"text":   {"x", "y", "style"},
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			attributes, ok := allowed[e.Name.Local]
			if !ok {
				t.Errorf("element %s", e.Name.Local)
			}
			for _, a := range e.Attr {
				if !slices.Contains(attributes, a.Name.Local) || a.Name.Space != "" {
					t.Errorf("attribute %s of %s", a.Name.Local, e.Name.Local)
				}
				if strings.ContainsAny(a.Value, "@\\") || strings.Contains(a.Value, "url") {
					t.Errorf("%s=%q of %s", a.Name.Local, a.Value, e.Name.Local)
				}
			}
		case xml.CharData:
			texts = append(texts, string(e))
		case xml.ProcInst, xml.Directive, xml.Comment:
			t.Errorf("%T in an SVG", e)
		}
	}
}

func TestHostileText(t *testing.T) {
	hostile := "</text><script>alert(1)</script>\" onload='x' ]]> &amp; \x1b[31m \u202e\u2066 \x00 \u200b \xff \ufffe \u2028 url(http://x)"
	f := Figure{Title: hostile, Panels: []Panel{{
		Title: hostile, XLabel: hostile, YLabel: hostile, XTicks: []string{"a\u202eb\x1b", hostile, "c"},
		Lines: []Line{wave(hostile, 3), wave(hostile+"2", 3)},
	}}}
	all := strings.Join(checkSVG(t, mustSVG(t, f)), "\n")
	for _, r := range all {
		if r != '\n' && printable(string(r)) != string(r) {
			t.Errorf("%q came through", r)
		}
	}
	for _, want := range []string{`</text><script>alert(1)</script>" onload='x' ]]> &amp; \x1b[31m \u202e\u2066 \x00 \u200b \xff \ufffe \u2028`, `a\u202eb\x1b`} {
		if !strings.Contains(all, want) {
			t.Errorf("no text %q in %q", want, all)
		}
	}
	if _, err := f.PNG(); err != nil {
		t.Error(err)
	}
}

func TestLongText(t *testing.T) {
	long := strings.Repeat("very-", 100_000) + "long"
	f := Figure{Title: long, Panels: []Panel{{Title: long, YLabel: long, XLabel: "step", XTicks: []string{long, long},
		Lines: []Line{wave(long, 2), wave("b"+long, 2)}}}}
	svg := mustSVG(t, f)
	if len(svg) > 20_000 {
		t.Errorf("SVG has %d bytes", len(svg))
	}
	if !strings.Contains(svg, "very-very-"+ellipsis) && !strings.Contains(svg, ellipsis+"</text>") {
		t.Error("no text was cut with an ellipsis")
	}
}

// coloured counts the pixels of a PNG that have exactly a colour.
func coloured(t *testing.T, f Figure, c color.Color) (n int) {
	t.Helper()
	data, err := f.PNG()
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	wr, wg, wb, _ := c.RGBA()
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if r, g, b, _ := img.At(x, y).RGBA(); r == wr && g == wg && b == wb {
				n++
			}
		}
	}
	return n
}

func TestLinesAreDrawn(t *testing.T) {
	both := figure(wave("old", 50), wave("new", 50))
	for i, c := range colors[:2] {
		if n := coloured(t, both, c); n < 1000 {
			t.Errorf("line %d has %d pixels", i, n)
		}
	}
	alone := figure(wave("new", 1))
	if n := coloured(t, alone, colors[1]); n < 50 {
		t.Errorf("a single point has %d pixels", n)
	}
	if n := coloured(t, alone, colors[0]); n > 0 {
		t.Errorf("a line that is not there has %d pixels", n)
	}
}

func TestTwoLinesDifferWithoutColour(t *testing.T) {
	looks := map[string]bool{}
	p := Panel{Lines: make([]Line, MaxLines)}
	for i := range p.Lines {
		l := p.look(i)
		looks[fmt.Sprint(l.dash, l.shape)] = true
	}
	if len(looks) != MaxLines {
		t.Errorf("%d of %d lines differ in dash or marker", len(looks), MaxLines)
	}
	svg := mustSVG(t, figure(wave("old", 200), wave("new", 200)))
	for _, line := range strings.Split(svg, "<path") {
		if strings.Count(line, "L ") < 100 {
			continue
		}
		isOld := strings.Contains(line, colors[0].String())
		if isDashed := strings.Contains(line, "stroke-dasharray"); isDashed != isOld {
			t.Errorf("old %v, dashed %v", isOld, isDashed)
		}
	}
}

func TestGaps(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	l := Line{Name: "a", X: []float64{0, 1, 2, 3, 4, 5, nan, 7}, Y: []float64{1, 2, nan, 3, inf, 4, 5, 6}}
	runs := l.trace(newFrame(Panel{Lines: []Line{l}}), 100, 100)
	var got []int
	for _, r := range runs {
		got = append(got, len(r.x))
	}
	// What has no place at all (X is nan) parts nothing.
	if want := []int{2, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("runs of %v points, want %v", got, want)
	}
	svg := mustSVG(t, figure(l))
	if n := strings.Count(svg, "<circle"); n != 5 {
		t.Errorf("%d markers, want 5", n)
	}
	for _, want := range []string{">3 not finite<", "a 5 points from 1 to 6, between 1 and 6, 3 not finite."} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in the SVG", want)
		}
	}
}

func TestThinningKeepsExtremes(t *testing.T) {
	l := wave("loss", 100_000)
	l.Y[31_415], l.Y[92_653] = 40, -40
	f := newFrame(Panel{Lines: []Line{l}})
	runs := l.trace(f, 700, 230)
	if len(runs) != 1 || len(runs[0].x) > 231 || !slices.IsSorted(runs[0].x) {
		t.Fatalf("%d runs, the first of %d points", len(runs), len(runs[0].x))
	}
	r := runs[0]
	for _, extreme := range []struct {
		at   int
		want float64
		got  float64
		x    float64
	}{
		{31_415, f.y.share(40), slices.Max(r.high), r.x[slices.Index(r.high, slices.Max(r.high))]},
		{92_653, f.y.share(-40), slices.Min(r.low), r.x[slices.Index(r.low, slices.Min(r.low))]},
	} {
		if extreme.got != extreme.want {
			t.Errorf("extreme %v, want %v", extreme.got, extreme.want)
		}
		if d := math.Abs(extreme.x - f.x.share(float64(extreme.at))); d > 1.0/230 {
			t.Errorf("extreme is %v beside its place", d)
		}
	}
	for i := range r.x {
		if r.y[i] < r.low[i] || r.y[i] > r.high[i] {
			t.Fatalf("mean %v is outside %v to %v", r.y[i], r.low[i], r.high[i])
		}
	}
	if svg := mustSVG(t, figure(l)); !strings.Contains(svg, "band from lowest to highest") || len(svg) > 30_000 {
		t.Errorf("SVG has %d bytes", len(svg))
	}
}

// Thinning bounds the work whatever the points are: here every other one is a gap.
func TestThinningWithGaps(t *testing.T) {
	l := wave("loss", 100_000)
	for i := range l.Y {
		if i%2 == 1 || i > 40_000 && i < 60_000 {
			l.Y[i] = math.NaN()
		}
	}
	runs := l.trace(newFrame(Panel{Lines: []Line{l}}), 700, 230)
	if len(runs) != 2 {
		t.Errorf("%d runs, want the two around the wide gap", len(runs))
	}
	svg := mustSVG(t, figure(l))
	if len(svg) > 30_000 {
		t.Errorf("SVG has %d bytes", len(svg))
	}
}

func TestUnsortedIsSorted(t *testing.T) {
	l := Line{X: []float64{3, 1, 2}, Y: []float64{30, 10, 20}}
	runs := l.trace(newFrame(Panel{Lines: []Line{l}}), 100, 100)
	if len(runs) != 1 || !slices.IsSorted(runs[0].x) || !slices.IsSorted(runs[0].y) {
		t.Errorf("got %v", runs)
	}
}

// The largest figure: 2.4 million points.
func BenchmarkFigure(b *testing.B) {
	f := Figure{}
	for range MaxPanels {
		f.Panels = append(f.Panels, Panel{Lines: []Line{wave("old", 100_000), wave("new", 100_000)}})
	}
	for name, write := range map[string]func() ([]byte, error){"svg": f.SVG, "png": f.PNG} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := write(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	var limit *LimitError
	tests := []struct {
		name string
		f    Figure
		ok   func(error) bool
	}{
		{"no panel", Figure{}, func(err error) bool { return errors.Is(err, ErrEmpty) }},
		{"no point", figure(Line{Name: "a"}), func(err error) bool { return errors.Is(err, ErrEmpty) }},
		{"13 panels", Figure{Panels: make([]Panel, 13)}, func(err error) bool { return errors.As(err, &limit) && limit.N == 13 }},
		{"9 lines", figure(make([]Line, 9)...), func(err error) bool { return errors.As(err, &limit) && limit.N == 9 }},
		{"no Y", figure(Line{X: []float64{1}}), func(err error) bool { return err != nil && strings.Contains(err.Error(), "1 X and 0 Y") }},
	}
	for _, tt := range tests {
		if _, err := tt.f.SVG(); !tt.ok(err) {
			t.Errorf("%s: SVG: %v", tt.name, err)
		}
		if _, err := tt.f.PNG(); !tt.ok(err) {
			t.Errorf("%s: PNG: %v", tt.name, err)
		}
	}
}

func TestTicks(t *testing.T) {
	tests := []struct {
		low, high float64
		n         int
		whole     bool
		want      string
	}{
		{0, 1, 5, false, "0 0.2 0.4 0.6 0.8 1.0"},
		{0.15, 1.35, 6, false, "0.2 0.4 0.6 0.8 1.0 1.2"},
		{-3, 4, 4, true, "-2 0 2 4"},
		{0, 2, 8, true, "0 1 2"},
		{0, 5_000, 5, true, "0 1000 2000 3000 4000 5000"},
		{0, 2e7, 4, true, "0 5e6 1e7 1.5e7 2e7"},
		{0.0001, 0.0005, 4, false, "1e-4 2e-4 3e-4 4e-4 5e-4"},
		{0.91, 0.9102, 2, false, "0.9100 0.9101 0.9102"},
		{-math.MaxFloat64, math.MaxFloat64, 4, false, "-1e308 0 1e308"},
		{1e15, 1e15 + 2, 2, false, "1e15 1.000000000000001e15 1.000000000000002e15"},
	}
	for _, tt := range tests {
		var got []string
		for _, tick := range (span{tt.low, tt.high}).ticks(tt.n, tt.whole) {
			got = append(got, tick.Label)
			if tick.Value < 0 || tick.Value > 1 {
				t.Errorf("tick %s of %v to %v is at %v", tick.Label, tt.low, tt.high, tick.Value)
			}
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("ticks of %v to %v: %s, want %s", tt.low, tt.high, got, tt.want)
		}
	}
}

func TestNamedTicks(t *testing.T) {
	p := Panel{Title: "history", Lines: []Line{wave("accuracy", 2000)}}
	for i := range 2000 {
		p.XTicks = append(p.XTicks, fmt.Sprintf("%07x", i))
	}
	texts := checkSVG(t, mustSVG(t, Figure{Panels: []Panel{p}}))
	n := 0
	for _, text := range texts {
		if len(text) == 7 && strings.HasPrefix(text, "000") {
			n++
		}
	}
	if n < 5 || n > 12 || !slices.Contains(texts, "00007cf") {
		t.Errorf("%d names, the last one is among them: %v", n, slices.Contains(texts, "00007cf"))
	}
}

func TestCurves(t *testing.T) {
	old := []lockfile.Point{{Step: 0, Value: int64(3)}, {Step: 10, Value: 2.5}, {Step: 20, Value: math.NaN()}}
	f := Curves("main → head", "main", "head", []Metric{{Name: "train.loss", Old: old}})
	if len(f.Panels) != 1 || len(f.Panels[0].Lines) != 2 {
		t.Fatalf("got %+v", f)
	}
	l := f.Panels[0].Lines[0]
	if l.Name != "main" || !slices.Equal(l.X, []float64{0, 10, 20}) || l.Y[0] != 3 || l.Y[1] != 2.5 || !math.IsNaN(l.Y[2]) {
		t.Errorf("old line %+v", l)
	}
	if l := f.Panels[0].Lines[1]; l.Name != "head" || len(l.X) != 0 {
		t.Errorf("new line %+v", l)
	}
	mustSVG(t, f)

	many := Curves("main → head", "main", "head", slices.Repeat([]Metric{{Name: "a", Old: old}}, 30))
	if want := "main → head (12 of 30 metrics)"; many.Title != want || len(many.Panels) != MaxPanels {
		t.Errorf("title %q of %d panels, want %q", many.Title, len(many.Panels), want)
	}
}
