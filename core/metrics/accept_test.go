package metrics_test

import (
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/pipeline"
)

func TestSetAcceptance(t *testing.T) {
	old, result := cas.Sum([]byte("old")).String(), cas.Sum([]byte("new"))
	table := "[accept.\"a.b\"]\nresult = \"" + result.String() + "\"\nreason = \"smaller\"\n"
	tests := []struct{ name, before, after string }{
		{"empty", "", table},
		{"blank", "\n \n", "\n \n" + table},
		{"at the end", "[gate.\"a.b\"]\nmin = 1\n", "[gate.\"a.b\"]\nmin = 1\n\n" + table},
		{"no line break at the end", "[gate.\"a.b\"]\nmin = 1 # one", "[gate.\"a.b\"]\nmin = 1 # one\n\n" + table},
		{"line ends of Windows", "[gate.\"a.b\"]\r\nmin = 1\r\n", "[gate.\"a.b\"]\r\nmin = 1\r\n\r\n" + strings.ReplaceAll(table, "\n", "\r\n")},
		{"beside another", "[accept.\"a.c\"]\nresult = \"" + old + "\"\nreason = \"x\"\n",
			"[accept.\"a.c\"]\nresult = \"" + old + "\"\nreason = \"x\"\n\n" + table},
		{"in place of an older one", "# Why\n[accept.\"a.b\"]\nreason = 'old' # Ada\nresult = \"" + old + "\" # was\n\n[gate.\"a.b\"]\nmin = 1\n",
			"# Why\n[accept.\"a.b\"]\nreason = \"smaller\" # Ada\nresult = \"" + result.String() + "\" # was\n\n[gate.\"a.b\"]\nmin = 1\n"},
		{"in place of a longer one", "[accept.\"a.b\"]\nreason = \"\"\"\nmany\nlines\"\"\"\nresult = \"" + old + "\"\n",
			"[accept.\"a.b\"]\nreason = \"smaller\"\nresult = \"" + result.String() + "\"\n"},
		{"in place of an inline one", "[accept]\n\"a.b\" = { result = \"" + old + "\", reason = \"old\" }\n",
			"[accept]\n\"a.b\" = { result = \"" + result.String() + "\", reason = \"smaller\" }\n"},
		{"in place of dotted keys", "accept.\"a.b\".reason = \"old\"\naccept.\"a.b\".result = \"" + old + "\"\n",
			"accept.\"a.b\".reason = \"smaller\"\naccept.\"a.b\".result = \"" + result.String() + "\"\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := metrics.SetAcceptance([]byte(test.before), metrics.Acceptance{Metric: "a.b", Result: result, Reason: "smaller"})
			if err != nil || string(got) != test.after {
				t.Fatalf("got %v\n%s\nwant\n%s", err, got, test.after)
			}
			if _, err := pipeline.Parse(got); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whatever a metric and a reason are, they come back as they are.
func TestSetAcceptanceQuotes(t *testing.T) {
	for _, text := range []string{`a."quoted"`, `a.back\slash`, "a.new\nline", "a.\x1b[31m", "a.größe", "a.]", `a.'''`} {
		want := metrics.Acceptance{Metric: text, Result: cas.Sum(nil), Reason: text}
		data, err := metrics.SetAcceptance([]byte("# x\n"), want)
		if err != nil {
			t.Fatal(err)
		}
		experiment, err := pipeline.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		got, err := metrics.ParseAcceptances(experiment.Acceptances, experiment.Line)
		if err != nil || len(got) != 1 || !got[0].Equal(want) {
			t.Errorf("%s: got %+v, %v", data, got, err)
		}
	}
}

func TestSetAcceptanceRefuses(t *testing.T) {
	good := metrics.Acceptance{Metric: "a.b", Result: cas.Sum(nil), Reason: "x"}
	for name, change := range map[string]func(*metrics.Acceptance){
		"no reason": func(a *metrics.Acceptance) { a.Reason = " \n" },
		"no result": func(a *metrics.Acceptance) { a.Result = cas.Digest{} },
		"not UTF-8": func(a *metrics.Acceptance) { a.Reason = "\xff" },
	} {
		a := good
		change(&a)
		if got, err := metrics.SetAcceptance(nil, a); err == nil {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if got, err := metrics.SetAcceptance([]byte("accept = { \"a.c\" = {} }\n"), good); err == nil {
		t.Errorf("beside an inline table: got %s", got)
	}
	if got, err := metrics.SetAcceptance([]byte("[accept.\"a.b\"]\nreason = \"x\"\n"), good); err == nil {
		t.Errorf("half an acceptance: got %s", got)
	}
}
