package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/metrics"
)

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
