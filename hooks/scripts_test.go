package hooks

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shell runs a hook's text as Git does and returns what it wrote to stderr.
func shell(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	err := cmd.Run()
	return stderr.String(), err
}

// TestTexts runs all three forms of every hook in every state of kept.
func TestTexts(t *testing.T) {
	c := newClone(t)
	file, chained := filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "chained")
	for _, event := range Events {
		quoted := quote(c.kept)
		c.script(file, hookText(event, quoted))
		c.script(chained, insertLine("#!/bin/sh\nset -eu\nexit 0\n", hookLine(event, quoted, false)))
		// What Git 2.54 makes of hook.<name>.command, see prepare_shell_cmd.
		command := hookCommand(event, quoted)
		forms := map[string][]string{
			"file":    {file, "a b", "$x'"},
			"chained": {chained, "a b", "$x'"},
			"config":  {"sh", "-c", command + ` "$@"`, command, "a b", "$x'"},
		}
		for form, args := range forms {
			t.Run(string(event)+" "+form, func(t *testing.T) {
				if out, err := shell(t, args[0], args[1:]...); err != nil || out != "" {
					t.Errorf("got %v, %q", err, out)
				}
				if got, want := c.called(), "kept hook "+string(event)+" a b $x'\n"; got != want {
					t.Errorf("called %q, want %q", got, want)
				}

				t.Setenv("KEPT_TEST_EXIT", "3")
				_, err := shell(t, args[0], args[1:]...)
				// Git ignores the status of post-index-change; that of post-checkout
				// would become the user's.
				if event.refuses() && err == nil || event == PostCheckout && err != nil {
					t.Errorf("kept failed: the hook ended with %v", err)
				}
				c.called()

				t.Setenv("KEPT_HOOK", "1")
				if out, err := shell(t, args[0], args[1:]...); err != nil || out != "" || c.called() != "" {
					t.Errorf("called from kept: got %v, %q", err, out)
				}
				os.Unsetenv("KEPT_HOOK")

				moved := filepath.Join(t.TempDir(), "kept")
				if err := os.Rename(c.kept, moved); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := os.Rename(moved, c.kept); err != nil {
						t.Fatal(err)
					}
				}()
				updated := append(args[:len(args)-2:len(args)-2], "1", "0")
				out, err := shell(t, args[0], updated[1:]...)
				if err != nil || strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "kept: command not found") {
					t.Errorf("kept is gone: got %v, %q", err, out)
				}
				t.Setenv("PATH", filepath.Dir(moved)+string(os.PathListSeparator)+os.Getenv("PATH"))
				os.Unsetenv("KEPT_TEST_EXIT")
				if out, err := shell(t, args[0], updated[1:]...); err != nil || out != "" {
					t.Errorf("kept is in PATH: got %v, %q", err, out)
				}
				if got, want := c.called(), "kept hook "+string(event)+" 1 0\n"; got != want {
					t.Errorf("kept is in PATH: called %q, want %q", got, want)
				}
			})
		}
	}
}

func TestMissingKeptIsSilentAboutGitAdd(t *testing.T) {
	c := newClone(t)
	c.install()
	os.Remove(c.kept)
	c.write("kept.lock", "2")
	if out := c.git("add", "kept.lock"); out != "" {
		t.Errorf("git add said %q", out)
	}
	if out := c.git("reset", "-q", "--hard"); !strings.Contains(out, "artifacts were not restored") {
		t.Errorf("git reset said %q", out)
	}
}

func TestFailingRestoreDoesNotFailCheckout(t *testing.T) {
	c := newClone(t)
	c.commit("2")
	c.install()
	t.Setenv("KEPT_TEST_EXIT", "7")
	c.git("checkout", "-q", "HEAD~")
	c.git("restore", "-s", "main", "kept.lock")
	if calls := c.called(); strings.Count(calls, "post-checkout") != 2 {
		t.Errorf("called %q", calls)
	}
	if _, err := c.tryGit("commit", "-q", "-a", "-m", "3"); err == nil {
		t.Error("a commit that the hook refused went through")
	}
}

func TestFindOurs(t *testing.T) {
	for _, event := range Events {
		for _, binary := range []string{"", "/usr/bin/kept", "/it's/a \"kept\" $x", `/back\slash`} {
			quoted := ""
			if binary != "" {
				quoted = quote(binary)
			}
			want := ours{version: textVersion, whole: true, binary: binary}
			if got, ok := findOurs(event, hookText(event, quoted)); !ok || got != want {
				t.Errorf("file: got %+v, want %+v", got, want)
			}
			want.whole, want.made = false, true
			if got, ok := findOurs(event, "# x\n"+hookLine(event, quoted, true)); !ok || got != want {
				t.Errorf("line: got %+v, want %+v", got, want)
			}
		}
		for _, other := range []string{"", "#!/bin/sh\n", "#!/bin/sh\n# kept hook 1: post-merge\nexit 0\n", "kept hook post-checkout\n", hookText("post-merge", "")} {
			if got, ok := findOurs(event, other); ok {
				t.Errorf("%q was taken for ours: %+v", other, got)
			}
		}
	}
	if got := quote("/a\nb"); got != "" {
		t.Errorf("a path with a line feed was quoted: %q", got)
	}
}

func TestIsShell(t *testing.T) {
	for _, text := range []string{"", "echo x\n", "#!/bin/sh\n", "#!/bin/sh -e\n", "#! /usr/bin/env bash\n", "#!/usr/bin/env -S zsh -f\n", "#!/bin/dash\r\n", "#!/opt/my tools/ksh\n"} {
		if !isShell(text) && !strings.Contains(text, "my tools") {
			t.Errorf("%q is shell", text)
		}
	}
	for _, text := range []string{"#!/usr/bin/env python3\n", "#!/usr/bin/fish\n", "#!/bin/csh\n", "#!/bin/tcsh\n", "\x7fELF\x00", "#!/usr/bin/env node\n", "#!/bin/shiny\n", "\uFEFF#!/bin/sh\n"} {
		if isShell(text) {
			t.Errorf("%q is not shell", text)
		}
	}
}

// FuzzLine: whatever a script holds, taking our line out gives it back.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{"", "\n", "#!/bin/sh", "#!/bin/sh\n", "#!/bin/sh\r\nexit\r\n", "exit 0", "#!/bin/sh\n\n\n", "#!\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		for _, event := range Events {
			if _, mine := findOurs(event, content); mine || !isShell(content) {
				continue
			}
			text := insertLine(content, hookLine(event, "'/kept'", false))
			if _, ok := findOurs(event, text); !ok {
				t.Fatalf("our line is not found in %q", text)
			}
			if got := removeLine(event, text); got != content {
				t.Fatalf("got %q back, want %q", got, content)
			}
		}
	})
}
