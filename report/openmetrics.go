package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/kept-dev/kept/lockfile"
)

// OpenMetrics writes the head's metrics, and what the gate says of them, in the
// text format of OpenMetrics 1.0. GitLab shows it as a metrics report.
//
// A label is its text as visible shows it, with the backslashes that it already
// had doubled before that: different names stay different.
func OpenMetrics(w io.Writer, reviews []*Review, o Options) error {
	var values, verdicts strings.Builder
	for _, r := range reviews {
		listed := map[string]bool{}
		sample := func(stage, key string, value lockfile.Value) {
			if line := labels(r, stage, key); value != nil && !listed[line] {
				listed[line] = true
				fmt.Fprintf(&values, "kept_metric%s %s\n", line, openMetricsNumber(value))
			}
		}
		for _, m := range r.Metrics {
			sample(m.Stage, m.Key, m.Value)
		}
		if r.Verdict == nil {
			continue
		}
		judged := map[string]bool{}
		for _, f := range r.Verdict.Findings {
			sample(f.Stage, f.Key, f.Head)
			if line := labels(r, f.Stage, f.Key); !judged[line] {
				judged[line] = true
				fmt.Fprintf(&verdicts, "kept_gate_status%s %d\n", line, f.Status)
			}
		}
	}
	text := "# TYPE kept_metric gauge\n# HELP kept_metric A metric of the head, as kept.lock has it.\n" + values.String()
	if verdicts.Len() > 0 {
		text += "# TYPE kept_gate_status gauge\n" +
			"# HELP kept_gate_status What the gate says of a metric: 0 passed, 1 accepted, 2 warned, 3 inconclusive, 4 failed.\n" + verdicts.String()
	}
	_, err := io.WriteString(w, text+"# EOF\n")
	return err
}

// labels has room for every name: the spec puts no limit on them.
func labels(r *Review, stage, key string) string {
	return fmt.Sprintf(`{experiment="%s",stage="%s",name="%s"}`, label(r.Experiment), label(stage), label(key))
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace

func label(s string) string { return escapeLabel(visible(strings.ReplaceAll(s, `\`, `\\`))) }

// openMetricsNumber writes a number as the lock does, except for those that are none.
func openMetricsNumber(v lockfile.Value) string {
	switch text := lockfile.FormatValue(v); text {
	case "nan", "-nan":
		return "NaN"
	case "inf", "+inf":
		return "+Inf"
	case "-inf":
		return "-Inf"
	default:
		return text
	}
}
