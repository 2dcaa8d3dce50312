package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// elements returns the elements of a name, in the order of the document.
func elements(n *html.Node, name string) []*html.Node {
	var found []*html.Node
	if n.Type == html.ElementNode && n.Data == name {
		found = append(found, n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		found = append(found, elements(c, name)...)
	}
	return found
}

// content is the text below a node.
func content(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(content(c))
	}
	return b.String()
}

// cells returns the table's rows as texts.
func cells(table *html.Node) [][]string {
	var rows [][]string
	for _, tr := range elements(table, "tr") {
		var row []string
		for _, cell := range append(elements(tr, "th"), elements(tr, "td")...) {
			row = append(row, strings.TrimSpace(content(cell)))
		}
		rows = append(rows, row)
	}
	return rows
}

func TestMarkdown(t *testing.T) {
	source := text(t, Markdown, []*Review{worked()}, options())
	if first, _, _ := strings.Cut(source, "\n"); first != Marker("") || first != "<!-- kept:report key=gate -->" {
		t.Errorf("first line %q", first)
	}
	tree := renderMarkdown(source)
	headings := elements(tree, "h3")
	if len(headings) != 1 || !strings.HasPrefix(content(headings[0]), "kept: gate failed · 1 failed, 1 inconclusive, ") {
		t.Fatalf("headings %v", headings)
	}
	tables := elements(tree, "table")
	got := cells(tables[0])
	want := [][]string{
		{"metric", "base", "head", "change", "gate"},
		{"evaluate.recall ↑", "0.8125", "0.7911", "−0.0214 (−2.6 %) worse", "❌ failed: 0.7911 is below min 0.8"},
		{"evaluate.drift ↓", "0.021", "–", "removed", "⚠️ inconclusive: the head has no metric evaluate.drift"},
	}
	if !slices.EqualFunc(got[:3], want, slices.Equal) {
		t.Errorf("table %q, want %q", got[:3], want)
	}
	// Worst first, and what did not change is folded.
	var order []string
	for _, row := range got[1:] {
		word, _, _ := strings.Cut(row[4], ":")
		order = append(order, word)
	}
	wantOrder := []string{"❌ failed", "⚠️ inconclusive", "🟠 warned", "🟡 accepted", "✅ passed", "no rule", "no rule", "✅ passed", "no rule"}
	if !slices.Equal(order, wantOrder) {
		t.Errorf("order %q, want %q", order, wantOrder)
	}
	var titles []string
	for _, d := range elements(tree, "details") {
		titles = append(titles, content(elements(d, "summary")[0]))
		if len(elements(d, "table"))+len(elements(d, "pre")) != 1 {
			t.Errorf("details %q has not one table or block", titles[len(titles)-1])
		}
	}
	wantTitles := []string{"3 unchanged metrics", "4 parameters changed", "1 command changed", "3 artifacts changed", "1 input changed", "1 code file changed",
		"2 environment entries changed", "2 files of code, line by line", "1 curve", "Reproduce"}
	if !slices.Equal(titles, wantTitles) {
		t.Errorf("details %q, want %q", titles, wantTitles)
	}
	if rows := cells(tables[3]); !slices.Equal(rows[1], []string{"evaluate", "– added", "–", "python evaluate.py | tee log.txt"}) {
		t.Errorf("command %q", rows[1])
	}
	if block := content(elements(tree, "pre")[1]); !strings.HasPrefix(block, "git checkout c0ffee1234567890abcdef1234567890abcdef12\n") {
		t.Errorf("block %q", block)
	}
}

func TestMarkdownHeadlines(t *testing.T) {
	gate := func(findings ...metrics.Finding) *Review {
		v := &metrics.Verdict{Findings: findings}
		for _, f := range findings {
			v.Status = max(v.Status, f.Status)
		}
		return &Review{Experiment: ".", Verdict: v}
	}
	section := func(kind lockfile.Kind, rows ...Row) *Review {
		return &Review{Experiment: ".", Stages: []Stage{{Name: "s", Sections: []Section{{Kind: kind, Rows: rows}}}}}
	}
	higher := metrics.Rule{Better: metrics.Higher}
	finding := func(key string, base, head lockfile.Value, s metrics.Status) metrics.Finding {
		return metrics.Finding{Stage: "s", Key: key, Rule: higher, Base: base, Head: head, Status: s}
	}
	cases := []struct {
		reviews []*Review
		want    string
	}{
		{nil, "nothing changed"},
		{[]*Review{gate()}, "gate passed · no metric has a rule"},
		{[]*Review{gate(finding("a", 1.0, 1.0, metrics.Passed))}, "gate passed · 1 unchanged"},
		{[]*Review{gate(finding("a", int64(1), 2.0, metrics.Passed), finding("b", 2.0, 1.0, metrics.Passed))}, "gate passed · 1 worse within limits, 1 improved"},
		{[]*Review{gate(finding("a", nil, 1.0, metrics.Inconclusive))}, "gate inconclusive · 1 inconclusive"},
		{[]*Review{gate(finding("a", 2.0, 1.0, metrics.Warned))}, "gate passed with warnings · 1 warned"},
		{[]*Review{gate(finding("a", 2.0, 1.0, metrics.Accepted))}, "gate passed · 1 accepted"},
		{[]*Review{gate(finding("a", 1.0, 1.0, metrics.Passed)), gate(finding("a", 2.0, 1.0, metrics.Failed))}, "gate failed · 1 failed, 1 unchanged"},
		{[]*Review{section(lockfile.KindParam, Row{Name: "lr"}, Row{Name: "n"}), section(lockfile.KindArtifact, Row{Name: "m"})}, "no metric changed · 2 parameters, 1 artifact changed"},
		{[]*Review{second()}, "3 metrics changed · 1 better, 1 worse"},
		{[]*Review{section(lockfile.KindMetric, Row{Name: "a", Fate: Added, New: "1"}, Row{Name: "b", Fate: Removed, Old: "1"})}, "2 metrics changed · 1 new, 1 removed"},
	}
	for _, c := range cases {
		heading := elements(renderMarkdown(text(t, Markdown, c.reviews, Options{})), "h3")[0]
		if got := content(heading); got != "kept: "+c.want {
			t.Errorf("headline %q, want %q", got, c.want)
		}
	}
}

// A name must come out of a table's cell as visible shows it.
func TestCodeInCells(t *testing.T) {
	texts := append(slices.Clone(hostile), "a|b", "|a|", "``|`", `a\|`, "x `y` z", "` `", " ` ", "a``b`c```d")
	for _, s := range texts {
		source := "| a | b |\n|---|---|\n| " + code(s) + " | end |\n"
		rows := cells(elements(renderMarkdown(source), "table")[0])
		want := strings.TrimSpace(shown(s))
		if strings.Contains(s, strings.Repeat("`", 40)) {
			want = strings.ReplaceAll(want, "`", `\x60`)
		}
		// cmark-gfm and comrak know no code span with more than 80.
		if strings.Contains(code(s), strings.Repeat("`", 81)) {
			t.Errorf("code(%q) has a run of more than 80 backticks", clip(s, 60))
		}
		if s == "" {
			want = `""`
		}
		if len(rows) != 2 || len(rows[1]) != 2 || rows[1][0] != want || rows[1][1] != "end" {
			t.Errorf("code(%q) renders as %q, want %q", clip(s, 60), rows, want)
		}
		line := content(elements(renderMarkdown("so "+prose(s)+" it is\n"), "p")[0])
		if got, want := strings.Join(strings.Fields(line), " "), strings.Join(strings.Fields("so "+sentence(s)+" it is"), " "); len(s) < 100 && got != want {
			t.Errorf("prose(%q) renders as %q, want %q", s, got, want)
		}
	}
}

func TestProse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"0.7911 is below min 0.8", "`0.7911` is below min `0.8`"},
		{"we don't re-train (yet), it costs 12 hours; fine!", "we don't re-train (yet), it costs 12 hours; fine!"},
		{"see @team and #12", "see `@team` and `#12`"},
		{"Präzision fällt", "Präzision fällt"},
		{"deadbeef is 1234567 but decade is not", "`deadbeef` is `1234567` but decade is not"},
		{"www. x http: y", "`www`. x http: y"},
		{"train.a, train.b: both", "`train.a`, `train.b`: both"},
		{"", ""},
	} {
		if got := prose(c.in); got != c.want {
			t.Errorf("prose(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestMarker(t *testing.T) {
	for key, want := range map[string]string{
		"":                 "<!-- kept:report key=gate -->",
		"nightly/eval-1":   "<!-- kept:report key=nightly/eval-1 -->",
		"a --> <b>":        "<!-- kept:report key=a%20-%2d%3e%20%3cb%3e -->",
		"---":              "<!-- kept:report key=-%2d- -->",
		"é\n":              "<!-- kept:report key=%e9%0a -->",
		"a%20--%3e%20":     "<!-- kept:report key=a%2520-%2d%253e%2520 -->",
		"<script>x</scrip": "<!-- kept:report key=%3cscript%3ex%3c/scrip -->",
	} {
		if got := Marker(key); got != want {
			t.Errorf("Marker(%q) = %q, want %q", key, got, want)
		}
	}
}

func TestLink(t *testing.T) {
	for link, ok := range map[string]bool{
		"https://example.org/runs/1?a=b&c=%20#d": true,
		"http://localhost:8080/x":                true,
		"javascript:alert(1)":                    false,
		"https://example.org/a>b":                false,
		"https://example.org/(a)":                false,
		"https://example.org/a b":                false,
		"https://example.org/\n":                 false,
		"ftp://example.org":                      false,
		"":                                       false,
	} {
		if got := (Options{Link: link}).link(); (got != "") != ok || got != "" && got != link {
			t.Errorf("link %q: got %q", link, got)
		}
	}
}

// large is a review with n of everything.
func large(experiment string, failed, n int, name string) *Review {
	r := &Review{Experiment: experiment, Verdict: &metrics.Verdict{Status: metrics.Failed}, BaseNote: name, Old: Revision{Name: name}, New: Revision{Name: name}}
	for i := range failed + n {
		f := metrics.Finding{Stage: "train", Key: fmt.Sprintf("m%06d%s", i, name), Status: metrics.Failed, Base: 1.0, Head: 0.5, Reason: "too low " + name}
		if i >= failed {
			f.Status, f.Head = metrics.Passed, 1.0
		}
		r.Verdict.Findings = append(r.Verdict.Findings, f)
	}
	stage := Stage{Name: "train" + name, Fate: Added}
	for kind := lockfile.KindCommand; kind <= lockfile.KindOther; kind++ {
		section := Section{Kind: kind}
		for i := range n {
			section.Rows = append(section.Rows, Row{Name: fmt.Sprintf("n%06d%s", i, name), Old: "1", New: name})
		}
		stage.Sections = append(stage.Sections, section)
	}
	r.Stages = []Stage{stage}
	for i := range n {
		r.Curves = append(r.Curves, Curve{Stage: "train", Key: fmt.Sprintf("c%d%s", i, name), New: curve(0.1, 30)})
	}
	return r
}

func TestMarkdownLimit(t *testing.T) {
	evil := strings.Repeat("|`\u202e", 4000)
	cases := []struct {
		name    string
		reviews []*Review
		limit   int
		failed  int // rows that must be there; -1 for what fits
	}{
		{"long", []*Review{large(".", 20, 2000, "")}, 0, 20},
		{"short", []*Review{large(".", 20, 2000, "")}, minLimit, 20},
		{"tiny", []*Review{large(".", 3, 10, "")}, 1, 3},
		{"hostile", []*Review{large(".", 10, 50, evil)}, 0, 10},
		{"all failed", []*Review{large(".", 5_000, 10, "")}, 0, -1},
		{"several", []*Review{large("a", 0, 500, ""), large("b", 30, 500, ""), large("c", 0, 500, "")}, 0, 30},
		{"many", slices.Repeat([]*Review{large("some/folder", 1, 3, "")}, 1000), 0, -1},
		{"hostile many", slices.Repeat([]*Review{large(evil, 1, 1, evil)}, 50), minLimit, -1},
		{"summary", []*Review{large(".", 20, 5_000, "")}, SummaryLimit, 20},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Limit: c.limit, Key: evil, Version: evil}
			source := text(t, Markdown, c.reviews, o)
			if len(source) > o.limit() {
				t.Errorf("%d bytes, limit %d", len(source), o.limit())
			}
			if c.name != "tiny" && len(source) < o.limit()*3/4 && !strings.HasPrefix(c.name, "hostile") {
				t.Errorf("%d bytes, which wastes room below %d", len(source), o.limit())
			}
			tree := renderMarkdown(source)
			if h := elements(tree, "h3"); len(h) != 1 || !strings.HasPrefix(content(h[0]), "kept: gate failed · ") {
				t.Errorf("no verdict in the heading")
			}
			if err := plainOutsideCode(tree); err != nil {
				t.Error(err)
			}
			if n := strings.Count(source, "❌ failed"); c.failed >= 0 && n != c.failed || n == 0 {
				t.Errorf("%d failed rows, want %d", n, c.failed)
			}
			if c.name != "tiny" && !strings.Contains(source, "… and ") {
				t.Error("does not say that it was cut")
			}
			if strings.Count(source, "<details>") != strings.Count(source, "</details>") || len(elements(tree, "sub")) != 1 {
				t.Error("a fold or the footer is not closed")
			}
		})
	}
}

// What is said to be cut is what is missing.
func TestMarkdownCounts(t *testing.T) {
	r := large(".", 0, 3000, "")
	r.Curves, r.Verdict = nil, nil
	r.Stages[0].Sections = r.Stages[0].Sections[1:2]
	source := text(t, Markdown, []*Review{r}, Options{Link: "https://example.org/run/1"})
	tree := renderMarkdown(source)
	rows := len(cells(elements(tree, "table")[0])) - 1
	want := fmt.Sprintf("… and %d more parameters: [the whole report](<https://example.org/run/1>)", 3000-rows)
	if rows < 100 || !strings.Contains(source, want) {
		t.Errorf("%d rows, and no %q", rows, want)
	}
}

func TestSparkline(t *testing.T) {
	points := func(values ...lockfile.Value) []lockfile.Point {
		var all []lockfile.Point
		for i, v := range values {
			all = append(all, lockfile.Point{Step: int64(i), Value: v})
		}
		return all
	}
	nan := finite(nil)
	for _, c := range []struct {
		points []lockfile.Point
		want   string
	}{
		{nil, "–"},
		{points(0.0, 0.5, 1.0), "▁▅█ `1.0`"},
		{points(int64(3), int64(3)), "▄▄ `3`"},
		{points(nan, 1.0, 2.0), "x▁█ `2.0`"},
		{points(nan), "`nan`"},
		{points(-1.7e308, 1.7e308), "▁█ `1.7e+308`"},
	} {
		if got := sparkline(c.points); got != c.want {
			t.Errorf("sparkline(%v) = %q, want %q", c.points, got, c.want)
		}
	}
}
