package main

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
)

const logsCurves = `set -e
for i in 0 1 2 3; do
	kept log-metric loss $((FACTOR * (9 - i))).5 --step $((10 * i))
	kept log-metric accuracy 0.$i --step $i
done
`

func TestPlotCurves(t *testing.T) {
	s := newSandbox(t).in("repo")
	s.write("kept.toml", "[stage.train]\ncommand = \"sh train.sh\"\ncode = [\"train.sh\"]\n")
	s.write("train.sh", "FACTOR=2\n"+logsCurves)
	s.run("git", "init", "-q")
	plotted := func(from, file string) (string, error) {
		t.Helper()
		p, err := core.Open(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.Diff(t.Context(), from, "")
		if err != nil {
			t.Fatal(err)
		}
		var words bytes.Buffer
		err = (&ui{out: &words, err: &words}).plotCurves(t.Context(), p, c, filepath.Join(s.dir, file))
		return words.String(), err
	}

	var none *noCurvesError
	if _, err := plotted("", "a.svg"); !errors.As(err, &none) || hint(err) != "kept log-metric --help" || exitCode(err) != exitInconclusive {
		t.Errorf("without a history: %v, hint %q", err, hint(err))
	}
	s.run("kept", "run")
	s.run("git", "add", "-A")
	s.run("git", "commit", "-qm", "one")
	s.write("train.sh", "FACTOR=1\n"+logsCurves)
	s.run("kept", "run")

	words, err := plotted("HEAD", "a.svg")
	if err != nil || !strings.Contains(words, "drew 2 metrics by step to ") {
		t.Fatalf("%v, said %q", err, words)
	}
	svg := s.read("a.svg")
	for _, want := range []string{
		"<title>HEAD → working tree</title>",
		"train.loss: HEAD 4 points from 18.5 to 12.5, between 12.5 and 18.5; working tree 4 points from 9.5 to 6.5, between 6.5 and 9.5.",
		">train.accuracy</text>",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in the SVG", want)
		}
	}
	// What changed comes first.
	if strings.Index(svg, ">train.loss<") > strings.Index(svg, ">train.accuracy<") {
		t.Error("the metric that changed comes last")
	}

	// A link that lies in the way is replaced; what it leads to stays.
	s.write("precious", "mine")
	if err := os.Symlink("precious", filepath.Join(s.dir, "b.PNG")); err != nil {
		t.Fatal(err)
	}
	if _, err := plotted("HEAD", "b.PNG"); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(strings.NewReader(s.read("b.PNG"))); err != nil || s.read("precious") != "mine" {
		t.Errorf("PNG: %v; the link's target holds %.20q", err, s.read("precious"))
	}

	for file, want := range map[string]string{"a.gif": "ends neither in .svg nor in .png", "no/such/a.svg": "there is no folder"} {
		if _, err := plotted("HEAD", file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, ".kept-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	// A history that the store lost is said, and the others are drawn; when all are lost, that is the error.
	p, err := core.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := p.Lock()
	if err != nil {
		t.Fatal(err)
	}
	history := lock.Stages["train"].History
	old, err := p.LockAt(t.Context(), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	before := old.Stages["train"].History
	loseAllBut(t, p, history["accuracy"], before["accuracy"], before["loss"])
	words, err = plotted("HEAD", "a.svg")
	if err != nil || !strings.Contains(words, "not drawn: new history of train.loss: object "+history["loss"].String()+" is missing") {
		t.Errorf("%v, said %q", err, words)
	}
	loseAllBut(t, p)
	var missing *cas.MissingError
	if _, err = plotted("HEAD", "a.svg"); !errors.As(err, &missing) || exitCode(err) != exitInconclusive {
		t.Errorf("error %v, want a missing object", err)
	}
}

// loseAllBut removes everything else from the store.
func loseAllBut(t *testing.T, p *core.Project, keep ...cas.Digest) {
	t.Helper()
	store, err := cas.OpenLocal(p.Local.Store())
	if err != nil {
		t.Fatal(err)
	}
	live := func(_ context.Context, each func(cas.Digest) error) error {
		for _, d := range keep {
			if err := each(d); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := store.Collect(t.Context(), cas.CollectOptions{Live: live}); err != nil {
		t.Fatal(err)
	}
}
