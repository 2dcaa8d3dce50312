package core

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func id(c string) string { return strings.Repeat(c, 40) }

var zeros = id("0")

func TestGitHubIdeas(t *testing.T) {
	merge := checkout{head: id("e"), parents: []string{id("a"), id("b")}}
	pull := map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_SHA": id("e"), "GITHUB_BASE_REF": "main"}
	push := map[string]string{"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/dev", "GITHUB_SHA": id("e")}
	onMain := with(push, "GITHUB_REF", "refs/heads/main")
	group := map[string]string{"GITHUB_EVENT_NAME": "merge_group", "GITHUB_REF": "refs/heads/gh-readonly-queue/main/pr-7", "GITHUB_SHA": id("e")}
	withMain := idea{branch: "main", note: "merge base with main"}
	for _, test := range []struct {
		name  string
		env   map[string]string
		event string
		at    checkout
		want  []idea
	}{
		{"merge of a pull request", pull, `{"pull_request":{"base":{"sha":"` + id("1") + `","ref":"main"},"head":{"sha":"` + id("b") + `"}}}`, merge,
			[]idea{{commit: id("a"), branch: "main", note: "main before the pull request"}, withMain}},
		{"merge of a pull request without an event", pull, ``, merge,
			[]idea{{commit: id("a"), branch: "main", note: "main before the pull request"}, withMain}},
		{"later merge of a pull request", with(pull, "GITHUB_SHA", id("9")), `{"pull_request":{"head":{"sha":"` + id("b") + `"}}}`, merge,
			[]idea{{commit: id("a"), branch: "main", note: "main before the pull request"}, withMain}},
		{"head of a pull request that merged main", with(pull, "GITHUB_SHA", id("9")), `{"pull_request":{"head":{"sha":"` + id("e") + `"}}}`, merge,
			[]idea{withMain}},
		{"head of a pull request", with(pull, "GITHUB_SHA", id("9")), `{}`, checkout{head: id("b"), parents: []string{id("c")}},
			[]idea{withMain}},
		{"pull request that was merged", with(pull, "GITHUB_REF", "refs/heads/main"), `{"pull_request":{"head":{"sha":"` + id("c") + `"}}}`, merge,
			[]idea{withMain}},
		{"pull_request_target", with(pull, "GITHUB_EVENT_NAME", "pull_request_target", "GITHUB_REF", "refs/heads/main"), `{}`,
			checkout{head: id("b"), parents: []string{id("c")}},
			[]idea{{branch: "main", note: "merge base with main", outside: true}}},
		{"target that is an option", with(pull, "GITHUB_BASE_REF", "--upload-pack=x", "GITHUB_SHA", id("9")), `{}`, merge, nil},
		{"target of the event", with(pull, "GITHUB_BASE_REF", "", "GITHUB_SHA", id("9")), `{"pull_request":{"base":{"ref":"release/1"}}}`, merge,
			[]idea{{branch: "release/1", note: "merge base with release/1"}}},
		{"merge group", group, `{"merge_group":{"base_sha":"` + id("a") + `","base_ref":"refs/heads/main"}}`, merge,
			[]idea{{commit: id("a"), branch: "main", note: "main before the merge group"}, withMain}},
		{"merge group whose base is no id", group, `{"merge_group":{"base_sha":"--help","base_ref":"refs/heads/main"}}`, merge,
			[]idea{withMain}},
		{"push", onMain, `{"before":"` + id("d") + `","repository":{"default_branch":"main"}}`, merge,
			[]idea{{commit: id("d"), branch: "main", note: "main before the push"}, withMain}},
		// What was there before may be the regression.
		{"push to a branch", push, `{"before":"` + id("d") + `","repository":{"default_branch":"main"}}`, merge, []idea{withMain}},
		{"push where nobody knows the default branch", push, `{"before":"` + id("d") + `"}`, merge,
			[]idea{{commit: id("d"), branch: "dev", note: "dev before the push"}}},
		{"push of a new branch", push, `{"before":"` + zeros + `","repository":{"default_branch":"main"}}`, merge, []idea{withMain}},
		{"push with an id that is too short", push, `{"before":"abc123","repository":{"default_branch":"main"}}`, merge, []idea{withMain}},
		{"push of a tag", with(push, "GITHUB_REF", "refs/tags/v1"), `{"before":"` + id("d") + `","repository":{"default_branch":"main"}}`, merge, []idea{withMain}},
		{"push, and the job committed on top", onMain, `{"before":"` + id("d") + `","repository":{"default_branch":"main"}}`,
			checkout{head: id("f"), parents: []string{id("e")}},
			[]idea{{commit: id("d"), branch: "main", note: "main before the push"}, withMain}},
		{"push, and something else is checked out", push, `{"before":"` + id("d") + `","repository":{"default_branch":"main"}}`,
			checkout{head: id("f"), parents: []string{id("c")}}, []idea{withMain}},
		{"schedule", with(push, "GITHUB_EVENT_NAME", "schedule"), `{"repository":{"default_branch":"trunk"}}`, merge,
			[]idea{{branch: "trunk", note: "merge base with trunk"}}},
		{"hostile default branch", with(push, "GITHUB_EVENT_NAME", "schedule"), `{"repository":{"default_branch":"../../x"}}`, merge, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var event githubEvent
			eventErr := errors.New("none")
			if test.event != "" {
				file := filepath.Join(t.TempDir(), "event.json")
				if err := os.WriteFile(file, []byte(test.event), 0o600); err != nil {
					t.Fatal(err)
				}
				if event, eventErr = readEvent(file); eventErr != nil {
					t.Fatal(eventErr)
				}
			}
			got, err := githubIdeas(lookup(test.env), event, eventErr, test.at)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
}

// What was pushed is in the event alone, so it is not guessed without one.
func TestGitHubIdeasNeedTheEvent(t *testing.T) {
	at := checkout{head: id("e"), parents: []string{id("a")}}
	for _, event := range []string{"push", "merge_group"} {
		env := map[string]string{"GITHUB_EVENT_NAME": event, "GITHUB_REF": "refs/heads/main", "GITHUB_SHA": id("e")}
		if ideas, err := githubIdeas(lookup(env), githubEvent{}, errors.New("no event"), at); err == nil {
			t.Errorf("%s without its event: got %+v", event, ideas)
		}
	}
}

func TestReadEvent(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxEvent+1); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte(`{"before": 3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", large, broken, dir, filepath.Join(dir, "none")} {
		if e, err := readEvent(path); err == nil || e != (githubEvent{}) {
			t.Errorf("readEvent(%q) = %+v, %v; want an error", path, e, err)
		}
	}
}

func TestGitLabIdeas(t *testing.T) {
	merge := checkout{head: id("e"), parents: []string{id("a"), id("b")}}
	request := map[string]string{
		"CI_MERGE_REQUEST_IID": "3", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_COMMIT_SHA": id("e"),
		"CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": zeros,
	}
	branch := map[string]string{"CI_COMMIT_BRANCH": "dev", "CI_COMMIT_SHA": id("e"), "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": id("d")}
	withMain := idea{branch: "main", note: "merge base with main"}
	result := idea{commit: id("a"), branch: "main", note: "main before the merge request"}
	for _, test := range []struct {
		name string
		env  map[string]string
		at   checkout
		want []idea
	}{
		{"merged result", with(request, "CI_MERGE_REQUEST_EVENT_TYPE", "merged_result", "CI_MERGE_REQUEST_TARGET_BRANCH_SHA", id("a"),
			"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", id("b")), merge, []idea{result, withMain}},
		// The first parent is the merge of the request before it in the train.
		{"merge train", with(request, "CI_MERGE_REQUEST_EVENT_TYPE", "merge_train", "CI_MERGE_REQUEST_TARGET_BRANCH_SHA", id("9")), merge,
			[]idea{result, withMain}},
		{"merge train that fast-forwards", with(request, "CI_MERGE_REQUEST_EVENT_TYPE", "merge_train", "CI_MERGE_REQUEST_TARGET_BRANCH_SHA", id("a")),
			checkout{head: id("e"), parents: []string{id("c")}}, []idea{{with: id("a"), branch: "main", note: "merge base with main"}, withMain}},
		{"fast-forward to a source that merged main", with(request, "CI_MERGE_REQUEST_EVENT_TYPE", "merged_result", "CI_MERGE_REQUEST_TARGET_BRANCH_SHA", id("b")),
			merge, []idea{{with: id("b"), branch: "main", note: "merge base with main"}, withMain}},
		{"source itself", with(request, "CI_MERGE_REQUEST_EVENT_TYPE", "merged_result", "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", id("e")), merge, []idea{withMain}},
		{"detached", with(request, "CI_MERGE_REQUEST_EVENT_TYPE", "detached", "CI_MERGE_REQUEST_DIFF_BASE_SHA", id("d")), merge,
			[]idea{{commit: id("d"), branch: "main", note: "base of the merge request"}, withMain}},
		{"detached without a base", with(request, "CI_MERGE_REQUEST_EVENT_TYPE", "detached"), merge, []idea{withMain}},
		{"something else is checked out", with(request, "CI_MERGE_REQUEST_EVENT_TYPE", "detached", "CI_MERGE_REQUEST_DIFF_BASE_SHA", id("d"), "CI_COMMIT_SHA", id("8")), merge,
			[]idea{withMain}},
		{"external pull request", map[string]string{"CI_EXTERNAL_PULL_REQUEST_IID": "1", "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME": "dev", "CI_DEFAULT_BRANCH": "main"}, merge,
			[]idea{{branch: "dev", note: "merge base with dev"}}},
		{"default branch", with(branch, "CI_COMMIT_BRANCH", "main"), merge, []idea{{commit: id("d"), branch: "main", note: "main before the push"}, withMain}},
		{"branch", branch, merge, []idea{withMain}},
		{"new branch", with(branch, "CI_COMMIT_BEFORE_SHA", zeros), merge, []idea{withMain}},
		{"tag", map[string]string{"CI_COMMIT_TAG": "v1", "CI_COMMIT_SHA": id("e"), "CI_DEFAULT_BRANCH": "main"}, merge, []idea{withMain}},
		{"hostile names", with(branch, "CI_COMMIT_BEFORE_SHA", "--all", "CI_DEFAULT_BRANCH", "-x"), merge, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := gitlabIdeas(lookup(test.env), test.at); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// with returns env with other values for some variables.
func with(env map[string]string, pairs ...string) map[string]string {
	changed := map[string]string{}
	for name, value := range env {
		changed[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		changed[pairs[i]] = pairs[i+1]
	}
	return changed
}

func lookup(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}
