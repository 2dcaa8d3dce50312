package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidBranch(t *testing.T) {
	for name, want := range map[string]bool{
		"main": true, "feature/a-b": true, "release/1.2": true, "sentiment@v1.2.0": true, "ö": true, "@": true,
		"": false, "-x": false, "--upload-pack=x": false, "a b": false, "a..b": false, "a~1": false, "a^": false, "a:b": false, "a*": false,
		"a?": false, "a[": false, `a\b`: false, "a@{1}": false, "/a": false, "a/": false, "a//b": false, ".a": false, "a/.b": false,
		"a.lock": false, "a.lock/b": false, "a.": false, "a\nb": false, "a\x00": false, "a\x7f": false, strings.Repeat("a", 2000): false,
	} {
		if got := ValidBranch(name); got != want {
			t.Errorf("ValidBranch(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestRefs(t *testing.T) {
	w := newTree(t)
	id := w.commit("a", "1")
	w.git("branch", "team/a")
	w.git("tag", "-m", "one", "v1")
	w.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/main")
	got, err := w.find().Refs(t.Context(), "refs/tags/v1", "refs/heads/team", "refs/heads/*", "--format=x", "refs/remotes/origin/HEAD", "refs/heads/main")
	if err != nil {
		t.Fatal(err)
	}
	want := []Ref{
		{Name: "refs/tags/v1", ID: w.git("rev-parse", "v1")},
		{Name: "refs/remotes/origin/HEAD", ID: id, Target: "refs/heads/main"},
		{Name: "refs/heads/main", ID: id},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// A commit's message is somebody's text, and may look like a header.
func TestParents(t *testing.T) {
	w := newTree(t)
	first := w.commit("a", "1")
	w.git("commit", "-q", "--allow-empty", "-m", "x\n\nparent "+strings.Repeat("a", 40))
	second := w.git("rev-parse", "HEAD")
	w.git("checkout", "-q", "-b", "side", first)
	side := w.commit("b", "1")
	w.git("merge", "-q", "--no-edit", second)
	repo := w.find()
	for commit, want := range map[string][]string{first: nil, second: {first}, w.git("rev-parse", "HEAD"): {side, second}} {
		if got, err := repo.Parents(t.Context(), commit); err != nil || !slices.Equal(got, want) {
			t.Errorf("parents of %s: %v, %v; want %v", commit, got, err, want)
		}
	}
	if _, err := repo.Parents(t.Context(), strings.Repeat("a", 40)); err == nil {
		t.Error("a commit that is not there has parents")
	}
}

func TestFetchRefusesOptions(t *testing.T) {
	repo := newTree(t).find()
	var name *RefNameError
	if err := repo.FetchBranch(t.Context(), "--upload-pack=touch x", "", 1); !errors.As(err, &name) {
		t.Errorf("branch: %v", err)
	}
	if err := repo.FetchTag(t.Context(), "-x"); !errors.As(err, &name) {
		t.Errorf("tag: %v", err)
	}
	var rev *RevisionError
	if err := repo.FetchCommit(t.Context(), "--all"); !errors.As(err, &rev) {
		t.Errorf("commit: %v", err)
	}
}

// A server that wants a password gets none, and nobody is asked for it.
func TestFetchAsksNobody(t *testing.T) {
	skipOnWindows(t, "the stand-in for ssh is a shell script")
	bin := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" >\"" + bin + "/arguments\"\necho \"ssh://me:secret@host.invalid/x.git denied\" >&2\nexit 255\n"
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	w := newTree(t)
	w.commit("a", "1")
	w.git("remote", "add", "origin", "ssh://me:secret@host.invalid/x.git")
	err := w.find().FetchBranch(t.Context(), "main", "", 1)
	var failed *Error
	if !errors.As(err, &failed) || strings.Contains(failed.Stderr, "secret") || !strings.Contains(failed.Stderr, "ssh://host.invalid/x.git denied") {
		t.Errorf("got %v", err)
	}
	arguments, err := os.ReadFile(filepath.Join(bin, "arguments"))
	if err != nil || !strings.Contains(string(arguments), "-oBatchMode=yes") {
		t.Errorf("ssh was called with %q, %v", arguments, err)
	}
	// Whoever configured a command has one that needs no terminal.
	w.git("config", "core.sshCommand", "ssh -i key")
	if err := w.find().FetchBranch(t.Context(), "main", "", 1); err == nil {
		t.Error("fetched from nowhere")
	}
	if arguments, err = os.ReadFile(filepath.Join(bin, "arguments")); err != nil || !strings.HasPrefix(string(arguments), "-i key") {
		t.Errorf("ssh was called with %q, %v", arguments, err)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	skipOnWindows(t, "the stand-in for ssh is a shell command")
	w := newTree(t)
	w.commit("a", "1")
	w.git("remote", "add", "origin", "ssh://host.invalid/x.git")
	// It says nothing, and ends when nobody is left to read from.
	t.Setenv("GIT_SSH_COMMAND", "cat >/dev/null; :")
	t.Setenv("GIT_SSH_VARIANT", "simple")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("waited long enough"))
	defer cancel()
	err := w.find().FetchBranch(ctx, "main", "", 1)
	if err == nil || !strings.Contains(err.Error(), "waited long enough") {
		t.Errorf("got %v", err)
	}
	defer func(limit time.Duration) { fetchLimit = limit }(fetchLimit)
	fetchLimit = 300 * time.Millisecond
	if err := w.find().FetchBranch(t.Context(), "main", "", 1); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("got %v, want ErrNoAnswer", err)
	}
}
