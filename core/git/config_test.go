package git

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	w := newTree(t)
	w.commit("a", "1")
	w.git("worktree", "add", "-q", "../linked")
	w.git("config", "extensions.worktreeConfig", "true")
	linked := w.at("../linked").find()
	value := `sh -c 'a "b" \ # ; %O' "é"	x `
	if err := linked.SetConfig(t.Context(), "merge.kept.driver", value); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := w.find().Config(t.Context(), "merge.kept.driver"); got != value || !ok || err != nil {
		t.Errorf("from the main worktree: got %q, %t, %v, want %q", got, ok, err, value)
	}
	if got, ok, err := linked.Config(t.Context(), "user.name"); got != "A U Thor" || !ok || err != nil {
		t.Errorf("the user's own setting: got %q, %t, %v", got, ok, err)
	}
	local, err := linked.LocalConfig(t.Context(), `^(merge|user)\.`)
	if err != nil || len(local) != 1 || !slices.Equal(local["merge.kept.driver"], []string{value}) {
		t.Errorf("LocalConfig = %v, %v", local, err)
	}
	for range 2 {
		if err := linked.UnsetConfig(t.Context(), "merge.kept.driver"); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := w.find().Config(t.Context(), "merge.kept.driver"); ok || err != nil {
		t.Errorf("after unset: %t, %v", ok, err)
	}
	for _, bad := range []string{"a\nb", "a\r", "\x00", "\x1b[m"} {
		if err := linked.SetConfig(t.Context(), "merge.kept.name", bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestHooksDir(t *testing.T) {
	w := newTree(t)
	w.commit("a/b", "1")
	w.git("worktree", "add", "-q", "../linked")
	lib := newTree(t)
	lib.commit("a", "1")
	w.git("submodule", "--quiet", "add", lib.dir, "lib")
	check := func(at, want string) {
		t.Helper()
		if got, err := w.at(at).find().HooksDir(t.Context()); got != want || err != nil {
			t.Errorf("in %s: got %q, %v, want %q", at, got, err, want)
		}
	}
	hooks := filepath.Join(w.dir, ".git", "hooks")
	check(".", hooks)
	check("a", hooks)
	check("../linked", hooks)
	check("lib", filepath.Join(w.dir, ".git", "modules", "lib", "hooks"))
	w.git("config", "core.hooksPath", ".husky/_")
	check("a", filepath.Join(w.dir, ".husky", "_"))
	check("../linked", filepath.Join(w.at("../linked").dir, ".husky", "_"))
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"git version 2.39.5\n":                   {2, 39, 5},
		"git version 2.39.5 (Apple Git-154)\n":   {2, 39, 5},
		"git version 2.54.0.windows.1\n":         {2, 54, 0},
		"git version 2.55.GIT":                   {2, 55, 0},
		"git version 2.55.0.rc1.12.gabcdef":      {2, 55, 0},
		"warning: x\ngit version 3.0.0-custom\n": {3, 0, 0},
	} {
		if got, err := ParseVersion(text); got != want || err != nil {
			t.Errorf("ParseVersion(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "git", "hub version 2.1", "git version x.y", "git version 99999999999999999999.1"} {
		if _, err := ParseVersion(text); err == nil || !strings.Contains(err.Error(), "version") {
			t.Errorf("ParseVersion(%q): got %v, want an error", text, err)
		}
	}
	for v, want := range map[Version]bool{{2, 53, 9}: false, {2, 54, 0}: true, {3, 0, 0}: true, {1, 99, 0}: false} {
		if got := v.AtLeast(2, 54); got != want {
			t.Errorf("%v.AtLeast(2, 54) = %t", v, got)
		}
	}
	if v, err := ProgramVersion(); err != nil || !v.AtLeast(2, 0) {
		t.Errorf("ProgramVersion = %v, %v", v, err)
	}
}
