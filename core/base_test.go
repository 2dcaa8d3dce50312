package core

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/core/git"
)

// server is a bare repository as a hosting service has it. Its history:
//
//	m1 … m9 ─── m10 … m200         main
//	  \    \           \
//	   \    \            merge     refs/pull/1/merge, refs/pipelines/1: m200 and f2
//	    \     f1 ─ f2              feature
//	      o1 ─ … ─ o80             old: its merge base is 200 commits away from main
//
// u1 is an orphan branch and r1 a release branch off m200; tag v1 is m5.
type server struct {
	t   *testing.T
	dir string
	ids map[string]string
	// format is the object format, "" for the usual one.
	format string
}

// init makes a repository of the server's format.
func (s server) init(args ...string) {
	s.t.Helper()
	if s.format != "" {
		args = append([]string{"--object-format=" + s.format}, args...)
	}
	s.git(".", "", append([]string{"init", "-q"}, args...)...)
}

func newServer(t *testing.T, settings ...string) server { return newServerOf(t, "", settings...) }

func newServerOf(t *testing.T, format string, settings ...string) server {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "gitconfig")
	text := "[user]\n name = Ada\n email = ada@example.org\n[init]\n defaultBranch = main\n[protocol \"file\"]\n allow = always\n[advice]\n detachedHead = false\n" +
		"[gc]\n auto = 0\n[maintenance]\n auto = false\n" // nothing may work on after a test
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "GIT_") {
			t.Setenv(name, "") // so that it is put back
			os.Unsetenv(name)
		}
	}
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("HOME", dir)
	s := server{t: t, dir: filepath.Join(dir, "server.git"), ids: map[string]string{}, format: format}
	s.init("--bare", s.dir)
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		s.git(s.dir, "", "config", key, value)
	}
	s.build()
	return s
}

// build writes the history in one go.
func (s server) build() {
	var stream strings.Builder
	marks := map[string]int{}
	commit := func(name, ref string, parents ...string) {
		marks[name] = len(marks) + 1
		fmt.Fprintf(&stream, "commit %s\nmark :%d\ncommitter Ada <ada@example.org> %d +0000\ndata 0\n", ref, marks[name], 1700000000+len(marks))
		for i, p := range parents {
			fmt.Fprintf(&stream, "%s :%d\n", []string{"from", "merge"}[i], marks[p])
		}
		for _, file := range []string{"kept.toml", "kept.lock"} {
			text := ""
			if file == "kept.lock" {
				text = "lock of " + name
			}
			fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", file, len(text), text)
		}
		stream.WriteByte('\n')
	}
	commit("m1", "refs/heads/main")
	for n := 2; n <= 200; n++ {
		commit(fmt.Sprint("m", n), "refs/heads/main", fmt.Sprint("m", n-1))
	}
	commit("f1", "refs/heads/feature", "m9")
	commit("f2", "refs/heads/feature", "f1")
	commit("merge", "refs/pull/1/merge", "m200", "f2")
	commit("o1", "refs/heads/old", "m1")
	for n := 2; n <= 80; n++ {
		commit(fmt.Sprint("o", n), "refs/heads/old", fmt.Sprint("o", n-1))
	}
	commit("r1", "refs/heads/release", "m200")
	commit("u1", "refs/heads/orphan")
	s.git(s.dir, stream.String(), "fast-import", "--quiet", "--export-marks="+filepath.Join(s.dir, "marks"))
	table, err := os.ReadFile(filepath.Join(s.dir, "marks"))
	if err != nil {
		s.t.Fatal(err)
	}
	byMark := map[string]string{}
	for line := range strings.Lines(string(table)) {
		mark, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		byMark[mark] = id
	}
	for name, mark := range marks {
		s.ids[name] = byMark[fmt.Sprint(":", mark)]
	}
	s.git(s.dir, "", "update-ref", "refs/pipelines/1", s.ids["merge"])
	s.git(s.dir, "", "update-ref", "refs/pipelines/2", s.ids["f2"])
	s.git(s.dir, "", "update-ref", "refs/pipelines/3", s.ids["m200"])
	s.git(s.dir, "", "tag", "-m", "first", "v1", s.ids["m5"])
}

func (s server) git(dir, input string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// name returns what the history calls a commit.
func (s server) name(id string) string {
	for name, is := range s.ids {
		if is == id {
			return name
		}
	}
	return id
}

func (s server) url() string { return "file://" + filepath.ToSlash(s.dir) }

// empty makes a clone with nothing in it, as CI systems start.
func (s server) empty() string {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "work")
	s.init(dir)
	s.git(dir, "", "remote", "add", "origin", s.url())
	return dir
}

// checkoutAction does what actions/checkout does for a ref.
func (s server) checkoutAction(depth, commit, ref string) string {
	dir := s.empty()
	local := strings.NewReplacer("refs/heads/", "refs/remotes/origin/", "refs/pull/", "refs/remotes/pull/").Replace(ref)
	args := []string{"-c", "protocol.version=2", "fetch", "--no-tags", "--prune", "--no-recurse-submodules"}
	if depth == "0" {
		args = append(args, "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
		if !strings.HasPrefix(ref, "refs/heads/") {
			args = append(args, "+"+commit+":"+local)
		}
	} else {
		args = append(args, "--depth="+depth, "origin", "+"+commit+":"+local)
	}
	s.git(dir, "", args...)
	s.git(dir, "", "checkout", "-q", "--force", commit)
	return dir
}

// gitlabRunner does what a runner does for a pipeline.
func (s server) gitlabRunner(depth, pipeline, commit string) string {
	dir := s.empty()
	args := []string{"fetch", "origin", "+" + pipeline + ":" + pipeline, "--prune", "--quiet"}
	if depth != "0" {
		args = append(args, "--depth", depth)
	}
	s.git(dir, "", args...)
	s.git(dir, "", "checkout", "-f", "-q", commit)
	return dir
}

// event writes the file of a GitHub event; {name} stands for a commit's id.
func (s server) event(text string) string {
	s.t.Helper()
	for name, id := range s.ids {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
	}
	file := filepath.Join(s.t.TempDir(), "event.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// find opens the clone and looks for the base. What it finds has to be readable.
func (s server) find(dir, spec string, env map[string]string) (Base, error) {
	s.t.Helper()
	p, err := Open(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	base, err := p.FindBase(s.t.Context(), spec, lookup(env))
	if err != nil {
		return Base{}, err
	}
	lock, err := p.Git.ReadFile(s.t.Context(), base.Commit, "kept.lock")
	if want := "lock of " + s.name(base.Commit); err != nil || string(lock) != want {
		s.t.Errorf("lock at the base: %q, %v; want %q", lock, err, want)
	}
	return base, nil
}

// open is a server that gives everything, as GitHub and GitLab do; strict gives
// advertised refs only. Protocol 2 has no such restriction, so a client that has
// to be refused must speak an older one.
var open = []string{"uploadpack.allowFilter=true", "uploadpack.allowAnySHA1InWant=true"}

func (s server) strict() {
	s.git(s.dir, "", "config", "--global", "protocol.version", "0")
	s.git(s.dir, "", "config", "uploadpack.allowFilter", "false")
	s.git(s.dir, "", "config", "uploadpack.allowAnySHA1InWant", "false")
}

func TestFindBaseInGitHubActions(t *testing.T) {
	s := newServer(t, open...)
	pull := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/1/merge",
		"GITHUB_BASE_REF": "main", "GITHUB_SHA": s.ids["merge"],
		// base.sha is where main was when the branch was last pushed to.
		"GITHUB_EVENT_PATH": s.event(`{"pull_request":{"base":{"ref":"main","sha":"{m150}"},"head":{"sha":"{f2}"}},"repository":{"default_branch":"main"}}`),
	}
	push := func(before, head, branch string) map[string]string {
		return map[string]string{
			"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/" + branch, "GITHUB_SHA": s.ids[head],
			"GITHUB_EVENT_PATH": s.event(`{"before":"` + before + `","repository":{"default_branch":"main"}}`),
		}
	}
	for _, test := range []struct {
		name             string
		head, ref        string
		env              map[string]string
		spec, want, note string
	}{
		{"pull request", "merge", "refs/pull/1/merge", pull, "", "m200", "main before the pull request"},
		{"head of a pull request", "f2", "refs/heads/feature", pull, "", "m9", "merge base with main"},
		{"old branch", "o80", "refs/heads/old", with(pull, "GITHUB_SHA", s.ids["r1"]), "", "m1", "merge base with main"},
		{"pull_request_target with the head", "f2", "refs/heads/feature", with(pull, "GITHUB_EVENT_NAME", "pull_request_target", "GITHUB_REF", "refs/heads/main", "GITHUB_SHA", s.ids["m200"]), "", "m9", "merge base with main"},
		{"merge group", "merge", "refs/pull/1/merge", with(pull, "GITHUB_EVENT_NAME", "merge_group", "GITHUB_EVENT_PATH",
			s.event(`{"merge_group":{"base_sha":"{m200}","base_ref":"refs/heads/main"}}`)), "", "m200", "main before the merge group"},
		{"push of three commits", "m200", "refs/heads/main", push(s.ids["m197"], "m200", "main"), "", "m197", "main before the push"},
		{"push of a new branch", "f2", "refs/heads/feature", push(zeros, "f2", "feature"), "", "m9", "merge base with main"},
		{"first push of main", "m200", "refs/heads/main", push(zeros, "m200", "main"), "", "m199", "parent of HEAD"},
		{"forced push whose old commits are gone", "f2", "refs/heads/feature", push(id("d"), "f2", "feature"), "", "m9", "merge base with main"},
		{"spec of a branch", "merge", "refs/pull/1/merge", pull, "main", "m200", "merge base with main"},
		{"spec of a branch of origin", "f2", "refs/heads/feature", pull, "origin/main", "m9", "merge base with origin/main"},
		{"spec of a tag", "f2", "refs/heads/feature", pull, "v1", "m5", "tag v1"},
		{"spec of a commit", "f2", "refs/heads/feature", pull, s.ids["m3"], "m3", "revision " + s.ids["m3"]},
		{"spec of an ancestor", "f2", "refs/heads/feature", pull, "HEAD~3", "m8", "revision HEAD~3"},
	} {
		for _, depth := range []string{"1", "20", "0"} {
			t.Run(test.name+" at depth "+depth, func(t *testing.T) {
				s := s
				s.t = t
				dir := s.checkoutAction(depth, s.ids[test.head], test.ref)
				base, err := s.find(dir, test.spec, test.env)
				if err != nil || s.name(base.Commit) != test.want || base.Note != test.note {
					t.Errorf("got %s (%s), %v; want %s (%s)", s.name(base.Commit), base.Note, err, test.want, test.note)
				}
				if _, err := os.Stat(filepath.Join(dir, ".git", "shallow")); depth == "0" && err == nil {
					t.Error("a complete clone became shallow")
				}
			})
		}
	}
}

func TestFindBaseInGitLab(t *testing.T) {
	s := newServer(t, open...)
	request := map[string]string{
		"GITLAB_CI": "true", "CI_MERGE_REQUEST_IID": "1", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
		"CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": zeros,
	}
	branch := map[string]string{"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "feature", "CI_COMMIT_SHA": s.ids["f2"], "CI_DEFAULT_BRANCH": "main"}
	for _, test := range []struct {
		name           string
		head, pipeline string
		env            map[string]string
		want, note     string
	}{
		{"merged result", "merge", "refs/pipelines/1", with(request, "CI_COMMIT_SHA", s.ids["merge"], "CI_MERGE_REQUEST_EVENT_TYPE", "merged_result",
			"CI_MERGE_REQUEST_TARGET_BRANCH_SHA", s.ids["m200"], "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", s.ids["f2"]), "m200", "main before the merge request"},
		{"detached", "f2", "refs/pipelines/2", with(request, "CI_COMMIT_SHA", s.ids["f2"], "CI_MERGE_REQUEST_EVENT_TYPE", "detached",
			"CI_MERGE_REQUEST_DIFF_BASE_SHA", s.ids["m9"]), "m9", "base of the merge request"},
		{"detached without a base", "f2", "refs/pipelines/2", with(request, "CI_COMMIT_SHA", s.ids["f2"], "CI_MERGE_REQUEST_EVENT_TYPE", "detached"), "m9", "merge base with main"},
		{"train that fast-forwards", "f2", "refs/pipelines/2", with(request, "CI_COMMIT_SHA", s.ids["f2"], "CI_MERGE_REQUEST_EVENT_TYPE", "merge_train",
			"CI_MERGE_REQUEST_TARGET_BRANCH_SHA", s.ids["m9"]), "m9", "merge base with main"},
		{"branch", "f2", "refs/pipelines/2", with(branch, "CI_COMMIT_BEFORE_SHA", s.ids["f1"]), "m9", "merge base with main"},
		{"default branch", "m200", "refs/pipelines/3", with(branch, "CI_COMMIT_BRANCH", "main", "CI_COMMIT_SHA", s.ids["m200"], "CI_COMMIT_BEFORE_SHA", s.ids["m197"]),
			"m197", "main before the push"},
		{"new branch", "f2", "refs/pipelines/2", with(branch, "CI_COMMIT_BEFORE_SHA", zeros), "m9", "merge base with main"},
	} {
		for _, depth := range []string{"1", "20", "0"} {
			t.Run(test.name+" at depth "+depth, func(t *testing.T) {
				s := s
				s.t = t
				base, err := s.find(s.gitlabRunner(depth, test.pipeline, s.ids[test.head]), "", test.env)
				if err != nil || s.name(base.Commit) != test.want || base.Note != test.note {
					t.Errorf("got %s (%s), %v; want %s (%s)", s.name(base.Commit), base.Note, err, test.want, test.note)
				}
			})
		}
	}
}

func TestFindBaseWithSHA256(t *testing.T) {
	s := newServerOf(t, "sha256", open...)
	env := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/1/merge",
		"GITHUB_BASE_REF": "main", "GITHUB_SHA": s.ids["merge"],
	}
	for _, depth := range []string{"1", "0"} {
		base, err := s.find(s.checkoutAction(depth, s.ids["merge"], "refs/pull/1/merge"), "", env)
		if err != nil || s.name(base.Commit) != "m200" || len(base.Commit) != 64 {
			t.Errorf("at depth %s: %+v, %v; want m200", depth, base, err)
		}
	}
	base, err := s.find(s.checkoutAction("1", s.ids["f2"], "refs/heads/feature"), "", env)
	if err != nil || s.name(base.Commit) != "m9" {
		t.Errorf("%s, %v; want m9", s.name(base.Commit), err)
	}
}

func TestFindBaseInOtherCI(t *testing.T) {
	s := newServer(t, open...)
	env := map[string]string{"CI": "true"}
	for _, test := range []struct{ head, ref, want, note string }{
		// Nothing here knows the default branch, so origin is asked for it.
		{"f2", "refs/heads/feature", "m9", "merge base with main"},
		{"m200", "refs/heads/main", "m199", "parent of HEAD"},
	} {
		for _, depth := range []string{"1", "20", "0"} {
			base, err := s.find(s.checkoutAction(depth, s.ids[test.head], test.ref), "", env)
			note := strings.Replace(base.Note, "origin/", "", 1)
			if err != nil || s.name(base.Commit) != test.want || note != test.note {
				t.Errorf("%s at depth %s: %s (%s), %v; want %s (%s)", test.ref, depth, s.name(base.Commit), note, err, test.want, test.note)
			}
		}
	}
}

// What an earlier step of the job fetched is still there after a smaller fetch.
func TestFetchKeepsHistory(t *testing.T) {
	s := newServer(t, open...)
	dir := s.checkoutAction("100", s.ids["m200"], "refs/heads/main")
	p, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, fetch := range []func() error{
		func() error { return p.Git.FetchBranch(t.Context(), "main", s.ids["m200"], 50) },
		func() error { return p.Git.FetchBranch(t.Context(), "feature", s.ids["m200"], 1) },
		func() error { return p.Git.FetchCommit(t.Context(), s.ids["m20"]) },
		func() error { return p.Git.Deepen(t.Context(), s.ids["m200"], 2) },
		func() error { return p.Git.FetchTag(t.Context(), "v1") },
	} {
		if err := fetch(); err != nil {
			t.Fatal(err)
		}
		if n := s.git(dir, "", "rev-list", "--count", "HEAD"); n != "100" {
			t.Errorf("HEAD has %s commits, want 100", n)
		}
	}
}

// A server that hands out neither commits by their ids nor files later.
func TestFindBaseOfStrictServer(t *testing.T) {
	s := newServer(t)
	s.strict()
	pull := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/1/merge",
		"GITHUB_BASE_REF": "main", "GITHUB_SHA": s.ids["merge"],
	}
	dir := s.checkoutAction("1", s.ids["merge"], "refs/pull/1/merge")
	if base, err := s.find(dir, "", pull); err != nil || s.name(base.Commit) != "m200" {
		t.Errorf("got %s, %v; want m200", s.name(base.Commit), err)
	}
	// HEAD is no longer at the tip of anything, so its own history cannot be had.
	s.git(s.dir, "", "update-ref", "refs/pull/1/merge", s.ids["m9"])
	s.git(s.dir, "", "update-ref", "refs/pipelines/2", s.ids["m9"])
	dir = s.checkoutAction("1", s.ids["f2"], "refs/heads/feature")
	s.git(s.dir, "", "update-ref", "refs/heads/feature", s.ids["m9"])
	wantNone(t, s, dir, "", pull, "shallow", "fetch-depth: 0")
}

func TestFindBaseThatIsNotThere(t *testing.T) {
	s := newServer(t, open...)
	pull := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/1/merge",
		"GITHUB_BASE_REF": "main", "GITHUB_SHA": s.ids["merge"],
	}
	t.Run("target checked out for pull_request_target", func(t *testing.T) {
		s.t = t
		dir := s.checkoutAction("1", s.ids["m200"], "refs/heads/main")
		env := with(pull, "GITHUB_EVENT_NAME", "pull_request_target", "GITHUB_REF", "refs/heads/main", "GITHUB_SHA", s.ids["m200"])
		wantNone(t, s, dir, "", env, "is on main already", "github.event.pull_request.head.sha")
	})
	t.Run("no common history", func(t *testing.T) {
		s.t = t
		dir := s.checkoutAction("1", s.ids["u1"], "refs/heads/orphan")
		wantNone(t, s, dir, "", pull, "HEAD and main have no common ancestor", "")
	})
	t.Run("event that cannot be read", func(t *testing.T) {
		s.t = t
		dir := s.checkoutAction("1", s.ids["m200"], "refs/heads/main")
		env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main", "GITHUB_SHA": s.ids["m200"],
			"GITHUB_EVENT_PATH": filepath.Join(t.TempDir(), "none")}
		wantNone(t, s, dir, "", env, "GITHUB_EVENT_PATH", "")
	})
	t.Run("first commit", func(t *testing.T) {
		s.t = t
		dir := s.checkoutAction("0", s.ids["m1"], "refs/heads/main")
		wantNone(t, s, dir, "", nil, "first commit", "")
	})
	t.Run("unknown revision", func(t *testing.T) {
		s.t = t
		for _, env := range []map[string]string{pull, nil} {
			dir := s.checkoutAction("0", s.ids["m5"], "refs/heads/main")
			var unknown *git.RevisionError
			for _, spec := range []string{"nothing", "--upload-pack=touch x", "-x", "HEAD~9", "a b"} {
				if _, err := s.find(dir, spec, env); !errors.As(err, &unknown) {
					t.Errorf("spec %q: %v, want a *git.RevisionError", spec, err)
				}
			}
		}
	})
	t.Run("server that does not answer", func(t *testing.T) {
		s.t = t
		dir := s.checkoutAction("1", s.ids["merge"], "refs/pull/1/merge")
		s.git(dir, "", "remote", "set-url", "origin", "file:///none/such.git")
		wantNone(t, s, dir, "", pull, "could not be fetched", "fetch-depth: 0")
		wantNone(t, s, dir, "", map[string]string{"GITLAB_CI": "true", "CI_DEFAULT_BRANCH": "main"}, "branch main is not in this clone", "GIT_DEPTH: 0")
		wantNone(t, s, dir, "main", pull, "could not be fetched", "fetch-depth: 0")
		wantNone(t, s, dir, "HEAD~1", pull, "shallow", "fetch-depth: 0")
	})
}

// On somebody's own machine nothing is fetched.
func TestFindBaseLocally(t *testing.T) {
	s := newServer(t, open...)
	clone := func(args ...string) string {
		dir := filepath.Join(t.TempDir(), "work")
		s.git(".", "", append(append([]string{"clone", "-q"}, args...), s.url(), dir)...)
		return dir
	}
	want := func(dir, spec, commit, note string) {
		t.Helper()
		base, err := s.find(dir, spec, nil)
		if err != nil || s.name(base.Commit) != commit || base.Note != note {
			t.Errorf("got %s (%s), %v; want %s (%s)", s.name(base.Commit), base.Note, err, commit, note)
		}
	}
	dir := clone()
	want(dir, "", "m199", "parent of HEAD")
	want(dir, "HEAD~1", "m199", "revision HEAD~1")
	lock := filepath.Join(dir, "kept.lock")
	if err := os.WriteFile(lock, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(dir, "", "m200", "HEAD")
	s.git(dir, "", "checkout", "-q", "--force", "feature")
	want(dir, "", "m9", "merge base with origin/main")
	want(dir, "main", "m9", "merge base with main")
	want(dir, "release", "m9", "merge base with release")
	want(dir, "v1", "m5", "tag v1")
	want(dir, "HEAD", "f2", "revision HEAD")
	// A branch wins over a tag of the same name, a longer branch is another one.
	s.git(dir, "", "tag", "main", "v1")
	s.git(dir, "", "branch", "rel/1")
	want(dir, "main", "m9", "merge base with main")
	if _, err := s.find(dir, "rel", nil); err == nil {
		t.Error("\"rel\" passed for \"rel/1\"")
	}
	// In a clone of a fork the fork's own main is old.
	s.git(dir, "", "remote", "add", "upstream", s.url())
	s.git(dir, "", "update-ref", "refs/remotes/origin/main", s.ids["m2"])
	want(dir, "", "m2", "merge base with origin/main")
	s.git(dir, "", "fetch", "-q", "upstream")
	want(dir, "", "m9", "merge base with upstream/main")

	before := maps.Clone(s.ids)
	dir = clone("--depth=1", "--branch=feature")
	s.git(dir, "", "remote", "set-url", "origin", s.url()+"-moved") // any use of the network fails
	wantNone(t, s, dir, "", nil, "default branch", "git remote set-head")
	wantNone(t, s, dir, "main", nil, "shallow", "git fetch --depth=50 origin +refs/heads/main:refs/remotes/origin/main")
	wantNone(t, s, dir, before["m3"], nil, "shallow", "git fetch --depth=1 origin "+before["m3"])
	dir = clone("--depth=1")
	s.git(dir, "", "remote", "set-url", "origin", s.url()+"-moved")
	wantNone(t, s, dir, "", nil, "not in this clone", "git fetch --depth=1 origin "+before["m199"])

	empty := s.empty()
	if err := os.WriteFile(filepath.Join(empty, "kept.toml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantNone(t, s, empty, "", nil, "nothing is committed yet", "")
}

func wantNone(t *testing.T, s server, dir, spec string, env map[string]string, reason, try string) {
	t.Helper()
	base, err := s.find(dir, spec, env)
	var none *NoBaseError
	if !errors.As(err, &none) || !strings.Contains(none.Reason, reason) || !strings.Contains(none.Try, try) {
		t.Errorf("got %s (%s), %v\nwant a *NoBaseError with %q that says to try %q", s.name(base.Commit), base.Note, err, reason, try)
	}
}
