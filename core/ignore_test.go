package core

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIgnoredWithoutGit holds that what is said to be ignored without asking Git, Git ignores.
func TestIgnoredWithoutGit(t *testing.T) {
	r := newRepository(t)
	names := []string{"data", "a b", "we[i]rd*", "sub/deep/data", "!not", "#no"}
	lines := []string{"", "# text", "/other", "!/data", "!data", "!*", "*.bin", "/sub/", "!sub/deep", "\r", "\\!data"}
	for _, name := range names {
		lines = append(lines, "/"+escapeIgnore(name), "/"+escapeIgnore(name)+"\r", "/"+escapeIgnore(name)+"x", "/"+name+"/*", "!/"+escapeIgnore(name))
	}
	random := rand.New(rand.NewPCG(1, 2))
	p := &Project{Repository: r}
	said := 0
	for round := range 300 {
		os.RemoveAll(r.Workspace.Abs("sub"))
		for _, folder := range []string{"", "sub", "sub/deep"} {
			if folder != "" && random.IntN(3) > 0 {
				continue
			}
			var text strings.Builder
			if folder == "" {
				text.WriteString("/" + escapeIgnore(names[round%len(names)]) + "\n")
			}
			for range random.IntN(6) {
				text.WriteString(lines[random.IntN(len(lines))] + "\n")
			}
			file := r.Workspace.Abs(filepath.Join(folder, ".gitignore"))
			if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
			os.Remove(file)
			var err error
			if folder == "" && round%10 == 0 {
				err = os.WriteFile(file+".other", []byte(text.String()), 0o666)
				if os.Symlink(file+".other", file) != nil {
					t.Log("no links here")
				}
			} else {
				err = os.WriteFile(file, []byte(text.String()), 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		ignored, err := r.Git.Ignored(t.Context(), names)
		if err != nil {
			t.Fatal(err)
		}
		perhaps := fmt.Sprintf("%q", p.perhapsSeen(names))
		for _, name := range names {
			if strings.Contains(perhaps, fmt.Sprintf("%q", name)) {
				continue
			}
			said++
			if !ignored[name] {
				text, _ := os.ReadFile(r.Workspace.Abs(".gitignore"))
				t.Errorf("%q is said to be ignored by %q", name, text)
			}
		}
	}
	if said < 100 {
		t.Errorf("only %d paths were said to be ignored", said)
	}
}
