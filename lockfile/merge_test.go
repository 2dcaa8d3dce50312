package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
)

// randomLock returns a lock with stages s0, s1, … of all shapes.
func randomLock(random *rand.Rand, stages int) *Lock {
	lock := New()
	for i := range stages {
		name := fmt.Sprintf("s%d", i)
		lock.Stages[name] = randomStage(random, name)
	}
	return lock
}

func randomDigest(random *rand.Rand) (d cas.Digest) {
	for i := range d {
		d[i] = byte(1 + random.IntN(255))
	}
	return d
}

func randomStage(random *rand.Rand, name string) *Stage {
	s := &Stage{
		Command:   "python " + name + ".py",
		Artifacts: map[string]*Artifact{},
		Code:      map[string]*Input{name + ".py": {Hash: randomDigest(random)}},
		Inputs:    map[string]*Input{},
		Metrics:   map[string]Value{},
		Params:    map[string]Value{},
		History:   map[string]cas.Digest{},
	}
	for i := range random.IntN(3) {
		s.Artifacts[fmt.Sprintf("a%d", i)] = &Artifact{Path: fmt.Sprintf("%s/a%d", name, i), Hash: randomDigest(random), Size: random.Int64N(1000)}
	}
	for i := range random.IntN(3) {
		s.Inputs[fmt.Sprintf("data/%d", i)] = &Input{Hash: randomDigest(random), Size: random.Int64N(1000), Sized: true}
	}
	for i := range random.IntN(8) {
		s.Metrics[fmt.Sprintf("m%d", i)] = random.Float64()
	}
	for i := range random.IntN(5) {
		s.Params[fmt.Sprintf("p%d", i)] = random.Int64N(10)
	}
	if random.IntN(2) == 0 {
		s.Environment = &Environment{Platform: "linux/amd64", Runtime: "python 3.11.7", Packages: randomDigest(random)}
	}
	return s
}

// rerun returns a copy of the lock in which the stage ran again with another
// outcome: values change, and keys and whole tables come and go.
func rerun(random *rand.Rand, lock *Lock, name string) *Lock {
	out := New()
	out.Artifacts = maps.Clone(lock.Artifacts)
	maps.Copy(out.Stages, lock.Stages)
	old := lock.Stages[name]
	s := &Stage{
		Command:     old.Command,
		Artifacts:   maps.Clone(old.Artifacts),
		Code:        maps.Clone(old.Code),
		Environment: old.Environment,
		History:     maps.Clone(old.History),
		Inputs:      maps.Clone(old.Inputs),
		Metrics:     maps.Clone(old.Metrics),
		Params:      maps.Clone(old.Params),
	}
	out.Stages[name] = s
	for s.Digest(name) == old.Digest(name) {
		for range 1 + random.IntN(5) {
			change(random, s, name)
		}
	}
	return out
}

func change(random *rand.Rand, s *Stage, name string) {
	digit := random.IntN(8)
	switch random.IntN(10) {
	case 0:
		s.Metrics[fmt.Sprintf("m%d", digit)] = random.Float64()
	case 1:
		delete(s.Metrics, fmt.Sprintf("m%d", digit))
	case 2:
		clear(s.Metrics)
	case 3:
		s.Params[fmt.Sprintf("p%d", digit)] = random.Int64N(100)
	case 4:
		clear(s.Params)
	case 5:
		s.Artifacts[fmt.Sprintf("a%d", digit)] = &Artifact{Path: fmt.Sprintf("%s/a%d", name, digit), Hash: randomDigest(random), Size: random.Int64N(1000)}
	case 6:
		delete(s.Artifacts, fmt.Sprintf("a%d", digit))
	case 7:
		s.Inputs[fmt.Sprintf("data/%d", digit)] = &Input{Hash: randomDigest(random), Size: random.Int64N(1000), Sized: true}
	case 8:
		s.History[fmt.Sprintf("m%d", digit)] = randomDigest(random)
	case 9:
		s.Environment = &Environment{Platform: "linux/arm64", Runtime: fmt.Sprintf("python 3.%d", digit)}
	}
}

// gitMerge merges as a server without a merge driver does.
func gitMerge(t *testing.T, base, ours, theirs []byte) (merged []byte, clean bool) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"merge-file", "-p", "--quiet"}
	for name, data := range map[string][]byte{"ours": ours, "base": base, "theirs": theirs} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := exec.Command("git", append(args, "ours", "base", "theirs")...)
	git.Dir = dir
	git.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_DIR="+dir)
	merged, err := git.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if exit.ExitCode() < 0 || exit.ExitCode() > 127 {
			t.Fatalf("git merge-file: %v: %s", err, exit.Stderr)
		}
		return merged, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return merged, true
}

func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
}

// The layout alone keeps a lock honest: Git's text merge, which is all that
// most servers run, never mixes two runs of one stage.
func TestTextMergeOfOneStageConflicts(t *testing.T) {
	needGit(t)
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 2))
	for i := range 150 {
		base := randomLock(random, 1+random.IntN(4))
		name := fmt.Sprintf("s%d", random.IntN(len(base.Stages)))
		ours, theirs := rerun(random, base, name), rerun(random, base, name)
		if i%5 == 0 { // both sides add the stage
			delete(base.Stages, name)
		}
		if bytes.Equal(ours.Marshal(), theirs.Marshal()) {
			continue
		}
		merged, clean := gitMerge(t, base.Marshal(), ours.Marshal(), theirs.Marshal())
		if clean {
			t.Fatalf("pair %d: git merged two results of stage %s to\n%s", i, name, merged)
		}
		if _, ok := errors.AsType[*ConflictError](parseError(merged)); !ok {
			t.Fatalf("pair %d: the conflict was not recognised in\n%s", i, merged)
		}
	}
}

func parseError(data []byte) error {
	_, err := Parse(data)
	return err
}

func TestTextMergeOfDifferentStagesIsClean(t *testing.T) {
	needGit(t)
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 4))
	for i := range 250 {
		base := randomLock(random, 2+random.IntN(4))
		a := random.IntN(len(base.Stages) - 1)
		b := a + 1 // neighbours are the hard case
		if i%3 == 0 {
			b = a + 1 + random.IntN(len(base.Stages)-a-1)
		}
		ours := rerun(random, base, fmt.Sprintf("s%d", a))
		theirs := rerun(random, base, fmt.Sprintf("s%d", b))
		if i%2 == 0 {
			ours, theirs = theirs, ours
		}
		merged, clean := gitMerge(t, base.Marshal(), ours.Marshal(), theirs.Marshal())
		if !clean {
			t.Fatalf("pair %d: stages s%d and s%d conflict:\n%s", i, a, b, merged)
		}
		want, conflicts, err := Merge(base.Marshal(), ours.Marshal(), theirs.Marshal(), MergeOptions{})
		if err != nil || conflicts != 0 || !bytes.Equal(merged, want) {
			t.Fatalf("pair %d: Merge gives %d conflicts, %v and\n%s\nbut git\n%s", i, conflicts, err, want, merged)
		}
	}
}

// Where stages and artifacts come and go beside each other, a text merge may
// conflict, but what it merges is what Merge gives.
func TestTextMergeIsNeverWrong(t *testing.T) {
	needGit(t)
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 6))
	clean := 0
	for i := range 120 {
		base := randomLock(random, 3)
		sides := make([]*Lock, 2)
		for j := range sides {
			sides[j] = rerun(random, base, fmt.Sprintf("s%d", random.IntN(3)))
			switch name := fmt.Sprintf("s%d", random.IntN(6)); random.IntN(3) {
			case 0:
				delete(sides[j].Stages, name)
			case 1:
				sides[j].Stages[name] = randomStage(random, name)
			case 2:
				sides[j].Artifacts[name] = &Artifact{Path: "kept/" + name, Hash: randomDigest(random)}
			}
		}
		texts := [][]byte{base.Marshal(), sides[0].Marshal(), sides[1].Marshal()}
		merged, ok := gitMerge(t, texts[0], texts[1], texts[2])
		if !ok || parseError(merged) != nil {
			continue
		}
		clean++
		want, conflicts, err := Merge(texts[0], texts[1], texts[2], MergeOptions{})
		if err != nil || conflicts != 0 || !bytes.Equal(merged, want) {
			t.Fatalf("pair %d: Merge gives %d conflicts, %v and\n%s\nbut git\n%s", i, conflicts, err, want, merged)
		}
	}
	if clean < 20 {
		t.Errorf("only %d of 120 text merges were clean: the test says little", clean)
	}
	t.Logf("%d of 120 text merges were clean", clean)
}

func TestMerge(t *testing.T) {
	lock := func(blocks ...string) []byte {
		l := New()
		for _, block := range blocks {
			name, value, _ := strings.Cut(block, "=")
			switch kind := name[0]; kind {
			case 's':
				l.Stages[name] = &Stage{Command: value}
			case 'a':
				l.Artifacts[name] = &Artifact{Path: "kept/" + value, Hash: cas.Sum([]byte(value))}
			default:
				if l.Unknown == nil {
					l.Unknown = map[string]any{}
				}
				l.Unknown[name] = value
				if value == "table" {
					l.Unknown[name] = map[string]any{"key": value}
				}
			}
		}
		return l.Marshal()
	}
	for _, test := range []struct {
		name               string
		base, ours, theirs []byte
		merged             []byte // nil where there are conflicts
		conflicts          int
		// keepOurs and keepTheirs are what remains when a person keeps one side of every conflict.
		keepOurs, keepTheirs []byte
	}{
		{name: "nothing changed", base: lock("s=1", "a=1"), ours: lock("s=1", "a=1"), theirs: lock("s=1", "a=1"), merged: lock("s=1", "a=1")},
		{name: "different stages", base: lock("s1=1", "s2=1"), ours: lock("s1=2", "s2=1"), theirs: lock("s1=1", "s2=3"), merged: lock("s1=2", "s2=3")},
		{name: "same change", base: lock("s=1"), ours: lock("s=2"), theirs: lock("s=2"), merged: lock("s=2")},
		{name: "same addition", base: lock(), ours: lock("s=2"), theirs: lock("s=2"), merged: lock("s=2")},
		{name: "same removal", base: lock("s=1", "s2=1"), ours: lock("s2=1"), theirs: lock("s2=1"), merged: lock("s2=1")},
		{name: "different additions", base: lock(), ours: lock("s1=1", "a1=1"), theirs: lock("s2=2", "a2=2"), merged: lock("s1=1", "s2=2", "a1=1", "a2=2")},
		{name: "without base", base: nil, ours: lock("s1=1"), theirs: lock("s2=2"), merged: lock("s1=1", "s2=2")},
		{name: "removed by us", base: lock("s1=1", "s2=1"), ours: lock("s2=1"), theirs: lock("s1=1", "s2=2"), merged: lock("s2=2")},
		{name: "removed by them", base: lock("s1=1", "s2=1"), ours: lock("s1=1", "s2=2"), theirs: lock("s2=1"), merged: lock("s2=2")},
		{name: "unknown keys", base: lock("x=1", "y=1"), ours: lock("x=2", "y=1"), theirs: lock("x=1", "y=table", "z=3"), merged: lock("x=2", "y=table", "z=3")},
		{
			name: "one stage", base: lock("s1=1", "s2=1", "s3=1"), ours: lock("s1=1", "s2=2", "s3=1"), theirs: lock("s1=1", "s2=3", "s3=3"),
			conflicts: 1, keepOurs: lock("s1=1", "s2=2", "s3=3"), keepTheirs: lock("s1=1", "s2=3", "s3=3"),
		},
		{
			name: "both added without base", base: []byte("\n"), ours: lock("s=2"), theirs: lock("s=3"),
			conflicts: 1, keepOurs: lock("s=2"), keepTheirs: lock("s=3"),
		},
		{
			name: "changed against removed", base: lock("s1=1", "s2=1"), ours: lock("s1=2", "s2=1"), theirs: lock("s2=1"),
			conflicts: 1, keepOurs: lock("s1=2", "s2=1"), keepTheirs: lock("s2=1"),
		},
		{
			name: "removed against changed, last", base: lock("s1=1", "s2=1"), ours: lock("s1=1"), theirs: lock("s1=1", "s2=2"),
			conflicts: 1, keepOurs: lock("s1=1"), keepTheirs: lock("s1=1", "s2=2"),
		},
		{
			name: "everything", base: lock("a1=1", "s1=1", "s2=1", "x=1"), ours: lock("a1=2", "s1=2", "x=2"), theirs: lock("a1=3", "s1=3", "s2=3", "x=3"),
			conflicts: 4, keepOurs: lock("a1=2", "s1=2", "x=2"), keepTheirs: lock("a1=3", "s1=3", "s2=3", "x=3"),
		},
		{
			name: "two artifacts at one place", base: lock("a0=1"), ours: lock("a0=1", "a1=m"), theirs: lock("a0=1", "a2=m/x"),
			conflicts: 2, keepOurs: lock("a0=1", "a1=m"), keepTheirs: lock("a0=1", "a2=m/x"),
		},
		{
			name: "several artifacts in one place", base: lock(), ours: lock("a5=m/x", "a6=m/y", "a7=n"), theirs: lock("a1=m", "a2=n/a", "a3=n/b", "a4=o"),
			conflicts: 6, keepOurs: lock("a5=m/x", "a6=m/y", "a7=n", "a4=o"), keepTheirs: lock("a1=m", "a2=n/a", "a3=n/b", "a4=o"),
		},
		{
			name: "artifact moves to a place that the other side takes", base: lock("a1=1"), ours: lock("a1=1", "a2=m"), theirs: lock("a1=M"),
			conflicts: 2, keepOurs: lock("a1=1", "a2=m"), keepTheirs: lock("a1=M"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, opts := range []MergeOptions{{}, {MarkerSize: 12, Ours: "HEAD", Theirs: "their branch", Base: "1a2b3c4"}} {
				merged, conflicts, err := Merge(test.base, test.ours, test.theirs, opts)
				if err != nil {
					t.Fatal(err)
				}
				if conflicts != test.conflicts {
					t.Errorf("%d conflicts, want %d", conflicts, test.conflicts)
				}
				if test.conflicts == 0 {
					if !bytes.Equal(merged, test.merged) {
						t.Errorf("merged\n%s\nwant\n%s", merged, test.merged)
					}
					continue
				}
				if _, ok := errors.AsType[*ConflictError](parseError(merged)); !ok {
					t.Errorf("no conflict is seen in\n%s", merged)
				}
				if got := resolve(t, merged, opts, '<'); !bytes.Equal(got, test.keepOurs) {
					t.Errorf("kept our side of\n%s\nand got\n%s\nwant\n%s", merged, got, test.keepOurs)
				}
				if got := resolve(t, merged, opts, '='); !bytes.Equal(got, test.keepTheirs) {
					t.Errorf("kept their side of\n%s\nand got\n%s\nwant\n%s", merged, got, test.keepTheirs)
				}
			}
		})
	}
}

// resolve keeps what follows the given marker in every conflict, and checks the markers' form.
func resolve(t *testing.T, merged []byte, opts MergeOptions, keep byte) []byte {
	t.Helper()
	labels := map[byte]string{'<': opts.Ours, '|': opts.Base, '>': opts.Theirs}
	var out []byte
	section := byte('>')
	for line := range bytes.Lines(merged) {
		size := max(opts.MarkerSize, 7)
		marker := line[0]
		if !strings.ContainsRune("<|=>", rune(marker)) {
			if section == '>' || section == keep {
				out = append(out, line...)
			}
			continue
		}
		want := strings.Repeat(string(marker), size)
		if labels[marker] != "" {
			want += " " + labels[marker]
		}
		if string(line) != want+"\n" {
			t.Errorf("marker %q, want %q", line, want)
		}
		section = marker
	}
	return out
}

func TestMergeShowsWholeBlocks(t *testing.T) {
	base, _ := Parse(New().Marshal())
	base.Stages["train"] = &Stage{Command: "a", Metrics: map[string]Value{"x": int64(1), "y": int64(1)}}
	random := rand.New(rand.NewPCG(9, 8))
	ours, theirs := rerun(random, base, "train"), rerun(random, base, "train")
	merged, _, err := Merge(base.Marshal(), ours.Marshal(), theirs.Marshal(), MergeOptions{Ours: "ours", Theirs: "theirs"})
	if err != nil {
		t.Fatal(err)
	}
	want := comment + "version = 1\n\n<<<<<<< ours\n" + ours.Stages["train"].block("train") +
		"=======\n" + theirs.Stages["train"].block("train") + ">>>>>>> theirs\n"
	if string(merged) != want {
		t.Errorf("merged\n%s\nwant\n%s", merged, want)
	}
}

func TestMergeRefuses(t *testing.T) {
	good := fiftyLines(t)
	spliced := bytes.Replace(good, []byte("0.8242"), []byte("0.9"), 1)
	for name, sides := range map[string][3][]byte{
		"spliced base":     {spliced, good, good},
		"spliced ours":     {good, spliced, good},
		"spliced theirs":   {good, good, spliced},
		"empty ours":       {good, nil, good},
		"conflict":         {good, good, append([]byte("<<<<<<< ours\n"), good...)},
		"table or a value": {New().Marshal(), []byte(comment + "version = 1\nx = 1\n"), []byte(comment + "version = 1\n\n[x]\ny = 1\n")},
	} {
		if merged, _, err := Merge(sides[0], sides[1], sides[2], MergeOptions{}); err == nil || merged != nil {
			t.Errorf("%s: Merge gives %v and\n%s", name, err, merged)
		}
	}
}

// Whatever two people do, a merged lock holds only blocks that one of them has,
// and keeping one side of every conflict gives a lock in canonical form.
func TestMergeOfRandomLocks(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 10))
	conflicted := 0
	for range 300 {
		base := randomLock(random, 4)
		texts := [][]byte{base.Marshal()}
		for range 2 {
			side := base
			for range random.IntN(3) {
				side = rerun(random, side, slices.Sorted(maps.Keys(side.Stages))[random.IntN(len(side.Stages))])
				if random.IntN(3) == 0 {
					delete(side.Stages, fmt.Sprintf("s%d", random.IntN(3)))
				}
			}
			texts = append(texts, side.Marshal())
		}
		merged, conflicts, err := Merge(texts[0], texts[1], texts[2], MergeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if conflicts > 0 {
			conflicted++
		}
		for _, keep := range []byte("<=") {
			resolved := resolve(t, merged, MergeOptions{}, keep)
			lock, err := Parse(resolved)
			if err != nil {
				t.Fatalf("%v in\n%s", err, resolved)
			}
			if !bytes.Equal(lock.Marshal(), resolved) {
				t.Fatalf("not canonical:\n%s", resolved)
			}
			checkOrigin(t, lock, texts[1], texts[2])
		}
	}
	if conflicted < 20 || conflicted > 280 {
		t.Errorf("%d of 300 merges conflict: the test says little", conflicted)
	}
}

// checkOrigin fails where the merged lock has a block that neither side has.
func checkOrigin(t *testing.T, merged *Lock, sides ...[]byte) {
	t.Helper()
	var known []string
	for _, side := range sides {
		lock, err := Parse(side)
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range lock.units() {
			known = append(known, unit.text)
		}
	}
	for _, unit := range merged.units() {
		if !slices.Contains(known, unit.text) {
			t.Errorf("neither side has this block:\n%s", unit.text)
		}
	}
}
