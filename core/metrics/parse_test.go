package metrics_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/values"
)

func TestParseRules(t *testing.T) {
	rules, _ := gates(t, `
[gate."train.loss"]
max_rise = "0.5 %"
warn = true

[gate]
"*.accuracy" = { min = 1, max_drop = 0.005 }

[gate."a.b"]
better = "lower"
required = false
`)
	var got []string
	for _, r := range rules {
		got = append(got, r.Pattern+": "+r.String())
	}
	want := "train.loss: max_rise 0.5%, *.accuracy: min 1, max_drop 0.005, a.b: finite"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	first := rules[0]
	if !first.Warn || !first.Required || first.Line != 2 || first.Better != metrics.Lower || !first.MaxRise.Relative || first.MaxRise.Amount != 0.005 {
		t.Errorf("got %+v", first)
	}
	if last := rules[2]; last.Required || last.Better != metrics.Lower || last.Line != 9 {
		t.Errorf("got %+v", last)
	}
}

func TestParseErrors(t *testing.T) {
	const digest = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
	tests := []struct {
		text string
		line int
		want string
	}{
		{"[gate.\"a.b\"]\nmin = 1\nmaxdrop = 1", 3, `[gate."a.b"]: unknown key "maxdrop"; did you mean "max_drop"?`},
		{"[gate.\"a.b\"]\nquality = 1", 2, "known are min, max"},
		{"[gate.train.accuracy]\nmin = 1", 1, `write [gate."train.accuracy"]`},
		{"[gate.\"a.b\"]\nmin = \"1\"", 2, "min is not a finite number"},
		{"[gate.\"a.b\"]\nmin = nan", 2, "min is not a finite number"},
		{"[gate.\"a.b\"]\nmax = inf", 2, "max is not a finite number"},
		{"[gate.\"a.b\"]\nmin = 9007199254740993", 2, "min is not a finite number"},
		{"[gate.\"a.b\"]\nmin = 2\nmax = 1", 2, "min 2 is above max 1"},
		{"[gate.\"a.b\"]\nmax_drop = -0.1", 2, "max_drop is not a number from 0"},
		{"[gate.\"a.b\"]\nmax_drop = nan", 2, "max_drop is not a number from 0"},
		{"[gate.\"a.b\"]\nmax_drop = \"1\"", 2, "max_drop is not a number from 0"},
		{"[gate.\"a.b\"]\nmax_drop = \"-1%\"", 2, "max_drop is not a number from 0"},
		{"[gate.\"a.b\"]\nmax_drop = \"1/2%\"", 2, "max_drop is not a number from 0"},
		{"[gate.\"a.b\"]\nmax_drop = \"1e9999999%\"", 2, "max_drop is not a number from 0"},
		{"[gate.\"a.b\"]\nmax_rise = \"%\"", 2, "max_rise is not a number from 0"},
		{"[gate.\"a.b\"]\nmax_rise = \".%\"", 2, "max_rise is not a number from 0"},
		{"[gate.\"a.b\"]\nmax_rise = []", 2, "max_rise is not a number from 0"},
		{"[gate.\"a.b\"]\nmin=1\nrequired = 1", 3, "required is true or false"},
		{"[gate.\"a.b\"]\nmin=1\nwarn = \"yes\"", 3, "warn is true or false"},
		{"[gate.\"a.b\"]\nmin=1\nbetter = \"up\"", 3, `better is "higher" or "lower"`},
		{"[gate.\"a.b\"]", 1, "the rule allows everything"},
		{"[gate.\"a.b\"]\nwarn = true", 1, "the rule allows everything"},
		{"[gate.accuracy]\nmin = 1", 1, `such as "train.accuracy"`},
		{"[gate.\".a\"]\nmin = 1", 1, `such as "train.accuracy"`},
		{"[gate.\"a." + strings.Repeat("x", 600) + "\"]\nmin = 1", 1, "at most 500 bytes"},
		{"[accept.\"a.b\"]\nresult = \"" + digest + "\"", 1, "reason says why"},
		{"[accept.\"a.b\"]\nresult = \"" + digest + "\"\nreason = \" \"", 3, "reason says why"},
		{"[accept.\"a.b\"]\nresult = \"blake3:af13\"\nreason = \"x\"", 2, "result is the digest"},
		{"[accept.\"a.b\"]\nreason = \"x\"", 1, "result is the digest"},
		{"[accept.\"a.b\"]\nresult = \"" + digest + "\"\nreasn = \"x\"", 3, `did you mean "reason"?`},
		{"[accept.\"a\"]\nresult = \"" + digest + "\"\nreason = \"x\"", 1, `such as "train.accuracy"`},
		{"[accept.\"a.*\"]\nresult = \"" + digest + "\"\nreason = \"\"", 3, "reason says why"},
		{"[accept.a.b]\nresult = \"" + digest + "\"\nreason = \"x\"", 1, `write [accept."a.b"]`},
	}
	for _, test := range tests {
		experiment, err := pipeline.Parse([]byte(test.text))
		if err != nil {
			t.Fatalf("%s: %v", test.text, err)
		}
		_, err = metrics.ParseRules(experiment.Gates, experiment.Line)
		if err == nil {
			_, err = metrics.ParseAcceptances(experiment.Acceptances, experiment.Line)
		}
		var file *values.FileError
		if !errors.As(err, &file) || file.Line != test.line || file.Name != "kept.toml" || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\ngot  %v\nwant line %d: %s", test.text, err, test.line, test.want)
		}
	}
}
