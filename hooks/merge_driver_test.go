package hooks

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// diverge makes branches that change the first and the last of three lines, or the same one.
func diverge(c *clone, ours, theirs string) {
	c.t.Helper()
	c.write(".gitattributes", attributesLine+"\n")
	c.git("add", ".gitattributes")
	c.write("sub dir/kept.lock", "a\nb\nc\n")
	c.git("add", ".")
	c.git("commit", "-q", "-m", "base")
	c.git("checkout", "-q", "-b", "topic")
	c.write("sub dir/kept.lock", theirs)
	c.git("commit", "-q", "-a", "-m", "theirs")
	c.git("checkout", "-q", "main")
	c.write("sub dir/kept.lock", ours)
	c.git("commit", "-q", "-a", "-m", "ours")
}

// TestMergeDriverCommand has Git itself run the configured command.
func TestMergeDriverCommand(t *testing.T) {
	const driver = "[ \"$1\" = merge-driver ] || exit 0; echo \"$#: $5 $6\" >>\"$KEPT_TEST_CALLS\"; "
	tests := []struct {
		name, kept string
		ours       string
		merged     bool
		want       string
	}{
		{"kept merges", driver + "echo merged >\"$3\"; exit 0", "a1\nb\nc\n", true, "merged\n"},
		{"kept has conflicts", driver + "echo marked >\"$3\"; exit 1", "a1\nb\nc\n", false, "marked\n"},
		{"kept dies", driver + "exit 2", "a\nb\nc1\n", false, "<<<<<<< ours\nc1\n=======\nc2\n>>>>>>> theirs\n"},
		{"kept is killed", driver + "kill -9 $$", "a\nb\nc1\n", false, "<<<<<<< ours\nc1\n=======\nc2\n>>>>>>> theirs\n"},
		{"kept is gone", "", "a\nb\nc1\n", false, "<<<<<<< ours\nc1\n=======\nc2\n>>>>>>> theirs\n"},
		{"kept is gone, nothing conflicts", "", "a1\nb\nc\n", true, "a1\nb\nc2\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newClone(t)
			t.Setenv("KEPT_TEST_CALLS", c.calls)
			diverge(c, test.ours, "a\nb\nc2\n")
			c.install()
			c.called()
			if test.kept == "" {
				os.Remove(c.kept)
			} else {
				c.script(c.kept, test.kept)
			}
			out, err := c.tryGit("merge", "-q", "topic")
			if (err == nil) != test.merged {
				t.Errorf("git merge: %v\n%s", err, out)
			}
			if got := c.read("sub dir/kept.lock"); !strings.HasSuffix(got, test.want) {
				t.Errorf("got %q, want %q at its end", got, test.want)
			}
			if calls := c.called(); test.kept != "" && !strings.Contains(calls, "6: 7 sub dir/kept.lock") {
				t.Errorf("called as %q", calls)
			}
		})
	}
}

func TestForeignDriverStays(t *testing.T) {
	c := newClone(t)
	c.git("config", "merge.kept.driver", "true")
	before := c.read(".git/config")
	if report := c.install(); report.Driver {
		t.Error("somebody else's driver passes for ours")
	}
	c.uninstall()
	if got := c.read(".git/config"); got != before {
		t.Errorf("got %q, want %q", got, before)
	}
}

func TestMergeDriver(t *testing.T) {
	dir := t.TempDir()
	var paths [3]string
	for i, text := range []string{"a\nb\nc\n", "a1\nb\nc\n", "a2\nb\nc\n"} {
		paths[i] = filepath.Join(dir, string(rune('0'+i)))
		if err := os.WriteFile(paths[i], []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	joined := func(base, ours, theirs []byte, size int) ([]byte, int, error) {
		return bytes.Join([][]byte{base, ours, theirs, bytes.Repeat([]byte("<"), size)}, nil), 2, nil
	}
	n, err := mergeFiles(t.Context(), joined, paths[0], paths[1], paths[2], 9, "kept.lock")
	data, _ := os.ReadFile(paths[1])
	if want := "a\nb\nc\na1\nb\nc\na2\nb\nc\n<<<<<<<<<"; n != 2 || err != nil || string(data) != want {
		t.Errorf("got %d, %v, %q, want %q", n, err, data, want)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 3 {
		t.Errorf("it left %d files, want 3", len(entries))
	}

	if err := os.WriteFile(paths[1], []byte("a1\nb\nc\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	refuses := func(base, ours, theirs []byte, size int) ([]byte, int, error) { return nil, 0, errors.New("no lock") }
	n, err = mergeFiles(t.Context(), refuses, paths[0], paths[1], paths[2], 7, "kept.lock")
	data, _ = os.ReadFile(paths[1])
	if want := "<<<<<<< ours\na1\n=======\na2\n>>>>>>> theirs\nb\nc\n"; n != 1 || err != nil || string(data) != want {
		t.Errorf("as text: got %d, %v, %q, want %q", n, err, data, want)
	}
	if _, err := mergeFiles(t.Context(), refuses, paths[0], paths[1], filepath.Join(dir, "gone"), 7, "kept.lock"); err == nil {
		t.Error("a missing side was merged")
	}
}
