package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/kept-dev/kept/core/metrics"
)

// JUnit writes the findings as test results: a suite per experiment, a case per
// finding. What failed is a failure, what is inconclusive an error; what only
// warns and what was accepted passes, with the reason as its output.
//
// The text is what visible leaves, which XML 1.0 allows all of, escaped by
// markup. The standard library's encoder would say the same, and costs every
// start of the program more than the writers may.
func JUnit(w io.Writer, reviews []*Review, o Options) error {
	var suites strings.Builder
	var total tally
	for _, r := range reviews {
		var cases strings.Builder
		var t tally
		if r.Verdict != nil {
			for i := range r.Verdict.Findings {
				f := &r.Verdict.Findings[i]
				t.count(f.Status)
				cases.WriteString(testcase(r, f))
			}
		}
		total.add(t)
		fmt.Fprintf(&suites, "  <testsuite name=%s%s>\n%s  </testsuite>\n", attribute(experimentName(r)), t, cases.String())
	}
	_, err := fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kept gate\"%s>\n%s</testsuites>\n", total, suites.String())
	return err
}

// tally counts the cases of a suite.
type tally struct{ tests, failures, errors int }

func (t *tally) count(s metrics.Status) {
	t.tests++
	switch s {
	case metrics.Failed:
		t.failures++
	case metrics.Inconclusive:
		t.errors++
	}
}

func (t *tally) add(u tally) {
	t.tests += u.tests
	t.failures += u.failures
	t.errors += u.errors
}

// String returns the attributes.
func (t tally) String() string {
	return fmt.Sprintf(` tests="%d" failures="%d" errors="%d" skipped="0"`, t.tests, t.failures, t.errors)
}

func attribute(s string) string { return `"` + markup(visible(s)) + `"` }

func testcase(r *Review, f *metrics.Finding) string {
	class, name := experimentName(r), f.Key
	if f.Stage != "" {
		class += "/" + f.Stage
	}
	name += " (" + f.Rule.String() + ")"
	why := caseText(f)
	text := fmt.Sprintf("    <testcase classname=%s name=%s", attribute(class), attribute(name))
	switch f.Status {
	case metrics.Failed:
		text += fmt.Sprintf(">\n      <failure type=\"failed\" message=%s>%s</failure>\n    </testcase>\n", attribute(f.Reason), why)
	case metrics.Inconclusive:
		text += fmt.Sprintf(">\n      <error type=\"inconclusive\" message=%s>%s</error>\n    </testcase>\n", attribute(f.Reason), why)
	case metrics.Passed:
		text += "/>\n"
	default:
		text += fmt.Sprintf(">\n      <system-out>%s</system-out>\n    </testcase>\n", why)
	}
	return text
}

// caseText is what a viewer shows of a case: the numbers, line by line.
func caseText(f *metrics.Finding) string {
	var m metric
	m.judge(f)
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			b.WriteString(name + ": " + markup(visible(text)) + "\n")
		}
	}
	line(f.Status.String(), reason(f))
	line("base", m.old)
	line("head", m.new)
	if m.delta != nil {
		line("change", m.change())
	}
	line("rule", f.Rule.String())
	line("runs", noiseText(f.Noise))
	return strings.TrimSuffix(b.String(), "\n")
}
