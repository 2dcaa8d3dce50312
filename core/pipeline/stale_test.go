package pipeline

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

func sum(text string) cas.Digest { return cas.Sum([]byte(text)) }

// recorded is a stage, the block of its last run and the facts right after it.
func recorded() (*Stage, *lockfile.Stage, Facts) {
	stage := &Stage{
		Name: "train", Command: "python train.py",
		Metrics:   []Source{{"metrics.json", ""}},
		Artifacts: map[string]string{"model": "models/model.pkl"},
	}
	block := &lockfile.Stage{
		Command:   "python train.py",
		Code:      map[string]*lockfile.Input{"train.py": {Hash: sum("code")}},
		Inputs:    map[string]*lockfile.Input{"data": {Hash: sum("data"), Size: 9, Sized: true, Files: 2, Folder: true}},
		Params:    map[string]lockfile.Value{"lr": 0.1, "steps": int64(10), "nan": math.NaN()},
		Metrics:   map[string]lockfile.Value{"f1": 0.5},
		Artifacts: map[string]*lockfile.Artifact{"model": {Path: "models/model.pkl", Hash: sum("model")}, "logged": {Path: "x", Hash: sum("x")}},
		Environment: &lockfile.Environment{
			Platform: "linux/amd64", Runtime: "python 3.11.7", Packages: sum("p"), Files: map[string]cas.Digest{"uv.lock": sum("uv")},
		},
	}
	facts := Facts{
		Code:        map[string]*lockfile.Input{"train.py": {Hash: sum("code")}},
		Inputs:      map[string]*lockfile.Input{"data": {Hash: sum("data"), Folder: true}},
		Params:      map[string]lockfile.Value{"lr": 0.1, "steps": int64(10), "nan": math.NaN()},
		Artifacts:   map[string]cas.Digest{"model": sum("model"), "logged": sum("x")},
		Environment: &lockfile.Environment{Platform: "darwin/arm64"},
	}
	return stage, block, facts
}

func TestStale(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Stage, *lockfile.Stage, *Facts)
		want   []string
	}{
		{"nothing", func(*Stage, *lockfile.Stage, *Facts) {}, nil},
		{"command", func(s *Stage, _ *lockfile.Stage, _ *Facts) { s.Command = "python t.py" }, []string{"command: python train.py → python t.py"}},
		{"long command", func(s *Stage, _ *lockfile.Stage, _ *Facts) { s.Command = "a\nb" }, []string{"command changed"}},
		{"code", func(_ *Stage, _ *lockfile.Stage, f *Facts) {
			f.Code = map[string]*lockfile.Input{"train.py": {Hash: sum("other")}, "new.py": {Hash: sum("n")}}
		}, []string{"new.py is new", "train.py changed"}},
		{"code gone", func(_ *Stage, _ *lockfile.Stage, f *Facts) { f.Code = nil }, []string{"train.py is gone"}},
		{"input", func(_ *Stage, _ *lockfile.Stage, f *Facts) { f.Inputs["data"].Hash = sum("other") }, []string{"data changed"}},
		{"input became a file", func(_ *Stage, _ *lockfile.Stage, f *Facts) { f.Inputs["data"].Folder = false }, []string{"data changed"}},
		{"params", func(_ *Stage, _ *lockfile.Stage, f *Facts) {
			f.Params = map[string]lockfile.Value{"lr": 0.2, "steps": 10.0, "new": "x"}
		}, []string{"lr: 0.1 → 0.2", "nan = nan is gone", `new = "x" is new`, "steps: 10 → 10.0"}},
		{"artifact renamed", func(s *Stage, _ *lockfile.Stage, _ *Facts) {
			s.Artifacts = map[string]string{"model": "m.pkl", "vec": "v.pkl"}
		}, []string{"artifact model: models/model.pkl → m.pkl", "artifact vec is new"}},
		{"artifact no longer listed", func(s *Stage, _ *lockfile.Stage, _ *Facts) { s.Artifacts = nil }, nil},
		{"artifact missing", func(_ *Stage, _ *lockfile.Stage, f *Facts) { f.Artifacts = map[string]cas.Digest{"logged": {}} }, []string{"artifact logged is missing", "artifact model is missing"}},
		{"artifact modified", func(_ *Stage, _ *lockfile.Stage, f *Facts) {
			f.Artifacts["logged"], f.Artifacts["model"] = sum("y"), cas.Digest{}
		}, []string{"artifact model is missing", "artifact logged was modified"}},
		{"first metrics", func(_ *Stage, b *lockfile.Stage, _ *Facts) { b.Metrics = nil }, []string{"no metrics are recorded"}},
		{"no metrics", func(s *Stage, b *lockfile.Stage, _ *Facts) { s.Metrics, b.Metrics = nil, nil }, nil},
		{"strict", func(s *Stage, _ *lockfile.Stage, f *Facts) {
			s.Environment = Strict
			f.Environment = &lockfile.Environment{Platform: "linux/amd64", Runtime: "python 3.12.1", Packages: sum("q")}
		}, []string{"packages changed", "runtime: python 3.11.7 → python 3.12.1", "uv.lock is gone"}},
		{"strict, equal", func(s *Stage, b *lockfile.Stage, f *Facts) { s.Environment, f.Environment = Strict, b.Environment }, nil},
		{"strict, nothing known", func(s *Stage, b *lockfile.Stage, f *Facts) {
			s.Environment, b.Environment, f.Environment = Strict, nil, &lockfile.Environment{}
		}, nil},
	}
	for _, test := range tests {
		stage, block, facts := recorded()
		test.change(stage, block, &facts)
		var got []string
		for _, r := range Stale(stage, block, facts) {
			got = append(got, r.String())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: reasons are %q, want %q", test.name, got, test.want)
		}
	}
}

func TestStaleNeverRan(t *testing.T) {
	stage, _, facts := recorded()
	got := Stale(stage, nil, facts)
	if !slices.Equal(got, []Reason{{Kind: KindNew}}) || got[0].String() != "never ran" {
		t.Errorf("Stale = %v", got)
	}
}

func TestReasonsCarryBothSides(t *testing.T) {
	stage, block, facts := recorded()
	facts.Params["lr"] = 0.2
	facts.Artifacts["model"] = sum("new")
	want := []Reason{
		{KindParam, "lr", "0.1", "0.2"},
		{KindModified, "model", sum("model").String(), sum("new").String()},
	}
	if got := Stale(stage, block, facts); !slices.Equal(got, want) {
		t.Errorf("Stale = %v, want %v", got, want)
	}
}

func TestReadParams(t *testing.T) {
	stage := &Stage{Params: []Source{{"a.yaml", "train"}, {"a.yaml", "train.lr"}, {"b.toml", ""}}}
	got, err := stage.ReadParams(map[string][]byte{
		"a.yaml": []byte("train: {lr: 0.1, depth: null}\nother: 1\n"),
		"b.toml": []byte("seed = 1"),
	})
	want := map[string]lockfile.Value{"train.lr": 0.1, "seed": int64(1)}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadParams = %v, %v, want %v", got, err, want)
	}
}

func TestReadMetrics(t *testing.T) {
	stage := &Stage{Metrics: []Source{{"m.json", "test"}}}
	got, err := stage.ReadMetrics(map[string][]byte{"m.json": []byte(`{"test": {"f1": 0.5}, "when": "today"}`)})
	if want := (map[string]lockfile.Value{"test.f1": 0.5}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadMetrics = %v, %v, want %v", got, err, want)
	}
}

func TestReadRefuses(t *testing.T) {
	files := map[string][]byte{
		"a.toml": []byte("seed = 1"), "b.yaml": []byte("seed: 1"), "bad.json": []byte("{\n"), "text.json": []byte(`{"a": "b"}`),
	}
	for _, test := range []struct {
		sources []Source
		want    string
	}{
		{[]Source{{"a.toml", ""}, {"b.yaml", ""}}, `b.yaml: "seed" is in a.toml, too`},
		{[]Source{{"a.toml", "sed"}}, `a.toml: there is no value at "sed"; did you mean "seed"?`},
		{[]Source{{"c.toml", ""}}, "c.toml: file is missing"},
		{[]Source{{"bad.json", ""}}, "bad.json:2: file ends"},
		{[]Source{{"text.json", ""}}, `metric "a" is a string`},
	} {
		stage := &Stage{Metrics: test.sources}
		if _, err := stage.ReadMetrics(files); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("ReadMetrics of %v = %v, want %q", test.sources, err, test.want)
		}
	}
}
