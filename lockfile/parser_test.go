package lockfile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestParser reads all vectors twice, and each beside the others.
func TestParser(t *testing.T) {
	files, err := filepath.Glob(vectors + "/*/*.lock")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	var v Parser
	for range 2 {
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checkVersions(t, &v, data)
		}
	}
}

// checkVersions compares with Parse.
func checkVersions(t *testing.T, v *Parser, data []byte) {
	t.Helper()
	want, wantErr := Parse(data)
	got, err := v.Parse(data)
	if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
		t.Fatalf("got %v, want %v for\n%s", err, wantErr, data)
	}
	if err == nil && !bytes.Equal(got.Marshal(), want.Marshal()) {
		t.Fatalf("got\n%s\nwant\n%s", got.Marshal(), want.Marshal())
	}
}

func TestParserShareBlocks(t *testing.T) {
	lock := New()
	for _, name := range []string{"a.b", "prepare", "train"} {
		lock.Stages[name] = &Stage{Command: "x", Metrics: map[string]Value{"n": int64(1)}}
	}
	var v Parser
	one, err := v.Parse(lock.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	lock.Stages["train"].Metrics["n"] = int64(2)
	two, err := v.Parse(lock.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	for name, shared := range map[string]bool{"a.b": true, "prepare": true, "train": false} {
		if (one.Stages[name] == two.Stages[name]) != shared {
			t.Errorf("stage %s: shared is not %v", name, shared)
		}
	}
	if one.Stages["train"].Metrics["n"] != int64(1) || two.Stages["train"].Metrics["n"] != int64(2) {
		t.Error("a changed block was taken for the one before")
	}
	if len(Diff(one, two)) != 1 {
		t.Errorf("got %v", Diff(one, two))
	}
}

// FuzzParser looks for a lock that Parse refuses, or reads otherwise.
func FuzzParser(f *testing.F) {
	for _, pattern := range []string{"/valid/*.lock", "/invalid/*.lock"} {
		files, err := filepath.Glob(vectors + pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			f.Add(read(f, file))
		}
	}
	f.Add([]byte(comment + "version = 1\n\n[stage.a]")) // ends in a header
	f.Fuzz(func(t *testing.T, data []byte) {
		var v Parser
		checkVersions(t, &v, data)
		checkVersions(t, &v, data)
	})
}
