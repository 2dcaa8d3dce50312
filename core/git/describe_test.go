package git

import (
	"reflect"
	"testing"
)

func TestDescribe(t *testing.T) {
	w := newTree(t)
	check := func(name string, want State) {
		t.Helper()
		got, err := w.find().Describe(t.Context())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", name, got, err, want)
		}
	}
	check("unborn", State{Branch: "main"})
	w.write("a b", "1")
	check("untracked", State{Branch: "main", Untracked: true})

	id := w.commit("a b", "1")
	want := State{Commit: id, Tree: w.git("rev-parse", "HEAD^{tree}"), Branch: "main"}
	check("clean", want)

	w.git("remote", "add", "origin", "https://me:secret@example.com/team/repo.git?token=x")
	w.git("update-ref", "refs/remotes/origin/trunk", id)
	w.git("branch", "-q", "--set-upstream-to=origin/trunk")
	want.Remote, want.Upstream = "https://example.com/team/repo.git", "origin/trunk"
	check("remote", want)

	w.write("a b", "2")
	want.Dirty = true
	check("dirty", want)
	w.git("add", "-A")
	check("staged", want)

	w.git("reset", "-q", "--hard")
	w.git("checkout", "-q", "--detach")
	want.Branch, want.Upstream, want.Dirty = "", "", false
	check("detached", want)
}

func TestDescribeSubmodules(t *testing.T) {
	lib := newTree(t)
	first := lib.commit("lib.txt", "1")
	w := newTree(t)
	w.git("submodule", "--quiet", "add", lib.dir, "vendor/lib x")
	w.git("submodule", "--quiet", "add", lib.dir, "empty")
	w.commit()
	w.git("submodule", "--quiet", "deinit", "empty")
	check := func(name string, dirty bool, want ...Submodule) {
		t.Helper()
		got, err := w.find().Describe(t.Context())
		if err != nil || got.Dirty != dirty || !reflect.DeepEqual(got.Submodules, want) {
			t.Errorf("%s: got %t %+v, %v, want %t %+v", name, got.Dirty, got.Submodules, err, dirty, want)
		}
	}
	empty := Submodule{Path: "empty"}
	check("clean", false, empty, Submodule{"vendor/lib x", first, false})
	w.write("vendor/lib x/lib.txt", "2")
	check("modified", true, empty, Submodule{"vendor/lib x", first, true})
	second := w.at("vendor/lib x").commit("lib.txt", "3")
	check("moved", true, empty, Submodule{"vendor/lib x", second, true})
}

func TestStripCredentials(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"https://github.com/a/b.git":        "https://github.com/a/b.git",
		"https://user:pw@host:8443/a/b":     "https://host:8443/a/b",
		"https://ghp_token@host/a":          "https://host/a",
		"https://host/a?access_token=x#y":   "https://host/a",
		"ssh://git:pw@host:22/a":            "ssh://git@host:22/a",
		"ssh://git@host/a":                  "ssh://git@host/a",
		"git@host:team/repo.git":            "git@host:team/repo.git",
		"/srv/git/a@b.git":                  "/srv/git/a@b.git",
		`C:\repos\a`:                        `C:\repos\a`,
		"file:///srv/git/a.git":             "file:///srv/git/a.git",
		"codecommit::us-east-1://me:pw@a":   "codecommit::us-east-1://a",
		"https://user:p%zz@host/a":          "https://host/a",
		"https://user:pw@host/a b\x7f?t=1":  "https://host/a b\x7f",
		"persistent-https://tok:en@host/re": "persistent-https://host/re",
	} {
		if got := StripCredentials(in); got != want {
			t.Errorf("StripCredentials(%q) = %q, want %q", in, got, want)
		}
	}
}
