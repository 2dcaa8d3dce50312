package report

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/core"
)

// unified writes a patch as "patch" reads it.
func unified(p Patch) string {
	var b strings.Builder
	b.WriteString("--- a\n+++ b\n")
	for _, h := range p.Hunks {
		b.WriteString(h.Header() + "\n")
		for _, l := range h.Lines {
			if l.Op == '\\' {
				b.WriteString("\\ No newline at end of file\n")
				continue
			}
			fmt.Fprintf(&b, "%c%s\n", l.Op, l.Text)
		}
	}
	return b.String()
}

func TestPatch(t *testing.T) {
	numbers := func(n int, edit map[int]string) string {
		var b strings.Builder
		for i := 1; i <= n; i++ {
			if text, ok := edit[i]; ok {
				b.WriteString(text)
				continue
			}
			fmt.Fprintf(&b, "line %d\n", i)
		}
		return b.String()
	}
	tests := []struct {
		name, old, new, want string
	}{
		{"one line in the middle", numbers(9, nil), numbers(9, map[int]string{5: "five\n"}),
			"@@ -2,7 +2,7 @@\n line 2\n line 3\n line 4\n-line 5\n+five\n line 6\n line 7\n line 8\n"},
		{"changes far apart are two hunks", numbers(20, nil), numbers(20, map[int]string{2: "", 18: "x\n"}),
			"@@ -1,5 +1,4 @@\n line 1\n-line 2\n line 3\n line 4\n line 5\n@@ -15,6 +14,6 @@\n line 15\n line 16\n line 17\n-line 18\n+x\n line 19\n line 20\n"},
		{"changes six lines apart are one", numbers(9, nil), numbers(9, map[int]string{1: "", 8: ""}),
			"@@ -1,9 +1,7 @@\n-line 1\n line 2\n line 3\n line 4\n line 5\n line 6\n line 7\n-line 8\n line 9\n"},
		{"a new file", "", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"a removed file", "a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
		{"an end of file", "a\nb", "a\nb\n", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"},
		{"the same", "a\n", "a\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := NewPatch(core.CodeFile{Path: "f", Old: []byte(test.old), New: []byte(test.new)})
			if got := strings.TrimPrefix(unified(p), "--- a\n+++ b\n"); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

// Random edits, put back together by "git apply", which is somebody else's reading of the format.
func TestPatchApplies(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 40 {
		old := randomText(rng, 200)
		new := edited(rng, old)
		if old == new {
			continue
		}
		dir := t.TempDir()
		file := filepath.Join(dir, "a")
		if err := os.WriteFile(file, []byte(old), 0o666); err != nil {
			t.Fatal(err)
		}
		patch := strings.Replace(unified(NewPatch(core.CodeFile{Path: "a", Old: []byte(old), New: []byte(new)})), "--- a\n+++ b\n", "--- a/a\n+++ b/a\n", 1)
		cmd := exec.Command("git", "apply", "--unsafe-paths", "-")
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(patch)
		cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "GIT_DIR=/nonexistent")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("round %d: git apply: %v\n%s\n%s", round, err, out, patch)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != new {
			t.Fatalf("round %d: applying the patch gives another text (%v)", round, err)
		}
	}
}

// More different lines than there are code points below the surrogates, which
// is how the library numbers them.
func TestPatchManyLines(t *testing.T) {
	var old, new strings.Builder
	for i := range 80_000 {
		fmt.Fprintf(&old, "%d\n", i)
		if i != 70_000 {
			fmt.Fprintf(&new, "%d\n", i)
		}
	}
	p := NewPatch(core.CodeFile{Path: "f", Old: []byte(old.String()), New: []byte(new.String())})
	want := "@@ -69998,7 +69998,6 @@\n 69997\n 69998\n 69999\n-70000\n 70001\n 70002\n 70003\n"
	if got := strings.TrimPrefix(unified(p), "--- a\n+++ b\n"); got != want {
		t.Errorf("got %d bytes: %.300s", len(got), got)
	}
}

func randomText(rng *rand.Rand, n int) string {
	var b strings.Builder
	for range rng.IntN(n) + 1 {
		fmt.Fprintf(&b, "%s\n", strings.Repeat("x", rng.IntN(6)))
	}
	return strings.TrimSuffix(b.String(), strings.Repeat("\n", rng.IntN(2)))
}

func edited(rng *rand.Rand, text string) string {
	lines := strings.SplitAfter(text, "\n")
	for range rng.IntN(8) + 1 {
		i := rng.IntN(len(lines))
		switch rng.IntN(3) {
		case 0:
			lines[i] = ""
		case 1:
			lines[i] = fmt.Sprintf("new %d\n", rng.IntN(100)) + lines[i]
		case 2:
			lines[i] = "y\n"
		}
	}
	return strings.Join(lines, "")
}
