package core

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

func TestCurves(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "kept.toml"), []byte("[stage.train]\ncommand = \"true\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	put := func(data []byte) cas.Digest {
		t.Helper()
		d, _, err := p.Store.Put(t.Context(), bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a := put(lockfile.MarshalSeries([]lockfile.Point{{Step: 0, Value: 1.5}, {Step: 1, Value: math.NaN()}}))
	b := put(lockfile.MarshalSeries([]lockfile.Point{{Step: 0, Value: int64(1)}, {Step: 5, Value: 0.5}, {Step: 9, Value: 0.25}}))
	text := put([]byte("not a series\n"))
	huge := put(append([]byte("kept history 1\n"), bytes.Repeat([]byte("0 1\n"), maxSeries/4)...))
	missing := cas.Sum([]byte("nobody has this"))

	old, new := lockfile.New(), lockfile.New()
	old.Stages["train"] = &lockfile.Stage{History: map[string]cas.Digest{"loss": a, "same": a, "lost": missing, "gone": a, "text": text, "huge": huge}}
	old.Stages["alone"] = &lockfile.Stage{History: map[string]cas.Digest{"loss": b}}
	old.Stages["none"] = &lockfile.Stage{}
	new.Stages["train"] = &lockfile.Stage{History: map[string]cas.Digest{"loss": b, "same": a, "lost": b, "text": b, "huge": huge}}

	curves, err := p.Curves(t.Context(), old, new)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		stage, key string
		old, new   int
		err        string
	}{
		{"alone", "loss", 3, 0, ""},
		{"train", "gone", 2, 0, ""},
		{"train", "huge", 0, 0, "old history of train.huge: object"},
		{"train", "loss", 2, 3, ""},
		{"train", "lost", 0, 3, "old history of train.lost: object " + missing.String() + " is missing"},
		{"train", "same", 2, 2, ""},
		{"train", "text", 0, 3, "not a series of a metric"},
	}
	if len(curves) != len(tests) {
		t.Fatalf("got %d curves, want %d: %+v", len(curves), len(tests), curves)
	}
	for i, tt := range tests {
		c := curves[i]
		if c.Stage != tt.stage || c.Key != tt.key || len(c.Old) != tt.old || len(c.New) != tt.new {
			t.Errorf("curve %d: %s.%s with %d and %d points, want %+v", i, c.Stage, c.Key, len(c.Old), len(c.New), tt)
		}
		if (tt.err == "") != (c.Err == nil) || c.Err != nil && !strings.Contains(c.Err.Error(), tt.err) {
			t.Errorf("%s.%s: error %v, want %q", c.Stage, c.Key, c.Err, tt.err)
		}
	}
	var lost *cas.MissingError
	if !errors.As(curves[4].Err, &lost) || lost.Digest != missing {
		t.Errorf("error %v does not say which object is missing", curves[4].Err)
	}
	if !errors.Is(curves[2].Err, cas.ErrSize) {
		t.Errorf("error %v, want ErrSize", curves[2].Err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Curves(ctx, old, new); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the end of the context", err)
	}
}
