package plot

import (
	"bytes"
	"fmt"
	"strings"
)

// finishSVG gives the library's drawing a head that scales with its container
// and speaks to screen readers.
func finishSVG(drawn []byte, s size, title, description string) ([]byte, error) {
	head, body, ok := bytes.Cut(drawn, []byte(">"))
	if !ok || !bytes.HasPrefix(head, []byte("<svg ")) {
		return nil, fmt.Errorf("draw figure: not an SVG: %.40q", drawn)
	}
	// Not encoding/xml: its start-up work would be paid by every command.
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="%d" height="%d" viewBox="0 0 %d %d" style="max-width:100%%;height:auto">`,
		s.w/scale, s.h/scale, s.w, s.h)
	for _, e := range [][2]string{{"title", title}, {"desc", description}} {
		b.WriteString("\n<" + e[0] + ">" + escape.Replace(e[1]) + "</" + e[0] + ">")
	}
	b.WriteByte('\n')
	b.Write(bytes.ReplaceAll(body, []byte("/><"), []byte("/>\n<")))
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// name is what the figure is called where it can't be seen.
func (f Figure) name() string {
	if f.Title != "" {
		return printable(f.Title)
	}
	titles := make([]string, len(f.Panels))
	for i, p := range f.Panels {
		titles[i] = printable(p.Title)
	}
	return strings.Join(titles, ", ")
}

// describe says in words what the lines show.
func (f Figure) describe() string {
	var b strings.Builder
	for i, p := range f.Panels {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(printable(p.Title) + ":")
		for j, l := range p.Lines {
			if j > 0 {
				b.WriteString(";")
			}
			b.WriteString(" " + printable(l.Name) + " " + l.describe())
		}
		b.WriteString(".")
	}
	return b.String()
}

func (l Line) describe() string {
	var first, last, low, high float64
	n, gaps := 0, 0
	for i, y := range l.Y {
		if !finite(l.X[i]) || !finite(y) {
			gaps++
			continue
		}
		if n == 0 {
			first, low, high = y, y, y
		}
		last, low, high = y, min(low, y), max(high, y)
		n++
	}
	text := "without a point"
	switch {
	case n == 1:
		text = "one point, " + short(first)
	case n > 1:
		text = fmt.Sprintf("%d points from %s to %s, between %s and %s", n, short(first), short(last), short(low), short(high))
	}
	if gaps > 0 {
		text += fmt.Sprintf(", %d not finite", gaps)
	}
	return text
}

func short(v float64) string { return fmt.Sprintf("%.4g", v) }
