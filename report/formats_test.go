package report

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/core/metrics"
)

func TestAnnotations(t *testing.T) {
	lines := strings.Split(text(t, Annotations, []*Review{worked()}, options()), "\n")
	want := []string{
		"::error file=models/sentiment/kept.lock,line=42,title=kept%3A evaluate.recall failed::0.7911 is below min 0.8",
		"::error file=models/sentiment/kept.lock,title=kept%3A evaluate.drift inconclusive::the head has no metric evaluate.drift",
	}
	if !slices.Equal(lines[:2], want) {
		t.Errorf("got %q, want %q", lines[:2], want)
	}
	if out := text(t, Annotations, []*Review{second()}, options()); out != "" {
		t.Errorf("a diff without a gate has annotations: %q", out)
	}
	top := worked()
	top.Experiment = "."
	if out := text(t, Annotations, []*Review{top}, Options{}); !strings.HasPrefix(out, "::error file=kept.lock,title=") {
		t.Errorf("at the top: %.80q", out)
	}
}

// A rule that matched nothing has no metric to point at, and no value to compare.
func TestPatternWithoutMetric(t *testing.T) {
	r := &Review{Experiment: "a", Verdict: &metrics.Verdict{Status: metrics.Inconclusive, Findings: []metrics.Finding{
		{Key: "trian.*", Rule: metrics.Rule{Pattern: "trian.*", Line: 9}, Status: metrics.Inconclusive, Reason: "no metric matches trian.*"}}}}
	if got, want := text(t, Annotations, []*Review{r}, Options{}), "::error file=a/kept.toml,line=9,title=kept%3A trian.* inconclusive::no metric matches trian.*\n"; got != want {
		t.Errorf("annotation %q, want %q", got, want)
	}
	rows := cells(elements(renderMarkdown(text(t, Markdown, []*Review{r}, Options{})), "table")[0])
	if want := []string{"trian.*", "–", "–", "–", "⚠️ inconclusive: no metric matches trian.*"}; !slices.Equal(rows[1], want) {
		t.Errorf("row %q, want %q", rows[1], want)
	}
}

func TestAnnotationsLimit(t *testing.T) {
	statuses := map[metrics.Status]string{metrics.Failed: "error", metrics.Warned: "warning", metrics.Accepted: "notice"}
	for n := range 23 {
		for status, level := range statuses {
			r := &Review{Experiment: ".", Verdict: &metrics.Verdict{Status: status}}
			for i := range n {
				r.Verdict.Findings = append(r.Verdict.Findings, metrics.Finding{Stage: "s", Key: fmt.Sprint(i), Status: status, Reason: "bad"})
			}
			out := text(t, Annotations, []*Review{r}, Options{})
			if got := strings.Count(out, "::"+level+" file="); got != min(n, maxAnnotations) {
				t.Errorf("%d findings: %d annotations", n, got)
			}
			if more := fmt.Sprintf("bad%%0A… and %d more\n", n-maxAnnotations); strings.HasSuffix(out, more) != (n > maxAnnotations) {
				t.Errorf("%d findings end with %q", n, out[max(0, len(out)-60):])
			}
		}
	}
}

// What failed comes before what is inconclusive, across experiments too.
func TestAnnotationsWorstFirst(t *testing.T) {
	var reviews []*Review
	for _, s := range []metrics.Status{metrics.Inconclusive, metrics.Failed} {
		r := &Review{Experiment: s.String(), Verdict: &metrics.Verdict{Status: s}}
		for range 8 {
			r.Verdict.Findings = append(r.Verdict.Findings, metrics.Finding{Stage: "s", Key: "k", Status: s})
		}
		reviews = append(reviews, r)
	}
	reviews[0].Verdict.Findings[0].Status = metrics.Failed
	out := text(t, Annotations, reviews, Options{})
	if failed := strings.Count(out, "k failed::"); failed != 9 || strings.LastIndex(out, "failed::") > strings.Index(out, "inconclusive::") {
		t.Errorf("%d failed in\n%s", failed, out)
	}
}

func TestJUnit(t *testing.T) {
	var suites struct {
		Tests  int `xml:"tests,attr"`
		Suites []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Errors   int    `xml:"errors,attr"`
			Cases    []struct {
				Class   string `xml:"classname,attr"`
				Name    string `xml:"name,attr"`
				Out     string `xml:"system-out"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
				Error *struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text(t, JUnit, []*Review{worked(), second()}, Options{})), &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Tests != 7 || len(suites.Suites) != 2 || suites.Suites[1].Tests != 0 {
		t.Fatalf("suites %+v", suites)
	}
	suite := suites.Suites[0]
	if suite.Name != "models/sentiment" || suite.Tests != 7 || suite.Failures != 1 || suite.Errors != 1 {
		t.Errorf("suite %+v", suite)
	}
	recall, drift, ece, accuracy := suite.Cases[0], suite.Cases[1], suite.Cases[2], suite.Cases[4]
	if recall.Class != "models/sentiment/evaluate" || recall.Name != "recall (min 0.8)" || recall.Failure == nil || !strings.Contains(recall.Failure.Text, "base: 0.8125\nhead: 0.7911\n") {
		t.Errorf("failed: %+v", recall)
	}
	if drift.Error == nil || drift.Failure != nil {
		t.Errorf("inconclusive: %+v", drift)
	}
	if ece.Failure != nil || ece.Error != nil || !strings.Contains(ece.Out, "max_rise 1%") {
		t.Errorf("warned: %+v", ece)
	}
	if accuracy.Failure != nil || accuracy.Error != nil || accuracy.Out != "" {
		t.Errorf("passed: %+v", accuracy)
	}
}

func TestOpenMetrics(t *testing.T) {
	r := &Review{Experiment: `a"b`, Metrics: []MetricValue{
		{Stage: "s", Key: `x\y`, Value: 0.1},
		{Stage: "s", Key: "x\ty", Value: int64(math.MaxInt64)},
		{Stage: "s", Key: `x\ty`, Value: 1e-9},
		{Stage: "s", Key: "n", Value: math.NaN()},
		{Stage: "s", Key: "i", Value: math.Inf(1)},
		{Stage: "s", Key: "j", Value: math.Inf(-1)},
		{Stage: "s", Key: "j", Value: 3.0}, // twice: the first counts
	}, Verdict: &metrics.Verdict{Findings: []metrics.Finding{{Stage: "s", Key: "n", Status: metrics.Warned}, {Stage: "s", Key: "gone", Status: metrics.Failed, Base: 1.0}}}}
	want := `# TYPE kept_metric gauge
# HELP kept_metric A metric of the head, as kept.lock has it.
kept_metric{experiment="a\"b",stage="s",name="x\\\\y"} 0.1
kept_metric{experiment="a\"b",stage="s",name="x\\ty"} 9223372036854775807
kept_metric{experiment="a\"b",stage="s",name="x\\\\ty"} 1e-09
kept_metric{experiment="a\"b",stage="s",name="n"} NaN
kept_metric{experiment="a\"b",stage="s",name="i"} +Inf
kept_metric{experiment="a\"b",stage="s",name="j"} -Inf
# TYPE kept_gate_status gauge
# HELP kept_gate_status What the gate says of a metric: 0 passed, 1 accepted, 2 warned, 3 inconclusive, 4 failed.
kept_gate_status{experiment="a\"b",stage="s",name="n"} 2
kept_gate_status{experiment="a\"b",stage="s",name="gone"} 4
# EOF
`
	if got := text(t, OpenMetrics, []*Review{r}, Options{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJSON(t *testing.T) {
	decode := func(reviews []*Review) map[string]any {
		var document map[string]any
		if err := json.Unmarshal([]byte(text(t, JSON, reviews, Options{})), &document); err != nil {
			t.Fatal(err)
		}
		return document
	}
	document := decode([]*Review{worked()})
	e := document["experiments"].([]any)[0].(map[string]any)
	if document["version"] != 1.0 || document["status"] != "failed" {
		t.Errorf("document %v, %v", document["version"], document["status"])
	}
	values := map[string]any{}
	for _, m := range e["metrics"].([]any) {
		m := m.(map[string]any)
		values[m["key"].(string)] = m["value"]
	}
	if values["skew"] != "nan" || values["perplexity"] != "inf" || values["recall"] != 0.7911 || values["rows"] != 2400.0 {
		t.Errorf("values %v", values)
	}
	// A float stays one, and nothing that is a list is ever null.
	r := &Review{Experiment: ".", Metrics: []MetricValue{{Key: "a", Value: 2.0}, {Key: "b", Value: int64(2)}}, Verdict: &metrics.Verdict{}, Curves: []Curve{{}},
		Stages: []Stage{{Sections: []Section{{}}}}}
	out := text(t, JSON, []*Review{r}, Options{})
	if !strings.Contains(out, `"value": 2.0`) || !strings.Contains(out, `"value": 2`+"\n") || strings.Contains(out, "null") {
		t.Errorf("got\n%s", out)
	}
	if got := decode(nil); len(got["experiments"].([]any)) != 0 || got["status"] != nil {
		t.Errorf("of nothing: %v", got)
	}
}

type fullDisk struct{}

var errFull = fmt.Errorf("no space left on device")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrors(t *testing.T) {
	for _, f := range formats {
		if err := f.write(fullDisk{}, []*Review{worked()}, options()); err != errFull {
			t.Errorf("%s: error %v", f.name, err)
		}
	}
}
