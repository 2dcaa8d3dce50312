package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// metric is a line of the table of metrics: what the gate says, what the
// comparison says, or both.
type metric struct {
	stage, key string
	// old and new are the sides as text, empty where there is none.
	old, new string
	delta    *metrics.Delta
	better   metrics.Direction
	fate     Fate
	changed  bool
	// finding is nil for a metric without a rule.
	finding *metrics.Finding
}

// verdict is +1, 0 or -1 for better, neither and worse.
func (m metric) verdict() int {
	if m.delta == nil {
		return 0
	}
	return m.delta.Verdict()
}

// rankOfUnchanged is the last rank: an unchanged metric that is as it should be.
const rankOfUnchanged = 4

// rank sorts from what needs a look to what needs none.
func (m metric) rank() int {
	switch {
	case m.finding != nil && m.finding.Status != metrics.Passed:
		return -int(m.finding.Status)
	case !m.changed:
		return rankOfUnchanged
	case m.verdict() < 0:
		return 1
	case m.verdict() == 0:
		return 2
	}
	return 3
}

// metricsOf returns the metrics of a review, worst first.
func metricsOf(r *Review) []metric {
	type name struct{ stage, key string }
	index := map[name]int{}
	var all []metric
	at := func(stage, key string) *metric {
		i, ok := index[name{stage, key}]
		if !ok {
			i = len(all)
			index[name{stage, key}] = i
			all = append(all, metric{stage: stage, key: key})
		}
		return &all[i]
	}
	for _, v := range r.Metrics {
		m := at(v.Stage, v.Key)
		m.old, m.new, m.better = metrics.Text(v.Value), metrics.Text(v.Value), v.Better
	}
	for _, stage := range r.Stages {
		for _, section := range stage.Sections {
			if section.Kind != lockfile.KindMetric {
				continue
			}
			for _, row := range section.Rows {
				m := at(stage.Name, row.Name)
				m.old, m.new, m.delta, m.fate, m.changed = row.Old, row.New, row.Delta, row.Fate, true
				m.better = cmp.Or(row.Better, m.better)
				if row.Delta != nil {
					m.better = cmp.Or(m.better, row.Delta.Better)
				}
			}
		}
	}
	if r.Verdict != nil {
		for i := range r.Verdict.Findings {
			at(r.Verdict.Findings[i].Stage, r.Verdict.Findings[i].Key).judge(&r.Verdict.Findings[i])
		}
	}
	slices.SortStableFunc(all, func(a, b metric) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.stage, b.stage), cmp.Compare(a.key, b.key))
	})
	return all
}

// judge takes in what the gate says. Its values are the ones that it compared.
func (m *metric) judge(f *metrics.Finding) {
	m.finding = f
	m.better = cmp.Or(f.Direction(), m.better)
	texts := metrics.Texts(f.Base, f.Head)
	m.old, m.new, m.fate = texts[0], texts[1], Changed
	m.changed = m.old != m.new
	switch {
	case f.Base == nil && f.Head != nil:
		m.fate = Added
	case f.Base != nil && f.Head == nil:
		m.fate = Removed
	}
	m.delta = nil
	if d, ok := f.Delta(); ok {
		m.delta = &d
	}
}

// finite returns a value as a float, and NaN where it is no finite number.
func finite(v lockfile.Value) float64 {
	switch n := v.(type) {
	case int64:
		return float64(n)
	case float64:
		if !math.IsInf(n, 0) {
			return n
		}
	}
	return math.NaN()
}

// name is how tables call the metric.
func (m metric) name() string {
	if m.stage == "" {
		return m.key
	}
	return metrics.Name(m.stage, m.key)
}

// arrow shows the direction in which the metric gets better.
func (m metric) arrow() string {
	switch m.better {
	case metrics.Higher:
		return "↑"
	case metrics.Lower:
		return "↓"
	}
	return ""
}

// change says how the number changed, in words that mean the same without colour.
func (m metric) change() string {
	switch {
	case m.old == "" && m.new == "":
		return "–" // a pattern that matched nothing, or a metric that may be missing
	case m.fate == Added:
		return "new"
	case m.fate == Removed:
		return "removed"
	case !m.changed:
		return "="
	case m.delta == nil:
		return "changed"
	}
	// With a minus that is as wide as the plus.
	text := strings.ReplaceAll(DeltaText(*m.delta), "-", "−")
	if word := DeltaWord(*m.delta); word != "" {
		text += " " + word
	}
	return text
}

// noiseText says what several runs tell, in a few words.
func noiseText(n *metrics.Noise) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%d runs of the base: %.4g ± %.2g, %d of the head: %.4g ± %.2g, p = %.2g",
		n.BaseRuns, n.BaseMean, n.BaseSD, n.HeadRuns, n.HeadMean, n.HeadSD, n.P)
}

// reason is why a finding did not pass: the sentence of whoever accepted it, else the gate's.
func reason(f *metrics.Finding) string {
	if f.Status == metrics.Accepted && f.Acceptance != nil && f.Acceptance.Reason != "" {
		return f.Acceptance.Reason
	}
	return f.Reason
}

// count is a number of things in words: "1 failed", "2 parameters".
type count struct {
	n    int
	word string
}

// counts says how many metrics became what, what needs a look first.
func counts(reviews []*Review) []count {
	var failed, inconclusive, warned, accepted, better, allowed, worse, changed, added, removed, unchanged int
	for _, r := range reviews {
		for _, m := range metricsOf(r) {
			status := metrics.Passed
			if m.finding != nil {
				status = m.finding.Status
			}
			switch {
			case status == metrics.Failed:
				failed++
			case status == metrics.Inconclusive:
				inconclusive++
			case status == metrics.Warned:
				warned++
			case status == metrics.Accepted:
				accepted++
			case !m.changed:
				unchanged++
			case m.fate == Added:
				added++
			case m.fate == Removed:
				removed++
			case m.verdict() > 0:
				better++
			case m.verdict() == 0:
				changed++
			case m.finding != nil:
				allowed++
			default:
				worse++
			}
		}
	}
	all := []count{{failed, "failed"}, {inconclusive, "inconclusive"}, {warned, "warned"}, {accepted, "accepted"}, {worse, "worse"},
		{allowed, "worse within limits"}, {better, "improved"}, {changed, "changed"}, {added, "new"}, {removed, "removed"}, {unchanged, "unchanged"}}
	return slices.DeleteFunc(all, func(c count) bool { return c.n == 0 })
}

// status is the worst verdict of the reviews that have one.
func status(reviews []*Review) (worst metrics.Status, judged bool) {
	for _, r := range reviews {
		if r.Verdict != nil {
			worst, judged = max(worst, r.Verdict.Status), true
		}
	}
	return worst, judged
}

var verdictWords = [...]string{
	metrics.Passed:       "gate passed",
	metrics.Accepted:     "gate passed",
	metrics.Warned:       "gate passed with warnings",
	metrics.Inconclusive: "gate inconclusive",
	metrics.Failed:       "gate failed",
}

// headline is the verdict in words and, after it, the counts: "gate failed",
// "1 failed, 14 unchanged". Without a gate it is what changed.
func headline(reviews []*Review) (verdict, details string) {
	worst, judged := status(reviews)
	if len(reviews) > 0 && !slices.ContainsFunc(reviews, func(r *Review) bool { return !r.alone() }) {
		return revisionText(reviews[0].New), contents(reviews)
	}
	var words []string
	tally := counts(reviews)
	for _, c := range tally {
		words = append(words, fmt.Sprintf("%d %s", c.n, c.word))
	}
	if judged {
		if len(words) == 0 {
			words = []string{"no metric has a rule"}
		}
		return verdictWords[worst], strings.Join(words, ", ")
	}
	words = words[:0]
	metricsChanged := 0
	for _, c := range tally {
		switch c.word {
		case "unchanged":
			continue
		case "improved":
			c.word = "better"
		}
		metricsChanged += c.n
		if c.word != "changed" {
			words = append(words, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	// Better before worse: nobody asked for a verdict.
	slices.SortStableFunc(words, func(a, b string) int {
		return cmp.Compare(strings.Index(b, "better"), strings.Index(a, "better"))
	})
	if metricsChanged > 0 {
		return plural(metricsChanged, "metric") + " changed", strings.Join(words, ", ")
	}
	for _, g := range groups {
		if n := len(g.entries(reviews)); n > 0 {
			words = append(words, plural(n, g.noun))
		}
	}
	if len(words) > 0 {
		return "no metric changed", strings.Join(words, ", ") + " changed"
	}
	return "nothing changed", ""
}

// contents counts what locks hold: "4 metrics, 3 artifacts".
func contents(reviews []*Review) string {
	n := 0
	for _, r := range reviews {
		n += len(metricsOf(r))
	}
	words := []string{plural(n, "metric")}
	for _, g := range groups {
		if n := len(g.entries(reviews)); n > 0 {
			words = append(words, plural(n, g.noun))
		}
	}
	return strings.Join(words, ", ")
}

// group is what is listed together below the metrics.
type group struct {
	noun  string
	kinds []lockfile.Kind
}

// The groups in the order of review; what comes last is cut first.
var groups = []group{
	{"parameter", []lockfile.Kind{lockfile.KindParam}},
	{"command", []lockfile.Kind{lockfile.KindCommand}},
	{"artifact", []lockfile.Kind{lockfile.KindArtifact}},
	{"input", []lockfile.Kind{lockfile.KindInput}},
	{"code file", []lockfile.Kind{lockfile.KindCode}},
	{"environment entry", []lockfile.Kind{lockfile.KindEnvironment, lockfile.KindEnvironmentFile}},
	{"other entry", []lockfile.Kind{lockfile.KindStage, lockfile.KindHistory, lockfile.KindOther}},
}

// entry is a row with the stage that it is of.
type entry struct {
	stage string
	Row
}

// entries returns what the reviews have of a group. A curve stands for the
// history that it shows.
func (g group) entries(reviews []*Review) []entry {
	var all []entry
	for _, r := range reviews {
		drawn := map[[2]string]bool{}
		for _, c := range r.Curves {
			drawn[[2]string{c.Stage, c.Key}] = true
		}
		for _, stage := range r.Stages {
			for _, section := range stage.Sections {
				if !slices.Contains(g.kinds, section.Kind) {
					continue
				}
				for _, row := range section.Rows {
					if section.Kind != lockfile.KindHistory || !drawn[[2]string{stage.Name, row.Name}] {
						all = append(all, entry{stage.Name, row})
					}
				}
			}
		}
	}
	return all
}

// worstFirst returns the reviews with those first that need a look.
func worstFirst(reviews []*Review) []*Review {
	sorted := slices.Clone(reviews)
	rank := func(r *Review) int {
		if r.Verdict == nil {
			return -1
		}
		return int(r.Verdict.Status)
	}
	slices.SortStableFunc(sorted, func(a, b *Review) int { return cmp.Compare(rank(b), rank(a)) })
	return sorted
}

// columns are what the tables of a review show.
type columns struct {
	// old is empty where there is nothing to compare with.
	old, new string
	gate     bool
}

// columnsOf names the sides: a gate has a base and a head.
func columnsOf(r *Review) columns {
	switch {
	case r.Verdict != nil:
		return columns{"base", "head", true}
	case r.alone():
		return columns{new: "value"}
	}
	return columns{old: "old", new: "new"}
}

// compares reports whether there are two sides.
func (c columns) compares() bool { return c.old != "" }

// changed is what became of the rows of a table, for its title.
func (c columns) changed() string {
	if c.compares() {
		return "changed"
	}
	return ""
}

// experimentName is the folder, or the repository's top in words.
func experimentName(r *Review) string {
	if r.Experiment == "." || r.Experiment == "" {
		return "top of the repository"
	}
	return r.Experiment
}

var fateWords = [...]string{Changed: "changed", Added: "added", Removed: "removed", Renamed: "renamed"}

// shortCommit abbreviates a commit id, and nothing else.
func shortCommit(id string) string {
	if !git.IsID(id) {
		return ""
	}
	return id[:10]
}

// revisionText is a side of the comparison for people.
func revisionText(r Revision) string {
	return cmp.Or(shortCommit(r.Commit), r.Name, "nothing")
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// reproduceCommands is what somebody types to have the head's results, and
// empty for a head that is no commit.
func reproduceCommands(reviews []*Review) string {
	if len(reviews) == 0 || !git.IsID(reviews[0].New.Commit) {
		return ""
	}
	return "git checkout " + reviews[0].New.Commit + `
kept restore --all   # the artifacts of that commit
kept verify --all    # that they are what the lock says
`
}

// maxPatchLines is how many lines of a file are shown.
const maxPatchLines = 200

// patchTitle says which file it is and what became of it; code shows a path, prose a sentence.
func patchTitle(p Patch, code, prose func(string) string) string {
	title := code(p.Path)
	switch {
	case p.From != "":
		title += " renamed from " + code(p.From)
	case p.Fate != Changed:
		title += " " + fateWords[p.Fate]
	}
	if p.Note != "" {
		title += ": " + prose(p.Note)
	}
	return title
}

// patchLines are the lines of a unified diff, visible, of which long ones are cut.
func patchLines(p Patch) []Line {
	var lines []Line
	for _, h := range p.Hunks {
		lines = append(lines, Line{Op: '@', Text: strings.TrimPrefix(h.Header(), "@")})
		for _, l := range h.Lines {
			op := l.Op
			if !strings.ContainsRune(" +-\\", rune(op)) {
				op = ' '
			}
			lines = append(lines, Line{op, visibleLine(l.Text)})
		}
	}
	if more := len(lines) - maxPatchLines; more > 0 {
		lines = append(lines[:maxPatchLines], Line{'\\', fmt.Sprintf(" … and %s", plural(more, "more line"))})
	}
	return lines
}
