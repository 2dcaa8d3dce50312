package pipeline

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func names(stages []*Stage) string {
	var list []string
	for _, s := range stages {
		list = append(list, s.Name)
	}
	return strings.Join(list, " ")
}

const reviews = `
[stage.report]
command = 'x'
inputs = ['metrics.json', 'models']
artifacts = ['report.html']

[stage.train]
command = 'x'
inputs = ['data/clean/part-0.csv']
params = ['conf/best.yaml:train']
metrics = ['metrics.json']
artifacts = { model = 'models/model.pkl' }

[stage.aside]
command = 'x'

[stage.search]
command = 'x'
artifacts = ['conf/best.yaml']

[stage.clean]
command = 'x'
artifacts = ['data/clean']
`

func TestOrderFollowsThePaths(t *testing.T) {
	e := mustParse(t, reviews)
	if got, want := names(e.Order()), "aside search clean train report"; got != want {
		t.Errorf("order is %s, want %s", got, want)
	}
	train, err := e.Stage("train")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(train.Upstream()), "search clean"; got != want {
		t.Errorf("upstream of train is %s, want %s", got, want)
	}
}

func TestOrderIsThatOfTheFileWhereNothingDepends(t *testing.T) {
	e := mustParse(t, "[stage.c]\ncommand='x'\n[stage.a]\ncommand='x'\n[stage.b]\ncommand='x'")
	if got := names(e.Order()); got != "c a b" {
		t.Errorf("order is %s", got)
	}
}

func TestSelect(t *testing.T) {
	e := mustParse(t, reviews)
	for _, test := range []struct {
		names []string
		want  string
	}{
		{nil, "aside search clean train report"},
		{[]string{"train"}, "search clean train"},
		{[]string{"report", "aside"}, "aside search clean train report"},
		{[]string{"clean", "clean"}, "clean"},
	} {
		got, err := e.Select(test.names...)
		if err != nil || names(got) != test.want {
			t.Errorf("Select(%q) = %s, %v, want %s", test.names, names(got), err, test.want)
		}
	}
}

func TestSelectUnknownStage(t *testing.T) {
	e := mustParse(t, reviews)
	_, err := e.Select("train", "trian")
	var unknown *UnknownStageError
	if !errors.As(err, &unknown) || unknown.Name != "trian" || unknown.Suggestion != "train" ||
		!slices.Equal(unknown.Known, []string{"report", "train", "aside", "search", "clean"}) {
		t.Errorf("Select = %v", err)
	}
	for name, want := range map[string]string{
		"trian": `there is no stage "trian"; did you mean "train"?`,
		"zzz":   `there is no stage "zzz"; kept.toml has report, train, aside, search, clean`,
	} {
		if _, err := e.Stage(name); err == nil || err.Error() != want {
			t.Errorf("Stage(%q) = %v, want %s", name, err, want)
		}
	}
	if _, err := mustParse(t, "").Stage("a"); err == nil || err.Error() != `there is no stage "a": kept.toml describes none` {
		t.Errorf("Stage = %v", err)
	}
}

// edges lists which of two stages, r reading and w writing, is upstream.
func TestEdges(t *testing.T) {
	tests := []struct {
		read, written string
		want          bool
	}{
		{"inputs = ['a/b']", "artifacts = ['a/b']", true},
		{"inputs = ['a/b/c']", "artifacts = ['a/b']", true},
		{"inputs = ['a']", "artifacts = ['a/b']", true},
		{"inputs = ['a/bc']", "artifacts = ['a/b']", false},
		{"inputs = ['A/B']", "artifacts = ['a/b']", true},
		{"inputs = ['caf\u00e9']", "artifacts = {c = 'cafe\u0301'}", true},
		{"inputs = ['../a/b']", "artifacts = ['a/b']", false},
		{"code = ['gen/x.py']", "artifacts = ['gen']", true},
		{"params = ['p.toml:a']", "artifacts = ['p.toml']", true},
		{"params = ['m.json:a']", "metrics = ['m.json:b']", true},
		{"inputs = ['a/*.csv']", "artifacts = ['a/b.csv']", true},
		{"inputs = ['a/*.csv']", "artifacts = ['a/b.tsv']", false},
		{"inputs = ['a/*.csv']", "artifacts = ['a']", true},
		{"inputs = ['a/*/c.csv']", "artifacts = ['a/b']", true},
		{"inputs = ['**/*.csv']", "artifacts = ['a/b']", true},
		{"inputs = ['**/*.csv']", "artifacts = {m = '.a/b'}", false},
		{"inputs = ['data/**']", "artifacts = ['models']", false},
		{"code = ['**/*.py']", "artifacts = ['models']", false},
		{"code = ['**/*.py']", "artifacts = ['gen/x.py']", true},
		{"code = ['gen/*.py']", "artifacts = ['gen']", true},
		{"code = ['gen/**/*.py']", "artifacts = ['gen']", true},
	}
	for _, test := range tests {
		e := mustParse(t, "[stage.r]\ncommand = 'x'\n"+test.read+"\n[stage.w]\ncommand = 'x'\n"+test.written)
		if got := len(e.Stages[0].Upstream()) == 1; got != test.want {
			t.Errorf("stage with %s reads stage with %s: %v, want %v", test.read, test.written, got, test.want)
		}
	}
}

func TestCycles(t *testing.T) {
	stage := func(name, reads, writes string) string {
		return "[stage." + name + "]\ncommand = 'x'\ninputs = ['" + reads + "']\nartifacts = ['" + writes + "']\n"
	}
	_, err := Parse([]byte(stage("down", "c", "z") + stage("a", "c", "a") + stage("free", "n", "m") + stage("b", "a", "b") + stage("c", "b", "c")))
	var cycle *CycleError
	if !errors.As(err, &cycle) || !slices.Equal(cycle.Stages, []string{"c", "b", "a"}) {
		t.Fatalf("Parse = %v", err)
	}
	if want := "kept.toml:5: stages wait for each other: c → b → a → c"; err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
}

func TestClashes(t *testing.T) {
	tests := []struct{ first, second, want string }{
		{"artifacts = ['m.pkl']", "artifacts = ['m.pkl']", `kept.toml:4: artifact "m" of stage "a" and artifact "m" of stage "b" are the same path "m.pkl"`},
		{"artifacts = ['M.pkl']", "artifacts = ['m.pkl']", "are the same path"},
		{"artifacts = ['out']", "artifacts = ['out/m.pkl']", `artifact "m" of stage "b" is inside of artifact "out" of stage "a"`},
		{"artifacts = ['out/m.pkl']", "artifacts = ['out']", "is inside of"},
		{"metrics = ['m.json']", "metrics = ['m.json:b']", `metrics file "m.json" of stage "a" and metrics file "m.json" of stage "b"`},
		{"metrics = ['out/m.json']", "artifacts = ['out']", `metrics file "out/m.json" of stage "a" is inside of artifact "out" of stage "b"`},
		{"artifacts = {x = 'm', y = 'm'}", "", "are the same path"},
		{"artifacts = {x = 'm', y = 'm/n'}", "", "is inside of"},
		{"artifacts = ['m']\ninputs = ['m']", "", `kept.toml:4: inputs "m" reads artifact "m" of stage "a": a stage cannot read what it writes`},
		{"artifacts = ['m/x']\ncode = ['m']", "", `code "m" reads`},
		{"artifacts = ['m']\nparams = ['m/p.toml']", "", `params "m/p.toml" reads`},
		{"artifacts = ['m.csv']\ninputs = ['*.csv']", "", `inputs "*.csv" reads`},
		{"artifacts = ['m']\ninputs = ['**/*.csv']", "", `inputs "**/*.csv" reads`},
		{"metrics = ['m.json']\ninputs = ['m.json']", "", "a stage cannot read what it writes"},
	}
	for _, test := range tests {
		text := "[stage.a]\ncommand = 'x'\n" + test.first + "\n"
		if test.second != "" {
			text += "[stage.b]\ncommand = 'x'\n" + test.second
		}
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Parse(%q) = %v, want %q", text, err, test.want)
		}
	}
}

func TestNoClashes(t *testing.T) {
	for _, text := range []string{
		"[stage.a]\ncommand = 'x'\nmetrics = ['m.json:a', 'm.json:b']",
		"[stage.a]\ncommand = 'x'\nmetrics = ['out/m.json']\nartifacts = ['out']",
		"[stage.a]\ncommand = 'x'\nmetrics = ['m.json']\nartifacts = ['m.json']",
		"[stage.a]\ncommand = 'x'\ncode = ['**/*.py']\nartifacts = ['models']",
		"[stage.a]\ncommand = 'x'\nartifacts = ['out']\n[stage.b]\ncommand = 'x'\nartifacts = ['out2', 'ou']",
	} {
		mustParse(t, text)
	}
}

func TestMatchGlob(t *testing.T) {
	tests := []struct {
		glob, file string
		want       bool
	}{
		{"*.py", "a.py", true},
		{"*.py", "src/a.py", false},
		{"*.py", ".a.py", false},
		{".*.py", ".a.py", true},
		{"?.py", "é.py", true},
		{"[a-c].py", "b.py", true},
		{"[^a-c].py", "b.py", false},
		{"src/*/x.py", "src/a/x.py", true},
		{"src/*/x.py", "src/a/b/x.py", false},
		{"**/*.py", "a.py", true},
		{"**/*.py", "src/deep/a.py", true},
		{"**/*.py", ".venv/lib/a.py", false},
		{"**/*.py", "src/.cache/a.py", false},
		{"**/.cache/*", "src/.cache/a.py", true},
		{"src/**", "src/a/b", true},
		{"src/**", "src", false},
		{"src/**", "src/.a", false},
		{"src/**/a.py", "src/a.py", true},
		{"**/a/**/b/**", "x/a/y/b/c", true},
		{"**/a/**/b/**", "x/a/y/b", false},
		{"**/a/b", "a/a/b", true},
		{"a/**/a/b", "a/b", false},
		{"../lib/*.py", "../lib/a.py", true},
		{"../lib/*.py", "lib/a.py", false},
		{"[", "[", false},
		{"A.py", "a.py", false},
	}
	for _, test := range tests {
		if got := MatchGlob(test.glob, test.file); got != test.want {
			t.Errorf("MatchGlob(%q, %q) = %v, want %v", test.glob, test.file, got, test.want)
		}
	}
}

func TestMatchGlobDoesNotExplode(t *testing.T) {
	// Trying every split would take longer than any test may.
	glob := strings.Repeat("**/a*a*a*b/", 100) + "x"
	file := strings.Repeat("aaaaaaaaaaaaaaaaaaaaaaaab/", 150) + "y"
	if MatchGlob(glob, file) {
		t.Error("matches")
	}
}

func TestHasMeta(t *testing.T) {
	for text, want := range map[string]bool{"a/b.py": false, "*.py": true, "a?": true, "[a]": true, "a]": false, "": false} {
		if got := HasMeta(text); got != want {
			t.Errorf("HasMeta(%q) = %v", text, got)
		}
	}
}
