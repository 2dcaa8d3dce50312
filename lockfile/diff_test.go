package lockfile

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/kept-dev/kept/cas"
)

func TestDiff(t *testing.T) {
	a, b := cas.Sum([]byte("a")), cas.Sum([]byte("b"))
	model := func(d cas.Digest) *Artifact { return &Artifact{Path: "m", Hash: d, Size: 1} }
	data := &Artifact{Path: "d", Hash: a}
	old := &Lock{
		Stages: map[string]*Stage{
			"train": {
				Command:     "python train.py",
				Artifacts:   map[string]*Artifact{"model": model(a)},
				Code:        map[string]*Input{"train.py": {Hash: a}, "old.py": {Hash: a}},
				Environment: &Environment{Runtime: "python 3.11.7", Packages: a, Files: map[string]cas.Digest{"uv.lock": a}},
				Inputs:      map[string]*Input{"data": {Hash: a, Size: 1, Sized: true}},
				Metrics:     map[string]Value{"acc": 0.5, "nan": math.NaN(), "n": int64(1)},
				Params:      map[string]Value{"lr": 0.1, "layers": []Value{int64(1)}},
				Unknown:     map[string]any{"future": int64(1)},
			},
			"gone": {Command: "true"},
		},
		Artifacts: map[string]*Artifact{"data": data},
	}
	now := &Lock{
		Stages: map[string]*Stage{
			"train": {
				Command:     "python train.py --fast",
				Artifacts:   map[string]*Artifact{"model": model(b)},
				Code:        map[string]*Input{"train.py": {Hash: b}},
				Environment: &Environment{Runtime: "python 3.12.0", Packages: a, Platform: "linux/amd64", Files: map[string]cas.Digest{"uv.lock": b}},
				History:     map[string]cas.Digest{"acc": a},
				Inputs:      map[string]*Input{"data": {Hash: a, Size: 1, Sized: true}},
				Metrics:     map[string]Value{"acc": 0.6, "nan": math.NaN(), "n": 1.0},
				Params:      map[string]Value{"layers": []Value{int64(1), int64(2)}, "seed": int64(7)},
				Unknown:     map[string]any{"future": int64(2)},
			},
		},
	}
	got := Diff(old, now)
	want := []Change{
		{"", KindArtifact, "data", data, nil},
		{"gone", KindStage, "", old.Stages["gone"], nil},
		{"gone", KindCommand, "", "true", nil},
		{"train", KindCommand, "", "python train.py", "python train.py --fast"},
		{"train", KindParam, "layers", []Value{int64(1)}, []Value{int64(1), int64(2)}},
		{"train", KindParam, "lr", 0.1, nil},
		{"train", KindParam, "seed", nil, int64(7)},
		{"train", KindMetric, "acc", 0.5, 0.6},
		{"train", KindMetric, "n", int64(1), 1.0},
		{"train", KindArtifact, "model", model(a), model(b)},
		{"train", KindCode, "old.py", &Input{Hash: a}, nil},
		{"train", KindCode, "train.py", &Input{Hash: a}, &Input{Hash: b}},
		{"train", KindEnvironment, "platform", nil, "linux/amd64"},
		{"train", KindEnvironment, "runtime", "python 3.11.7", "python 3.12.0"},
		{"train", KindEnvironmentFile, "uv.lock", a, b},
		{"train", KindHistory, "acc", nil, a},
		{"train", KindOther, "future", int64(1), int64(2)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Diff gives\n%s\nwant\n%s", list(got), list(want))
	}
	for _, c := range got {
		if c.Added() != (c.Old == nil) || c.Removed() != (c.New == nil) || c.Kind.String() == "" {
			t.Errorf("change %+v is inconsistent", c)
		}
	}
}

func list(changes []Change) string {
	var text string
	for _, c := range changes {
		text += fmt.Sprintf("%q %v %q: %v -> %v\n", c.Stage, c.Kind, c.Name, c.Old, c.New)
	}
	return text
}

func TestDiffOfNothing(t *testing.T) {
	lock, err := Parse(fiftyLines(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := Diff(nil, nil); len(got) != 0 {
		t.Errorf("two nil locks differ: %s", list(got))
	}
	if got := Diff(nil, New()); len(got) != 0 {
		t.Errorf("a nil lock is no empty one: %s", list(got))
	}
	added, removed := Diff(nil, lock), Diff(lock, nil)
	if len(added) == 0 || len(added) != len(removed) {
		t.Fatalf("%d changes from nothing, %d to nothing", len(added), len(removed))
	}
	for i := range added {
		if !added[i].Added() || added[i].Removed() || !removed[i].Removed() || removed[i].Added() {
			t.Errorf("%+v and %+v are not opposite", added[i], removed[i])
		}
		if !reflect.DeepEqual(added[i].New, removed[i].Old) {
			t.Errorf("%v was added and %v removed", added[i].New, removed[i].Old)
		}
	}
}

// Diff must not miss what Marshal writes, and not report what it does not write.
func TestDiffAgreesWithMarshal(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var locks []*Lock
	for _, file := range glob(t, "valid/*.lock", 20) {
		lock, err := Parse(read(t, file))
		if err != nil {
			t.Fatal(err)
		}
		locks = append(locks, lock)
	}
	for range 50 {
		lock := randomLock(random, 3)
		locks = append(locks, lock, rerun(random, lock, "s1"))
	}
	same, different := 0, 0
	for _, a := range locks {
		for _, b := range locks {
			equal := bytes.Equal(a.Marshal(), b.Marshal())
			if changes := Diff(a, b); equal != (len(changes) == 0) {
				t.Fatalf("bytes equal: %v, but Diff gives\n%s", equal, list(changes))
			}
			if equal {
				same++
			} else {
				different++
			}
		}
	}
	if same < 50 || different < 50 {
		t.Errorf("compared %d equal and %d different pairs: too few", same, different)
	}
}
