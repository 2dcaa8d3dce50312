package report

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// maxAnnotations is how many of one level GitHub takes from a step; it drops
// the others without a word.
const maxAnnotations = 10

// Annotations writes the findings that did not pass as workflow commands of
// GitHub, worst first: errors for what failed or is inconclusive, warnings for
// what only warns, notices for what was accepted and for acceptances that
// nothing needs. Of each level there are at most ten; the last says how many
// more there would be.
func Annotations(w io.Writer, reviews []*Review, o Options) error {
	found := map[string][]annotation{}
	for _, r := range reviews {
		if r.Verdict == nil {
			continue
		}
		for i := range r.Verdict.Findings {
			f := &r.Verdict.Findings[i]
			if level := level(f.Status); level != "" {
				found[level] = append(found[level], annotate(r, f, o))
			}
		}
		for _, a := range r.Verdict.Unused {
			found["notice"] = append(found["notice"], annotation{
				file: path.Join(r.Experiment, "kept.toml"), line: a.Line, title: "kept: acceptance of " + shown(a.Metric),
				message: "nothing needs this acceptance any more: remove it",
			})
		}
	}
	var b strings.Builder
	for _, level := range []string{"error", "warning", "notice"} {
		all := found[level]
		slices.SortStableFunc(all, func(a, b annotation) int { return cmp.Compare(b.status, a.status) })
		for i, a := range all[:min(len(all), maxAnnotations)] {
			if more := len(all) - maxAnnotations; more > 0 && i == maxAnnotations-1 {
				a.message += fmt.Sprintf("\n… and %d more", more)
			}
			b.WriteString("::" + level + " " + a.text() + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func level(s metrics.Status) string {
	switch s {
	case metrics.Failed, metrics.Inconclusive:
		return "error"
	case metrics.Warned:
		return "warning"
	case metrics.Accepted:
		return "notice"
	}
	return ""
}

type annotation struct {
	status         metrics.Status
	file           string
	line           int
	title, message string
}

func annotate(r *Review, f *metrics.Finding, o Options) annotation {
	a := annotation{status: f.Status, file: path.Join(r.Experiment, lockfile.Name), title: "kept: " + shown(f.Metric()) + " " + f.Status.String()}
	switch {
	case f.Stage == "": // a rule that matched no metric: the rule is what there is to look at
		a.file, a.line = path.Join(r.Experiment, "kept.toml"), f.Rule.Line
	case o.Line != nil:
		a.line = o.Line(r.Experiment, f.Stage, f.Key)
	}
	a.message = cmp.Or(sentence(reason(f)), a.title)
	if noise := noiseText(f.Noise); noise != "" {
		a.message += "; " + noise
	}
	return a
}

// The escapes of actions/runner: a command's message ends at a line break, a
// property at a comma, and all of them at a colon pair.
var (
	escapeMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace
	escapeProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace
)

// text is the command without its name. The path stays whole, clipped it would
// be none.
func (a annotation) text() string {
	text := "file=" + escapeProperty(visible(a.file))
	if a.line > 0 {
		text += fmt.Sprintf(",line=%d", a.line)
	}
	return text + ",title=" + escapeProperty(a.title) + "::" + escapeMessage(a.message)
}
