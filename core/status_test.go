package core

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// appending is a workspace.Progress that makes a file longer whenever something
// was read, as a program does that goes on writing.
type appending struct {
	t    *testing.T
	file string
}

func (a appending) Add(n int64) {
	if n <= 0 {
		return
	}
	f, err := os.OpenFile(a.file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		a.t.Error(err)
		return
	}
	defer f.Close()
	if _, err := f.WriteString("more"); err != nil {
		a.t.Error(err)
	}
}

// Status says what is being written and does not fail for it, nor wait until it is done.
func TestStatusWhileSomebodyWrites(t *testing.T) {
	r := newRepository(t)
	file := filepath.Join(r.Git.Root, "model.bin")
	if err := os.WriteFile(file, bytes.Repeat([]byte("model"), 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	lock := lockfile.New()
	lock.Stages["train"] = &lockfile.Stage{Artifacts: map[string]*lockfile.Artifact{"model": {Path: "model.bin", Hash: cas.Sum(nil)}}}
	lock.Stages["test"] = &lockfile.Stage{}
	if err := os.WriteFile(filepath.Join(r.Git.Root, lockfile.Name), lock.Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	experiment, err := pipeline.Parse([]byte(`
[stage.train]
command = "train"
artifacts = { model = "model.bin" }
[stage.test]
command = "test"
inputs = ["model.bin"]
`))
	if err != nil {
		t.Fatal(err)
	}
	r.Workspace.Progress = appending{t, file}
	st, err := (&Project{Repository: r, Experiment: experiment}).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Artifacts) != 1 || st.Artifacts[0].State != Writing {
		t.Errorf("the artifacts are %+v", st.Artifacts)
	}
	for _, s := range st.Stages {
		want := map[string]string{"train": "artifact model is being written", "test": "model.bin is being written"}[s.Name]
		if got := s.Reasons[len(s.Reasons)-1].String(); got != want {
			t.Errorf("stage %s: %s", s.Name, got)
		}
	}
}
