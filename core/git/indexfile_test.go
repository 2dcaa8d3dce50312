package git

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFilesAreWhatGitLists compares the reading of the index with ls-files, in
// every layout: those that are left to Git have to be told apart.
func TestFilesAreWhatGitLists(t *testing.T) {
	for _, c := range []struct {
		name    string
		init    []string
		config  [][]string
		inIndex bool
	}{
		{"plain", nil, nil, true},
		{"version 4", nil, [][]string{{"update-index", "--index-version", "4"}}, false},
		{"split", nil, [][]string{{"update-index", "--split-index"}}, false},
		{"untracked cache", nil, [][]string{{"update-index", "--force-untracked-cache"}}, true},
		{"intent to add", nil, [][]string{{"add", "-N", "late/kept.lock"}}, true},
		{"skip worktree", nil, [][]string{{"update-index", "--skip-worktree", "kept.lock"}}, true},
		{"sha256", []string{"--object-format=sha256"}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			git := func(args ...string) string {
				t.Helper()
				cmd := exec.Command("git", args...)
				cmd.Dir = dir
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
				}
				return string(out)
			}
			write := func(name string) {
				file := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(name), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			git(append([]string{"init", "-q"}, c.init...)...)
			for _, name := range []string{"kept.lock", "a/kept.lock", "a/kept.loc", "a/kept.loca", "not-kept.lock", "kept.lock.d/x", "z/ü/kept.lock"} {
				write(name)
			}
			for i := range 40 {
				write(fmt.Sprintf("many/%s/kept.lock", strings.Repeat("x", i+1)))
			}
			git("add", ".")
			write("late/kept.lock")
			for _, args := range c.config {
				git(args...)
			}
			repo, err := Find(dir)
			if err != nil {
				t.Fatal(err)
			}
			want, err := repo.listFiles(t.Context(), "kept.lock")
			if err != nil || len(want) < 43 {
				t.Fatalf("ls-files lists %d files, %v", len(want), err)
			}
			got, ok := repo.filesInIndex("kept.lock")
			if ok != c.inIndex {
				t.Fatalf("filesInIndex knows the layout: %v, want %v", ok, c.inIndex)
			}
			if ok && !slices.Equal(got, want) {
				t.Errorf("filesInIndex = %q, ls-files %q", got, want)
			}
			asked := []string{"kept.lock", "kept.loc", "a", "a/kept.lock", "a/kept.lock/x", "many/xxx", "many/xxxx/kept", "late", "z", "z/ü", ".", "none"}
			listed, err := repo.listTracked(t.Context(), asked)
			if err != nil {
				t.Fatal(err)
			}
			read, ok := repo.trackedInIndex(asked)
			if ok != c.inIndex {
				t.Fatalf("trackedInIndex knows the layout: %v, want %v", ok, c.inIndex)
			}
			for _, name := range asked {
				if ok && read[name] != listed[name] {
					t.Errorf("%q is tracked: %v, ls-files says %v", name, read[name], listed[name])
				}
			}
			if got, err := repo.Files(t.Context(), "kept.lock"); err != nil || !slices.Equal(got, want) {
				t.Errorf("Files = %q, %v, want %q", got, err, want)
			}
		})
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte("DIRC\x00\x00\x00\x02\x00\x00\x00\x00" + strings.Repeat("\x00", 20)))
	f.Add([]byte("DIRC\x00\x00\x00\x03\x00\x00\x00\x01" + strings.Repeat("\x00", 62) + "kept.lock\x00" + strings.Repeat("\x00", 40)))
	f.Fuzz(func(t *testing.T, data []byte) {
		size := 0
		parseIndex(data, func(path string, _ bool) {
			if path == "" || strings.Contains(path, "\x00") {
				t.Errorf("parseIndex has the path %q", path)
			}
			size += len(path)
		})
		if size > len(data) {
			t.Errorf("the paths have %d bytes, of %d", size, len(data))
		}
	})
}
