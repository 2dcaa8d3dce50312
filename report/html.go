package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/kept-dev/kept/core/metrics"
)

//go:embed html.css
var style string

// HTML writes the reviews as one page without scripts that loads nothing, for a
// light or a dark screen, a phone and paper.
//
// Text of the repository goes through visible and markup, into content and
// attributes in double quotes only. A content security policy allows the one
// style sheet, by its hash, and pictures that are in the page; the pictures of
// curves are images and no part of the document, so that nothing in them can
// become markup or run.
func HTML(w io.Writer, reviews []*Review, o Options) error {
	p := &page{options: o}
	reviews = worstFirst(reviews)
	p.document(reviews)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// page collects the text. Only its methods h and t write: h takes markup of this
// file, t text of anybody.
type page struct {
	b       strings.Builder
	options Options
}

// h writes markup. The arguments are numbers and constants of this file.
func (p *page) h(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

// t writes text.
func (p *page) t(text string) { p.b.WriteString(markup(text)) }

// code writes a name, a path or a value.
func (p *page) code(text string) {
	p.h("<code>")
	p.t(shown(text))
	p.h("</code>")
}

func (p *page) document(reviews []*Review) {
	verdict, details := headline(reviews)
	hash := sha256.Sum256([]byte(style))
	p.h("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
	p.h("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action 'none'\">\n",
		base64.StdEncoding.EncodeToString(hash[:]))
	p.h("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n")
	p.h("<title>kept: %s</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n", verdict, style)
	p.header(reviews)
	p.banner(reviews, verdict, details)
	for _, r := range reviews {
		p.experiment(r, len(reviews) > 1)
	}
	p.reproduce(reviews)
	p.h("<footer>")
	p.t("Written by kept " + shown(cmp.Or(p.options.Version, "devel")))
	p.h("</footer>\n</main>\n</body>\n</html>\n")
}

func (p *page) header(reviews []*Review) {
	p.h("<header><span class=\"brand\">kept</span>")
	if len(reviews) > 0 {
		r := reviews[0]
		p.h(" <span class=\"sides\">")
		if !r.alone() {
			p.code(revisionText(r.Old))
			p.h(" → ")
		}
		p.code(revisionText(r.New))
		if r.BaseNote != "" {
			p.t(" · " + sentence(r.BaseNote))
		}
		p.h("</span>")
	}
	p.h("</header>\n")
}

// A tone is a class of the style sheet; what it says, a word says too.
var tones = [...]string{metrics.Passed: "good", metrics.Accepted: "warn", metrics.Warned: "warn", metrics.Inconclusive: "warn", metrics.Failed: "bad"}

// The signs of the banner: a tick, a cross, an exclamation mark, two arrows.
var signs = map[string]string{
	"good": `<circle cx="20" cy="20" r="20" fill="#1a7f4b"/><path d="M11.5 20.5l6 6 11-12.5" fill="none" stroke="#fff" stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/>`,
	"bad":  `<circle cx="20" cy="20" r="20" fill="#c4314b"/><path d="M13.5 13.5l13 13m0-13l-13 13" fill="none" stroke="#fff" stroke-width="3.5" stroke-linecap="round"/>`,
	"warn": `<circle cx="20" cy="20" r="20" fill="#b87503"/><path d="M20 10.5v12m0 6v.5" fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round"/>`,
	"":     `<circle cx="20" cy="20" r="20" fill="#3b5bdb"/><path d="M11 16h17m-5-5l5 5-5 5M29 25H12m4 4l-4-4 4-4" fill="none" stroke="#fff" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round"/>`,
}

func (p *page) banner(reviews []*Review, verdict, details string) {
	tone := ""
	if worst, judged := status(reviews); judged {
		tone = tones[worst]
		if worst == metrics.Accepted {
			tone = "good"
		}
	}
	p.h("<section class=\"banner %s\"><svg viewBox=\"0 0 40 40\" aria-hidden=\"true\">%s</svg><div><h1>", tone, signs[tone])
	p.t(strings.ToUpper(verdict[:1]) + verdict[1:])
	p.h("</h1>")
	if details != "" {
		p.h("<p>")
		p.t(details)
		p.h("</p>")
	}
	p.h("</div></section>\n")
}

func (p *page) experiment(r *Review, several bool) {
	if several {
		verdict, details := headline([]*Review{r})
		p.h("<h2>")
		p.code(experimentName(r))
		p.h(" <small>")
		p.t(strings.TrimSuffix(verdict+" · "+details, " · "))
		p.h("</small></h2>\n")
	}
	all := metricsOf(r)
	n := 0
	for n < len(all) && all[n].rank() != rankOfUnchanged {
		n++
	}
	largest := largestShare(all)
	if n > 0 {
		p.h("<div class=\"sheet\">")
		p.metrics(all[:n], columnsOf(r), largest)
		p.h("</div>\n")
	}
	p.remarks(r)
	p.curves(r)
	if n < len(all) {
		p.fold(plural(len(all)-n, "unchanged metric"), "")
		p.metrics(all[n:], columnsOf(r), largest)
		p.h("</details>\n")
	}
	for _, g := range groups {
		if entries := g.entries([]*Review{r}); len(entries) > 0 {
			p.fold(plural(len(entries), g.noun), columnsOf(r).changed())
			p.entries(entries, columnsOf(r))
			p.h("</details>\n")
		}
	}
	p.patches(r.Patches)
}

// patches writes the lines of code, each file in a block of its own.
func (p *page) patches(patches []Patch) {
	if len(patches) == 0 {
		return
	}
	p.fold(plural(len(patches), "file")+" of code", "line by line")
	for _, patch := range patches {
		p.h("<p class=\"file\">%s</p>\n", patchTitle(patch,
			func(s string) string { return "<code>" + markup(shown(s)) + "</code>" },
			func(s string) string { return markup(sentence(s)) }))
		lines := patchLines(patch)
		if len(lines) == 0 {
			continue
		}
		p.h("<pre><code>")
		for _, l := range lines {
			tag := map[byte]string{'+': "ins", '-': "del"}[l.Op]
			if tag == "" {
				tag = "span"
			}
			p.h("<%s>", tag)
			p.t(string(l.Op) + l.Text)
			p.h("</%s>\n", tag)
		}
		p.h("</code></pre>\n")
	}
	p.h("</details>\n")
}

// fold opens a folded part; the caller closes it.
func (p *page) fold(title, what string) {
	p.h("<details><summary>%s <small>%s</small></summary>\n", title, what)
}

// largestShare is what a full bar stands for.
func largestShare(all []metric) float64 {
	largest := 0.0
	for _, m := range all {
		if m.delta != nil && !math.IsNaN(m.delta.Relative) && !math.IsInf(m.delta.Relative, 0) {
			largest = max(largest, math.Abs(m.delta.Relative))
		}
	}
	return largest
}

func (p *page) metrics(all []metric, c columns, largest float64) {
	p.h("<table class=\"metrics\"><thead><tr><th>metric</th>")
	for _, title := range c.sides() {
		p.h("<th class=\"number\">%s</th>", title)
	}
	if c.compares() {
		p.h("<th>change</th>")
	}
	if c.gate {
		p.h("<th>gate</th>")
	}
	p.h("</tr></thead><tbody>\n")
	for _, m := range all {
		p.h("<tr><td>")
		p.t(shown(m.name()))
		switch m.better {
		case metrics.Higher:
			p.h(" <span title=\"higher is better\">↑</span>")
		case metrics.Lower:
			p.h(" <span title=\"lower is better\">↓</span>")
		}
		if c.compares() {
			p.h("</td><td class=\"number old\" data-label=\"%s\">", c.old)
			p.t(cmp.Or(shown(m.old), "–"))
		}
		p.h("</td><td class=\"number\" data-label=\"%s\">", c.new)
		p.t(cmp.Or(shown(m.new), "–"))
		p.h("</td>")
		if c.compares() {
			p.h("<td class=\"delta\">")
			p.change(m, largest)
			p.h("</td>")
		}
		if c.gate {
			p.h("<td class=\"gate\">")
			p.gate(m.finding)
			p.h("</td>")
		}
		p.h("</tr>\n")
	}
	p.h("</tbody></table>\n")
}

// change writes the difference and its bar: to the right where the number rose,
// as long as its share of the largest change.
func (p *page) change(m metric, largest float64) {
	class := [...]string{"worse", "same", "better"}[m.verdict()+1]
	p.h("<span class=\"%s\">", class)
	p.t(m.change())
	p.h("</span>")
	if m.delta == nil || m.delta.Absolute == 0 || !(largest > 0) || math.IsNaN(m.delta.Relative) || math.IsInf(m.delta.Relative, 0) {
		return
	}
	length := max(100*math.Abs(m.delta.Relative)/largest, 1.5)
	x := 100.0
	if m.delta.Absolute < 0 {
		x -= length
	}
	p.h("<svg viewBox=\"0 0 200 6\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"rail\" width=\"200\" height=\"6\"/><rect class=\"%s\" x=\"%.1f\" width=\"%.1f\" height=\"6\"/><rect class=\"zero\" x=\"99.5\" width=\"1\" height=\"6\"/></svg>",
		class, x, length)
}

func (p *page) gate(f *metrics.Finding) {
	if f == nil {
		p.h("<span class=\"pill\">no rule</span>")
		return
	}
	p.h("<span class=\"pill %s\">%s</span>", tones[f.Status], f.Status)
	if f.Status == metrics.Passed {
		return
	}
	for _, why := range []string{sentence(reason(f)), noiseText(f.Noise)} {
		if why != "" {
			p.h("<p class=\"why\">")
			p.t(why)
			p.h("</p>")
		}
	}
}

func (p *page) remarks(r *Review) {
	var b page
	for _, s := range r.Stages {
		if s.Fate == Added || s.Fate == Removed {
			b.h("<li>stage ")
			b.code(s.Name)
			b.h(" is %s</li>\n", map[Fate]string{Added: "new", Removed: "gone"}[s.Fate])
		}
	}
	if r.Verdict != nil {
		for _, a := range r.Verdict.Unused {
			b.h("<li>line %d of kept.toml accepts ", a.Line)
			b.code(a.Metric)
			b.h(", and nothing needs it any more: remove it</li>\n")
		}
	}
	if b.b.Len() > 0 {
		p.h("<ul class=\"remarks\">\n%s</ul>\n", b.b.String())
	}
}

func (p *page) curves(r *Review) {
	if p.options.Draw == nil || len(r.Curves) == 0 {
		return
	}
	var b page
	for _, c := range r.Curves {
		picture, err := p.options.Draw([]Curve{c})
		if err != nil || len(picture) == 0 {
			continue
		}
		name := shown(metrics.Name(c.Stage, c.Key))
		b.h("<figure><figcaption>")
		b.t(name)
		b.h("</figcaption><img alt=\"")
		b.t("curve of " + name + " by step")
		b.h("\" src=\"data:image/svg+xml;base64,%s\"></figure>\n", base64.StdEncoding.EncodeToString(picture))
	}
	if b.b.Len() > 0 {
		p.h("<div class=\"curves\">\n%s</div>\n", b.b.String())
	}
}

func (p *page) entries(entries []entry, c columns) {
	p.h("<table class=\"rows\"><thead><tr><th>stage</th><th>name</th><th>%s</th></tr></thead><tbody>\n", strings.Join(c.sides(), "</th><th>"))
	for _, e := range entries {
		p.entry(e.stage, e.Row, "", c)
		for _, inner := range e.Rows {
			p.entry("", inner, "inner", c)
		}
	}
	p.h("</tbody></table>\n")
}

func (p *page) entry(stage string, r Row, class string, c columns) {
	p.h("<tr class=\"%s\"><td>", class)
	p.t(shown(stage))
	p.h("</td><td>")
	if r.Name != "" {
		p.code(r.Name)
	}
	if r.Fate != Changed {
		p.h(" <span class=\"pill\">%s</span>", fateWords[r.Fate])
	}
	if c.compares() {
		p.h("</td><td class=\"old\" data-label=\"%s\">", c.old)
		p.side(r.Old)
	}
	p.h("</td><td data-label=\"%s\">", c.new)
	p.side(r.New)
	p.h("</td></tr>\n")
}

func (p *page) side(text string) {
	if text == "" {
		p.h("–")
		return
	}
	p.code(text)
}

func (p *page) reproduce(reviews []*Review) {
	commands := reproduceCommands(reviews)
	if commands == "" {
		return
	}
	p.fold("Reproduce", "")
	p.h("<pre><code>")
	p.t(commands)
	p.h("</code></pre></details>\n")
}
