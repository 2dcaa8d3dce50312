package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestGitProcesses holds how many processes of Git the commands start that people
// and CI run all day: under Linux each takes as long as kept itself.
func TestGitProcesses(t *testing.T) {
	s := newRepository(t, copyStage)
	s.write("kept.toml", s.read("kept.toml")+"\n[gate.\"a.score\"]\nmin = 0\n")
	// A remote costs nothing before it is used.
	s.write("kept.toml", s.read("kept.toml")+"\n[remote.default]\nurl = \"bucket\"\n")
	for _, content := range []string{"1", "2"} {
		s.record(content)
	}
	s.write("new.bin", "1")
	for _, c := range []struct {
		line string
		most int
	}{
		{"version", 0},
		{"status", 0},
		{"remote list", 0},
		{"add new.bin", 1}, // whether it is ignored
		{"add new.bin", 0},
		{"diff", 1},
		{"diff HEAD~1", 1},
		{"diff HEAD~1 HEAD", 1},
		{"diff HEAD~1..HEAD", 2},
		{"show HEAD~1", 1},
		{"gate", 5}, // HEAD, the branches, whether the lock on disk is that of HEAD (twice), the base
	} {
		trace := filepath.Join(t.TempDir(), "trace")
		traced := *s
		traced.env = append(traced.env[:len(traced.env):len(traced.env)], "GIT_TRACE="+trace)
		out, _ := traced.try("kept", strings.Fields(c.line)...)
		text := ""
		if found, err := filepath.Glob(trace); err == nil && len(found) > 0 {
			text = (&sandbox{t: t, dir: filepath.Dir(trace)}).read("trace")
		}
		if n := strings.Count(text, "trace: built-in: "); n > c.most || n == 0 && c.most > 0 {
			t.Errorf("kept %s started %d processes of Git, want 1 to %d:\n%s%s", c.line, n, c.most, text, out)
		}
	}
}
