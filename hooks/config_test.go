package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfiguredHooks(t *testing.T) {
	c := newClone(t)
	before := c.contents()
	c.install() // by an older Git
	c.version = configHooks
	report := c.install()
	want := "post-index-change: config runs\npost-checkout: config runs\npre-commit: config runs\npre-push: config runs\n"
	if got := summary(report); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for _, event := range Events {
		if exists(c.path(".git/hooks/" + string(event))) {
			t.Errorf("%s is in a file as well", event)
		}
		if got := c.git("config", "--local", "--get-all", "hook.kept-"+string(event)+".event"); got != string(event) {
			t.Errorf("event of %s: got %q", event, got)
		}
		if got := c.git("config", "--local", "hook.kept-"+string(event)+".command"); got != hookCommand(event, quote(c.kept)) {
			t.Errorf("command of %s came back as %q", event, got)
		}
	}
	installed := c.contents()
	c.install()
	if c.contents() != installed {
		t.Error("installing again changed something")
	}

	c.git("config", "hook.kept-pre-commit.enabled", "false")
	c.git("config", "hook.post-checkout.enabled", "off")
	for i, want := range []bool{true, false, false} {
		if s := c.status().Events[i]; s.Runs != want || want == (s.Note != "") {
			t.Errorf("switched off: %+v", s)
		}
	}
	c.git("config", "--unset", "hook.kept-pre-commit.enabled")
	c.git("config", "--unset", "hook.post-checkout.enabled")
	c.uninstall()
	if after := c.contents(); after != before {
		t.Errorf("uninstall left\n%s\n%s\nof what was\n%s", after, c.read(".git/config"), before)
	}
}

func TestConfiguredHooksUnderOlderGit(t *testing.T) {
	c := newClone(t)
	c.version = configHooks
	c.install()
	c.version = fileHooks
	for _, s := range c.status().Events {
		if s.Runs || s.Place != InConfig || s.Advice != "kept hooks install" {
			t.Errorf("got %+v", s)
		}
	}
	if got := summary(c.install()); strings.Contains(got, "config") || strings.Count(got, "file runs") != 4 {
		t.Errorf("got\n%s", got)
	}
}

func TestAttributes(t *testing.T) {
	tests := []struct {
		name, have, want string
		added            bool
	}{
		{"none", "", attributesLine + "\n", true},
		{"others", "*.bin filter=lfs\n", "*.bin filter=lfs\n" + attributesLine + "\n", true},
		{"no line end", "a b", "a b\n" + attributesLine + "\n", true},
		{"crlf", "a b\r\n", "a b\r\n" + attributesLine + "\r\n", true},
		{"there", attributesLine + "\n* -text\n", "", false},
		{"there in other words", "**/kept.lock  diff=kept merge=kept -whitespace\ttext eol=lf\r\n", "", false},
		{"half of it", "kept.lock merge=kept\n", "kept.lock merge=kept\n" + attributesLine + "\n", true},
		{"commented out", "# " + attributesLine + "\n", "# " + attributesLine + "\n" + attributesLine + "\n", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newClone(t)
			if test.have != "" {
				c.write(".gitattributes", test.have)
			}
			if test.want == "" {
				test.want = test.have
			}
			added, err := AddAttributes(c.dir)
			if added != test.added || err != nil {
				t.Errorf("got %t, %v, want %t", added, err, test.added)
			}
			if got := c.read(".gitattributes"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if added, err := AddAttributes(c.dir); added || err != nil {
				t.Errorf("again: got %t, %v", added, err)
			}
			if !c.status().Attributes {
				t.Error("Status does not see it")
			}
			if got := c.git("check-attr", "merge", "--", "deep/er/kept.lock"); !strings.HasSuffix(got, "merge: kept") {
				t.Errorf("Git reads it as %q", got)
			}
		})
	}
	c := newClone(t)
	if err := os.Symlink("elsewhere", c.path(".gitattributes")); err != nil {
		t.Fatal(err)
	}
	if _, err := AddAttributes(c.dir); err == nil {
		t.Error("wrote through a link that Git does not follow")
	}
}

// TestStatusOfSharedConfig: hooks that a user configured for all repositories
// are no install's, and run all the same.
func TestStatusOfSharedConfig(t *testing.T) {
	c := newClone(t)
	c.version = configHooks
	t.Setenv("PATH", filepath.Dir(c.kept)+string(os.PathListSeparator)+os.Getenv("PATH"))
	shared := filepath.Join(t.TempDir(), "gitconfig")
	t.Setenv("GIT_CONFIG_GLOBAL", shared)
	for _, event := range Events {
		c.git("config", "--global", configName(event)+".command", "kept hook "+string(event))
		c.git("config", "--global", configName(event)+".event", string(event))
	}
	before, err := os.ReadFile(shared)
	if err != nil {
		t.Fatal(err)
	}
	const want = "post-index-change: config runs\npost-checkout: config runs\npre-commit: config runs\npre-push: config runs\n"
	report, err := c.installer().Status(t.Context())
	if got := summary(report); got != want || err != nil {
		t.Errorf("before: got\n%swant\n%s(%v)", got, want, err)
	}
	if got := summary(c.install()); got != want {
		t.Errorf("installed: got\n%swant\n%s", got, want)
	}
	if got := summary(c.uninstall()); got != want {
		t.Errorf("uninstalled: got\n%swant\n%s", got, want)
	}
	if after, err := os.ReadFile(shared); string(after) != string(before) {
		t.Errorf("the user's config was changed: %v\n%s", err, after)
	}
}
