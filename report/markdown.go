package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// Markdown writes the reviews as one comment for GitHub or GitLab, never longer
// than Options.Limit: the verdict first, the metrics from the worst on, and the
// rest folded. Where it does not fit, the least important rows go first, and it
// says how many and where the whole is.
//
// Text of the repository appears in two ways only. A name, a path or a value is
// a code span, see code: there is no markup in it, and neither platform looks
// for mentions, references, links, emoji or formulas. A sentence, see prose, has
// its plain words as they are and everything else in code spans.
func Markdown(w io.Writer, reviews []*Review, o Options) error {
	d := newComment(worstFirst(reviews), o)
	d.fit(o.limit())
	_, err := io.WriteString(w, d.text())
	return err
}

// Marker returns the line that a comment of Markdown begins with, by which the
// next one finds it.
func Marker(key string) string {
	var b strings.Builder
	for _, r := range clip(Options{Key: key}.key(), maxName) {
		// A comment ends at "-->" and may not hold "--".
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._/:", r) || r == '-' && !strings.HasSuffix(b.String(), "-")) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "%%%02x", r)
		}
	}
	return "<!-- kept:report key=" + b.String() + " -->"
}

// The ranks of the tables, from what is cut last to what is cut first. The
// groups follow the metrics in their order.
const (
	rankMetrics = iota
	rankStages
	rankGroups
	rankPatches   = rankGroups + 10
	rankCurves    = rankPatches + 1
	rankUnchanged = rankCurves + 1
	rankLast      = rankUnchanged
)

func newComment(reviews []*Review, o Options) *comment {
	d := &comment{whole: whole(reviews, o)}
	verdict, details := headline(reviews)
	if len(reviews) > 0 && reviews[0].alone() {
		verdict = code(verdict)
	}
	d.head = Marker(o.Key) + "\n### kept: " + strings.TrimSuffix(verdict+" · "+details, " · ") + "\n\n"
	for _, r := range reviews {
		d.parts = append(d.parts, newPart(r, d.whole, len(reviews) > 1))
	}
	d.foot = reproduceBlock(reviews) + footer(reviews, o)
	return d
}

// whole says where a report is that has room for everything.
func whole(reviews []*Review, o Options) string {
	if link := o.link(); link != "" {
		return "[the whole report](<" + link + ">)"
	}
	if len(reviews) > 0 && git.IsID(reviews[0].Old.Commit) && git.IsID(reviews[0].New.Commit) {
		return fmt.Sprintf("`kept diff --all %s %s`", shortCommit(reviews[0].Old.Commit), shortCommit(reviews[0].New.Commit))
	}
	return "`kept diff --all`"
}

func newPart(r *Review, whole string, several bool) *part {
	p := &part{}
	if several {
		verdict, details := headline([]*Review{r})
		if r.alone() {
			verdict = code(verdict)
		}
		p.head = "#### " + code(experimentName(r)) + " · " + strings.TrimSuffix(verdict+" · "+details, " · ") + "\n\n"
	}
	add := func(rank int, noun, open string, rows []string, close string) {
		if len(rows) > 0 {
			p.tables = append(p.tables, &rowTable{rank: rank, noun: noun, open: open, rows: rows, close: close, keep: len(rows), whole: whole})
		}
	}
	all := metricsOf(r)
	firstUnchanged := slices.IndexFunc(all, func(m metric) bool { return m.rank() == rankOfUnchanged })
	if firstUnchanged < 0 {
		firstUnchanged = len(all)
	}
	c := columnsOf(r)
	open := metricHeader(c)
	add(rankMetrics, "metric", open, metricRows(all[:firstUnchanged], c), "\n")
	for _, t := range p.tables {
		t.floor = failures(all)
	}
	add(rankStages, "remark", "", stageRows(r), "\n")
	add(rankUnchanged, "unchanged metric", fold(plural(len(all)-firstUnchanged, "unchanged metric"))+open, metricRows(all[firstUnchanged:], c), foldEnd)
	for i, g := range groups {
		rows := entryRows(g.entries([]*Review{r}), c)
		title := plural(len(g.entries([]*Review{r})), g.noun) + spaced(c.changed())
		add(rankGroups+i, g.noun, fold(title)+header(append([]string{"stage", "name"}, c.sides()...)), rows, foldEnd)
	}
	add(rankPatches, "file", fold(plural(len(r.Patches), "file")+" of code, line by line"), patchBlocks(r.Patches), foldEnd)
	add(rankCurves, "curve", fold(plural(len(r.Curves), "curve"))+header(append([]string{"metric"}, c.sides()...)), curveRows(r.Curves, c), foldEnd)
	return p
}

// failures counts the metrics that failed; they come first.
func failures(all []metric) int {
	n := 0
	for n < len(all) && all[n].finding != nil && all[n].finding.Status == metrics.Failed {
		n++
	}
	return n
}

// Blank lines around the content of a fold: it is Markdown only between them.
func fold(title string) string { return "<details>\n<summary>" + title + "</summary>\n\n" }

const foldEnd = "\n</details>\n\n"

// sides are the titles of the columns of the two sides, or of the only one.
func (c columns) sides() []string {
	if !c.compares() {
		return []string{c.new}
	}
	return []string{c.old, c.new}
}

// pick leaves out the old side where there is none.
func (c columns) pick(old, new string) []string {
	if !c.compares() {
		return []string{new}
	}
	return []string{old, new}
}

// header is the head of a table.
func header(titles []string) string {
	return tableRow(titles) + "|" + strings.Repeat("---|", len(titles)) + "\n"
}

func metricHeader(c columns) string {
	switch {
	case c.gate:
		return "| metric | base | head | change | gate |\n|---|---:|---:|---:|---|\n"
	case !c.compares():
		return "| metric | value |\n|---|---:|\n"
	}
	return "| metric | old | new | change |\n|---|---:|---:|---:|\n"
}

func metricRows(all []metric, c columns) []string {
	var rows []string
	for _, m := range all {
		cells := append([]string{code(m.name()) + spaced(m.arrow())}, c.pick(side(m.old), side(m.new))...)
		if c.compares() {
			cells = append(cells, m.change())
		}
		if c.gate {
			cells = append(cells, gateCell(m.finding))
		}
		rows = append(rows, tableRow(cells))
	}
	return rows
}

func tableRow(cells []string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

func side(text string) string {
	if text == "" {
		return "–"
	}
	return code(text)
}

// symbols and words say the same: neither an image nor a colour is needed.
var symbols = [...]string{metrics.Passed: "✅", metrics.Accepted: "🟡", metrics.Warned: "🟠", metrics.Inconclusive: "⚠️", metrics.Failed: "❌"}

func gateCell(f *metrics.Finding) string {
	if f == nil {
		return "no rule"
	}
	text := symbols[f.Status] + " " + f.Status.String()
	if f.Status == metrics.Passed {
		return text
	}
	if why := reason(f); why != "" {
		text += ": " + prose(why)
	}
	if noise := noiseText(f.Noise); noise != "" {
		text += "; " + noise
	}
	return text
}

// stageRows are sentences: stages that are new or gone, acceptances to remove.
func stageRows(r *Review) []string {
	var rows []string
	for _, s := range r.Stages {
		if s.Fate != Changed {
			rows = append(rows, fmt.Sprintf("- stage %s is %s\n", code(s.Name), map[Fate]string{Added: "new", Removed: "gone", Renamed: "renamed"}[s.Fate]))
		}
	}
	if r.Verdict == nil {
		return rows
	}
	for _, a := range r.Verdict.Unused {
		rows = append(rows, fmt.Sprintf("- ⚠️ line %d of kept.toml accepts %s, and nothing needs it any more: remove it\n", a.Line, code(a.Metric)))
	}
	return rows
}

func entryRows(entries []entry, c columns) []string {
	var rows []string
	for _, e := range entries {
		rows = append(rows, tableRow(entryCells(side(e.stage), "", e.Row, c)))
		for _, inner := range e.Rows {
			rows = append(rows, tableRow(entryCells("", "↳ ", inner, c)))
		}
	}
	return rows
}

func entryCells(stage, indent string, r Row, c columns) []string {
	name := "–"
	if r.Name != "" {
		name = code(r.Name)
	}
	if word := fateWords[r.Fate]; r.Fate != Changed {
		name += " " + word
	}
	return append([]string{stage, indent + name}, c.pick(side(r.Old), side(r.New))...)
}

func curveRows(curves []Curve, c columns) []string {
	var rows []string
	for _, curve := range curves {
		name := curve.Key
		if curve.Stage != "" {
			name = metrics.Name(curve.Stage, curve.Key)
		}
		rows = append(rows, tableRow(append([]string{code(name)}, c.pick(sparkline(curve.Old), sparkline(curve.New))...)))
	}
	return rows
}

// patchBlocks are the lines of code, a block for each file.
func patchBlocks(patches []Patch) []string {
	var blocks []string
	for _, p := range patches {
		block := patchTitle(p, code, prose) + "\n\n"
		if lines := patchLines(p); len(lines) > 0 {
			body := ""
			for _, l := range lines {
				body += string(l.Op) + l.Text + "\n"
			}
			fence := "```"
			for strings.Contains(body, fence) {
				fence += "`"
			}
			block += fence + "diff\n" + body + fence + "\n\n"
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// sparkline draws a series in blocks, from its lowest value to its highest, and
// says where it ends.
func sparkline(points []lockfile.Point) string {
	const blocks, width = "▁▂▃▄▅▆▇█", 24
	if len(points) == 0 {
		return "–"
	}
	var values []float64
	for i := range min(width, len(points)) {
		at := i
		if len(points) > width {
			at = i * (len(points) - 1) / (width - 1)
		}
		values = append(values, finite(points[at].Value))
	}
	last := code(metrics.Text(points[len(points)-1].Value))
	numbers := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return v != v })
	if len(numbers) == 0 {
		return last
	}
	low, high := slices.Min(numbers), slices.Max(numbers)
	var b strings.Builder
	for _, v := range values {
		switch {
		case v != v:
			b.WriteByte('x')
		case high == low:
			b.WriteString("▄")
		default:
			// Halves, because the difference of two finite numbers need not be one.
			b.WriteRune([]rune(blocks)[int((v/2-low/2)/(high/2-low/2)*7+0.5)])
		}
	}
	return b.String() + " " + last
}

func reproduceBlock(reviews []*Review) string {
	commands := reproduceCommands(reviews)
	if commands == "" {
		return ""
	}
	return fold("Reproduce") + "```sh\n" + commands + "```\n" + foldEnd
}

func footer(reviews []*Review, o Options) string {
	var parts []string
	if len(reviews) > 0 {
		r := reviews[0]
		text := code(revisionText(r.New))
		if !r.alone() {
			text += " compared with " + code(revisionText(r.Old))
		}
		if r.BaseNote != "" {
			text += ", " + prose(r.BaseNote)
		}
		parts = append(parts, text)
	}
	return "<sub>" + strings.Join(append(parts, "kept "+code(cmp.Or(o.Version, "devel"))), " · ") + "</sub>\n"
}
