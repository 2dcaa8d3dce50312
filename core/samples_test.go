package core

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

// Runs count for a side where nothing but the seed could explain another value.
func TestSamples(t *testing.T) {
	block := func(change func(*lockfile.Stage)) *lockfile.Stage {
		s := &lockfile.Stage{
			Command:     "sh train.sh",
			Code:        map[string]*lockfile.Input{"train.sh": {Hash: cas.Sum([]byte("code"))}},
			Inputs:      map[string]*lockfile.Input{"data": {Hash: cas.Sum([]byte("data")), Sized: true, Size: 4}},
			Params:      map[string]lockfile.Value{"lr": 0.1, "seed": int64(1)},
			Metrics:     map[string]lockfile.Value{"accuracy": 0.8, "n": int64(3)},
			Environment: &lockfile.Environment{Platform: "linux/amd64"},
		}
		if change != nil {
			change(s)
		}
		return s
	}
	seeded := func(seed int64, accuracy float64) func(*lockfile.Stage) {
		return func(s *lockfile.Stage) { s.Params["seed"], s.Metrics["accuracy"] = seed, accuracy }
	}
	const record = `{"stage":"train","experiment":".","status":"locked","seeds":["seed"]}`
	tests := []struct {
		name, record string
		change       func(*lockfile.Stage)
		counts       bool
	}{
		{"the same", record, nil, true},
		{"the same draw again", record, nil, false},
		{"another seed", record, seeded(2, 0.81), true},
		{"another seed that came to the same", record, seeded(3, 0.8), true},
		{"another parameter", record, func(s *lockfile.Stage) { s.Params["lr"] = 0.2 }, false},
		{"one parameter more", record, func(s *lockfile.Stage) { s.Params["momentum"] = 0.2 }, false},
		{"another command", record, func(s *lockfile.Stage) { s.Command = "true" }, false},
		{"other code", record, func(s *lockfile.Stage) { s.Code["train.sh"].Hash = cas.Sum(nil) }, false},
		{"other data", record, func(s *lockfile.Stage) { s.Inputs["data"].Hash = cas.Sum(nil) }, false},
		{"another platform", record, func(s *lockfile.Stage) { s.Environment.Platform = "darwin/arm64" }, false},
		{"not locked", `{"stage":"train","experiment":".","status":"failed","seeds":["seed"]}`, seeded(4, 0.7), false},
		{"another experiment", `{"stage":"train","experiment":"b","status":"locked","seeds":["seed"]}`, seeded(5, 0.7), false},
		{"a seed that the record does not list", `{"stage":"train","experiment":".","status":"locked","seeds":[]}`, seeded(6, 0.7), false},
		{"no seed at all", `{"stage":"train","experiment":".","status":"locked","seeds":[]}`, func(s *lockfile.Stage) { s.Metrics["accuracy"] = 0.79 }, true},
		{"broken record", `{"stage":`, seeded(7, 0.7), false},
	}
	dir := t.TempDir()
	p := &Project{Repository: &Repository{Local: NewLocal(&git.Repo{CommonDir: dir})}}
	side := lockfile.New()
	side.Stages["train"] = block(nil)
	want := 0
	for i, test := range tests {
		run := filepath.Join(p.Local.Runs(), string(rune('a'+i)))
		lock := lockfile.New()
		lock.Stages["train"] = block(test.change)
		if err := os.MkdirAll(run, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"run.json": []byte(test.record), lockfile.Name: lock.Marshal()} {
			if err := os.WriteFile(filepath.Join(run, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if test.counts {
			want++
		}
		base, head := p.samples(side, lockfile.New())
		if got := base["train.accuracy"]; len(got) != want || len(base["train.n"]) != want {
			t.Errorf("%s: got %v, want %d values", test.name, got, want)
			want = len(got)
		}
		if len(head) != 0 {
			t.Errorf("%s: the head has no stage, and got %v", test.name, head)
		}
	}
	// Two metrics of one name have no samples.
	side.Stages["train.small"] = &lockfile.Stage{Metrics: map[string]lockfile.Value{"n": int64(1)}}
	side.Stages["train"].Metrics["small.n"] = int64(2)
	samples := metrics.Samples{"train.small.n": {1}, "train.n": {1}}
	if dropAmbiguous(samples, side); len(samples) != 1 || samples["train.n"] == nil {
		t.Errorf("got %v", samples)
	}
}
