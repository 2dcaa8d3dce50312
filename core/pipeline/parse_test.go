package pipeline

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/values"
)

func mustParse(t *testing.T, text string) *Experiment {
	t.Helper()
	e, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse: %v\n%s", err, text)
	}
	return e
}

func TestParse(t *testing.T) {
	e := mustParse(t, `# sentiment
[stage.train]
command   = "python train.py"
code      = ["train.py", "../shared/*.py"]
inputs    = ["data/reviews.tsv", "../corpora"]
params    = ["params.toml", "../base.yaml:train.model"]
metrics   = ["metrics.json"]
artifacts = { vectorizer = "models/vectorizer.pkl", model = "models/model.pkl" }

[stage."b.2"]
environment = "strict"
command = """
set -e
	python b.py
"""
artifacts = ["out/report.html", "out/plots"]

[gate."train.accuracy"]
min = 0.80

[remote.default]
url = "s3://team-models/sentiment"
`)
	want := []*Stage{
		{
			Name: "train", Command: "python train.py", Line: 2,
			Code:      []string{"train.py", "../shared/*.py"},
			Inputs:    []string{"data/reviews.tsv", "../corpora"},
			Params:    []Source{{"params.toml", ""}, {"../base.yaml", "train.model"}},
			Metrics:   []Source{{"metrics.json", ""}},
			Artifacts: map[string]string{"vectorizer": "models/vectorizer.pkl", "model": "models/model.pkl"},
		},
		{
			Name: "b.2", Command: "set -e\n\tpython b.py\n", Line: 10, Environment: Strict,
			Artifacts: map[string]string{"report": "out/report.html", "plots": "out/plots"},
		},
	}
	if !reflect.DeepEqual(e.Stages, want) {
		t.Errorf("stages = %s, want %s", show(e.Stages), show(want))
	}
	if got := e.Gates["train.accuracy"]["min"]; got != 0.8 {
		t.Errorf("gate = %v", e.Gates)
	}
	if got := e.Remotes["default"]["url"]; got != "s3://team-models/sentiment" {
		t.Errorf("remote = %v", e.Remotes)
	}
	for _, test := range []struct {
		key  []string
		want int
	}{
		{[]string{"gate", "train.accuracy", "min"}, 19},
		{[]string{"gate", "train.accuracy", "max"}, 18},
		{[]string{"remote"}, 21},
		{[]string{"no", "such"}, 0},
	} {
		if got := e.Line(test.key...); got != test.want {
			t.Errorf("Line(%q) = %d, want %d", test.key, got, test.want)
		}
	}
}

func show(stages []*Stage) string {
	var b strings.Builder
	for _, s := range stages {
		fmt.Fprintf(&b, "\n%+v", *s)
	}
	return b.String()
}

func TestParseOtherWaysToWriteTables(t *testing.T) {
	for _, text := range []string{
		"stage.a.command = 'x'\nstage.b.command = 'x'",
		"stage = { a = { command = 'x' }, b = { command = 'x' } }",
		"[stage]\na.command = 'x'\n[stage.b]\ncommand = 'x'",
	} {
		e := mustParse(t, text)
		if len(e.Stages) != 2 || e.Stages[0].Name != "a" || e.Stages[1].Name != "b" {
			t.Errorf("Parse(%q) has %s", text, show(e.Stages))
		}
	}
}

func TestParseWithoutStages(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "[remote.default]\nurl = 'x'\n", "[stage]\n"} {
		if e := mustParse(t, text); len(e.Stages) != 0 || len(e.Order()) != 0 {
			t.Errorf("Parse(%q) has %s", text, show(e.Stages))
		}
	}
}

func TestParseRefuses(t *testing.T) {
	stage := func(lines string) string { return "[stage.s]\ncommand = 'x'\n" + lines }
	tests := []struct {
		text string
		line int
		want string
	}{
		{"a = ", 1, "not valid TOML"},
		{"[stage.a]\ncommand = 'x'\n[stage.a]\ncommand = 'x'", 3, "already been defined"},
		{"x = " + strings.Repeat("[", 1_000_000), 1, "nested deeper"},
		{strings.Repeat("#\n", MaxSize), 0, "more than the limit"},
		{"[stages.a]\ncommand = 'x'", 1, `unknown key "stages"; did you mean "stage"?`},
		{"[gates.a]", 1, `did you mean "gate"?`},
		{"\ncolour = 1", 2, `unknown key "colour"; known are stage, gate, accept, remote`},
		{"stage = 1", 1, "stage is not a table"},
		{"[[stage]]\ncommand = 'x'", 1, "stage is not a table"},
		{"[stage]\ntrain = 'x'", 2, `stage "train" is not a table: write [stage.train]`},
		{"[gate]\n\"a.b\" = 1", 2, `gate "a.b" is not a table: write [gate."a.b"]`},
		{"remote = 1", 1, "remote is not a table: write [remote.NAME]"},
		{"[stage.a]\ncode = []", 1, `stage "a" has no command`},
		{"[stage.a]\ncommand = ' \t\n'", 2, "not valid TOML"},
		{"[stage.a]\ncommand = '  '", 2, "command is not a text"},
		{"[stage.a]\ncommand = ['x']", 2, "command is not a text"},
		{"[stage.a]\ncommand = \"x\\u001b[2J\"", 2, "control character"},
		{"[stage.-a]\ncommand = 'x'", 1, "looks like an option"},
		{"[stage.\"\"]\ncommand = 'x'", 1, "a name is 1 to 64"},
		{"[stage.\"a b\"]\ncommand = 'x'", 1, "a name is 1 to 64"},
		{"[stage.\"..\"]\ncommand = 'x'", 1, "more than dots"},
		{"[stage." + strings.Repeat("a", 65) + "]\ncommand = 'x'", 1, "a name is 1 to 64"},
		{stage("cmd = 'x'"), 3, `unknown key "cmd"; did you mean "command"?`},
		{stage("outs = []"), 3, `did you mean "artifacts"?`},
		{stage("metric = []"), 3, `did you mean "metrics"?`},
		{stage("timeout = 3"), 3, `unknown key "timeout"; known are command, code`},
		{stage("environment = 'lax'"), 3, `environment is "strict"`},
		{stage("code = 'train.py'"), 3, "code is not a list of paths"},
		{stage("code = [\n'a.py',\n3]"), 5, "code is not a list of paths"},
		{stage("code = [\n'a.py',\n'a.py']"), 5, `"a.py" is listed twice`},
		{stage("code = ['./a.py']"), 3, `"./a.py" is written "a.py"`},
		{stage("code = ['src/']"), 3, `"src/" is written "src"`},
		{stage("code = ['.']"), 3, "is the folder of kept.toml or one around it"},
		{stage("code = ['../']"), 3, "or one around it"},
		{stage("code = ['..']"), 3, "or one around it"},
		{stage("code = ['../..']"), 3, "or one around it"},
		{stage("code = ['a/../b']"), 3, "path is not allowed"},
		{stage("code = ['/etc/passwd']"), 3, "path is not allowed"},
		{stage("code = ['.git/config']"), 3, "path is not allowed"},
		{stage("code = ['.git/*']"), 3, "path is not allowed"},
		{stage("code = ['C:/*.py']"), 3, "path is not allowed"},
		{stage("code = ['a[']"), 3, "not a valid glob"},
		{stage("code = ['a/[z-a]/b[']"), 3, "not a valid glob"},
		{stage(`code = ['a\*']`), 3, "not a valid glob"},
		{stage("code = ['a**b']"), 3, "** stands alone"},
		{stage("inputs = ['../x/../y*']"), 3, "path is not allowed"},
		{stage("inputs = ['kept.lock']"), 3, "changes with every run"},
		{stage("params = ['params.ini']"), 3, "does not end in"},
		{stage("params = ['p.toml:']"), 3, "names no part"},
		{stage("params = ['conf/*.toml']"), 3, "path is not allowed"},
		{stage("metrics = ['../m.json']"), 3, "path is not allowed"},
		{stage("artifacts = 'model.pkl'"), 3, "artifacts are names and paths"},
		{stage("artifacts = {m = 1}"), 3, `artifact "m" is not a path`},
		{stage("artifacts = {'m/x' = 'a'}"), 3, "a name is 1 to 64"},
		{stage("artifacts = {\n m = '../a'}"), 4, "path is not allowed"},
		{stage("artifacts = {m = 'a\\b'}"), 3, "path is not allowed"},
		{stage("artifacts = {m = 'aux.txt'}"), 3, "path is not allowed"},
		{stage("artifacts = {m = 'a*'}"), 3, "path is not allowed"},
		{stage("artifacts = {m = 'KEPT.lock'}"), 3, "not for experiments to write"},
		{stage("artifacts = {m = 'x/.gitignore'}"), 3, "not for experiments to write"},
		{stage("artifacts = ['kept.toml']"), 3, "not for experiments to write"},
		{stage("artifacts = ['a b.pkl']"), 3, "needs a name of its own"},
		{stage("artifacts = ['a/m.pkl',\n'b/m.bin']"), 4, `"a/m.pkl" and "b/m.bin" would both be called "m"`},
	}
	for _, test := range tests {
		_, err := Parse([]byte(test.text))
		var file *values.FileError
		if !errors.As(err, &file) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Parse(%.80q) = %v, want %q", test.text, err, test.want)
		} else if file.Name != Name || file.Line != test.line {
			t.Errorf("Parse(%.80q) = %v, want line %d", test.text, err, test.line)
		}
	}
}

func TestParseKeepsTheReasonOfAPath(t *testing.T) {
	_, err := Parse([]byte("[stage.s]\ncommand = 'x'\nartifacts = {m = '/m'}"))
	if !errors.Is(err, cas.ErrPath) {
		t.Errorf("Parse = %v, want cas.ErrPath", err)
	}
}

func TestParseBoundsItsWork(t *testing.T) {
	var stages, paths strings.Builder
	for i := range MaxStages + 1 {
		fmt.Fprintf(&stages, "[stage.s%d]\ncommand = 'x'\n", i)
	}
	paths.WriteString("[stage.s]\ncommand = 'x'\ncode = [\n")
	for i := range MaxPaths + 1 {
		fmt.Fprintf(&paths, "'f%d',\n", i)
	}
	paths.WriteString("]")
	for _, test := range []struct{ text, want string }{
		{stages.String(), "kept.toml:2001: more than 1000 stages"},
		{paths.String(), "kept.toml:4100: more than 4096 paths"},
	} {
		if _, err := Parse([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Parse = %v, want %q", err, test.want)
		}
	}
}

func TestSuggest(t *testing.T) {
	got := Suggest(Stage{
		Name: "train", Command: `python train.py --name "a b"`,
		Code: []string{"train.py"}, Inputs: []string{"data/reviews.tsv"},
		Params:    []Source{{"params.yaml", "train"}},
		Artifacts: map[string]string{"model": "models/model.pkl", "vec.1": "models/vec.pkl"},
	})
	want := `[stage.train]
command   = "python train.py --name \"a b\""
code      = ["train.py"]
inputs    = ["data/reviews.tsv"]
params    = ["params.yaml:train"]
artifacts = { model = "models/model.pkl", "vec.1" = "models/vec.pkl" }
`
	if got != want {
		t.Errorf("Suggest =\n%s\nwant\n%s", got, want)
	}
}

func TestSuggestParsesBack(t *testing.T) {
	long := map[string]string{}
	var inputs []string
	for _, c := range "abcdefgh" {
		name := strings.Repeat(string(c), 12)
		long[name] = "out/" + name + ".bin"
		inputs = append(inputs, "data/"+name+".csv")
	}
	for _, stage := range []Stage{
		{Name: "a", Command: "true"},
		{Name: "a.b", Command: "set -e\npython x.py\t'é'\n", Environment: Strict},
		{Name: "c", Command: "x", Inputs: inputs, Artifacts: long, Metrics: []Source{{"m.json", ""}, {"n.json", "a.b"}}},
		{Name: "d", Command: "x", Code: []string{"../src/**/*.py"}, Params: []Source{{"../p.toml", `a."b.c"`}}},
	} {
		text := Suggest(stage)
		e := mustParse(t, text)
		stage.Line = 1
		if len(e.Stages) != 1 || !reflect.DeepEqual(*e.Stages[0], stage) {
			t.Errorf("Suggest gives\n%swhich is %s", text, show(e.Stages))
		}
		for _, line := range strings.Split(text, "\n") {
			if len([]rune(line)) > 92 {
				t.Errorf("line is too long: %s", line)
			}
		}
	}
}

// FuzzParse checks that no text brings the parser down, that the same text
// gives the same, and that what is accepted can be written by Suggest.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"[stage.a]\ncommand = 'x'\ncode = ['a.py', '**/*.py']\nartifacts = {m = 'o/m'}\n[stage.b]\ncommand = 'y'\ninputs = ['o']\n",
		"[stage.a]\ncommand = 'x'\nparams = ['p.yaml:a.b']\nmetrics = ['m.json']\nenvironment = 'strict'\nartifacts = ['a.b.c']",
		"stage = {a = {command = 'x', inputs = ['../d/*']}}\n[gate.f]\nmin = 1\n[remote.d]\nurl = 'u'",
		"[stage.a]\ncommand = 'x'\ninputs = ['b']\nartifacts = ['a']\n[stage.b]\ncommand = 'x'\ninputs = ['a']\nartifacts = ['b']",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := Parse(data)
		second, errAgain := Parse(data)
		if fmt.Sprint(err) != fmt.Sprint(errAgain) || !reflect.DeepEqual(first, second) {
			t.Fatalf("Parse(%q) = %v (%v), then %v (%v)", data, first, err, second, errAgain)
		}
		if err != nil {
			var file *values.FileError
			if !errors.As(err, &file) || file.Name != Name {
				t.Fatalf("error %v is not a FileError of %s", err, Name)
			}
			return
		}
		if len(first.Order()) != len(first.Stages) {
			t.Fatalf("%q: %d of %d stages are in order", data, len(first.Order()), len(first.Stages))
		}
		var text strings.Builder
		for _, stage := range first.Stages {
			text.WriteString(Suggest(*stage))
		}
		again, err := Parse([]byte(text.String()))
		if err != nil {
			t.Fatalf("Suggest gives %q: %v", text.String(), err)
		}
		for i, stage := range again.Stages {
			if Suggest(*stage) != Suggest(*first.Stages[i]) {
				t.Fatalf("Suggest gives %q for %+v", Suggest(*stage), first.Stages[i])
			}
		}
	})
}
