package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kept-dev/kept/core/git"
)

// maxEvent bounds the event file of a GitHub workflow; a webhook has at most 25 MB.
const maxEvent = 32 << 20

// ci is the system that runs this process.
type ci int

const (
	noCI ci = iota
	otherCI
	gitHub // and what speaks its variables: Gitea and Forgejo Actions
	gitLab
)

func whichCI(env func(string) string) ci {
	switch {
	case env("GITHUB_ACTIONS") == "true":
		return gitHub
	case env("GITLAB_CI") == "true":
		return gitLab
	case env("CI") == "true" || env("CI") == "1":
		return otherCI
	}
	return noCI
}

// deeper says how to get a clone with all of its history.
func (c ci) deeper(shallow bool) string {
	switch {
	case c == gitHub:
		return "in the workflow, give actions/checkout \"fetch-depth: 0\""
	case c == gitLab:
		return "in .gitlab-ci.yml, set the variable \"GIT_DEPTH: 0\""
	case shallow:
		return "git fetch --unshallow origin"
	}
	return "git fetch origin"
}

// checkout is what the choice of a base has to know of HEAD.
type checkout struct {
	head    string
	parents []string
}

// near reports whether HEAD is the commit id or one made on top of it, as by a
// job that commits what it ran.
func (c checkout) near(id string) bool {
	if !git.IsID(id) {
		return false
	}
	return c.head == id || slices.Contains(c.parents, id)
}

// idea is one way to a base.
type idea struct {
	// commit is the base itself, where that is known. Then branch, which may be
	// empty, is one of origin that has it.
	commit string
	// Else the base is the merge base of HEAD and the commit with, or the branch
	// of origin.
	with, branch string
	note         string
	// outside says that HEAD is expected to have commits which branch has not: a
	// checkout without them is of the wrong commit.
	outside bool
}

// githubEvent is what kept reads of a webhook's payload, see
// https://docs.github.com/en/webhooks/webhook-events-and-payloads. Values are
// not trusted: what does not look like an id or a branch counts as absent.
type githubEvent struct {
	Before     string `json:"before"`
	Repository struct {
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
	PullRequest struct {
		Base struct {
			Ref string `json:"ref"`
		} `json:"base"`
		Head struct {
			SHA string `json:"sha"`
		} `json:"head"`
	} `json:"pull_request"`
	MergeGroup struct {
		BaseSHA string `json:"base_sha"`
		BaseRef string `json:"base_ref"`
	} `json:"merge_group"`
}

// readEvent reads the file that GITHUB_EVENT_PATH names.
func readEvent(path string) (githubEvent, error) {
	var e githubEvent
	if path == "" {
		return e, errors.New("GITHUB_EVENT_PATH is not set")
	}
	data, err := readBounded(path, maxEvent)
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err != nil {
		return githubEvent{}, fmt.Errorf("read the event of GITHUB_EVENT_PATH %q: %w", path, reason(err))
	}
	return e, nil
}

// githubIdeas returns the ways to a base in a GitHub workflow, best first. The
// variables are those of
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables,
// and what GITHUB_SHA is for an event stands in
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows.
// eventErr is why there is no event; it matters to those whose base is only there.
func githubIdeas(env func(string) string, e githubEvent, eventErr error, at checkout) ([]idea, error) {
	name, sha, ref := env("GITHUB_EVENT_NAME"), env("GITHUB_SHA"), env("GITHUB_REF")
	var ideas []idea
	switch {
	case strings.HasPrefix(name, "pull_request"):
		target := firstBranch(env("GITHUB_BASE_REF"), e.PullRequest.Base.Ref)
		if isMergeOf(at, sha, ref, e.PullRequest.Head.SHA) {
			// Not base.sha of the event: that is where the target was when the pull
			// request was last pushed to, and the merge was made with a later one.
			ideas = append(ideas, idea{commit: at.parents[0], branch: target, note: before(target, "the pull request")})
		}
		if target != "" {
			ideas = append(ideas, mergeBaseWith(target, name == "pull_request_target"))
		}
	case name == "merge_group" && at.near(sha):
		if eventErr != nil {
			return nil, eventErr
		}
		target := firstBranch(strings.TrimPrefix(e.MergeGroup.BaseRef, "refs/heads/"))
		if commit := knownID(e.MergeGroup.BaseSHA); commit != "" {
			ideas = append(ideas, idea{commit: commit, branch: target, note: before(target, "the merge group")})
		}
		if target != "" {
			ideas = append(ideas, mergeBaseWith(target, false))
		}
	case name == "push" && at.near(sha):
		if eventErr != nil {
			return nil, eventErr
		}
		branch, isBranch := strings.CutPrefix(ref, "refs/heads/")
		if isBranch {
			ideas = pushIdeas(e.Before, firstBranch(branch), firstBranch(e.Repository.DefaultBranch), at)
		}
	}
	if branch := firstBranch(e.Repository.DefaultBranch); branch != "" && len(ideas) < 2 && !strings.HasPrefix(name, "pull_request") {
		ideas = append(ideas, mergeBaseWith(branch, false))
	}
	return ideas, nil
}

// pushIdeas returns what a push to a branch is compared with. To the default
// branch it is what was there before. To any other it is where that branch left
// the default one, which the caller adds: what was there before may be the
// regression, pushed an hour ago.
func pushIdeas(beforeID, branch, main string, at checkout) []idea {
	commit := knownID(beforeID)
	if commit == "" || commit == at.head || main != "" && branch != main {
		return nil
	}
	return []idea{{commit: commit, branch: branch, note: before(branch, "the push")}}
}

// isMergeOf reports whether HEAD is the merge that GitHub made of a pull request
// and its target, in that order of parents: target first.
func isMergeOf(at checkout, sha, ref, pull string) bool {
	if len(at.parents) != 2 {
		return false
	}
	number, isPull := strings.CutPrefix(ref, "refs/pull/")
	_, isMerge := strings.CutSuffix(number, "/merge")
	// The second form is a later merge than GITHUB_SHA, which moves with the target.
	return isPull && isMerge && at.head == sha || knownID(pull) != "" && at.parents[1] == pull
}

// gitlabIdeas returns the ways to a base in a GitLab job, best first. The
// variables are those of https://docs.gitlab.com/ci/variables/predefined_variables/.
func gitlabIdeas(env func(string) string, at checkout) []idea {
	sha := env("CI_COMMIT_SHA")
	var ideas []idea
	switch {
	case env("CI_MERGE_REQUEST_IID") != "":
		target := firstBranch(env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"))
		ideas = gitlabMerge(env, at, target)
		if target != "" {
			ideas = append(ideas, mergeBaseWith(target, false))
		}
		return ideas
	case env("CI_EXTERNAL_PULL_REQUEST_IID") != "":
		if target := firstBranch(env("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME")); target != "" {
			return []idea{mergeBaseWith(target, false)}
		}
	case env("CI_COMMIT_BRANCH") != "" && at.near(sha):
		// All zeros for a new branch, and for scheduled and manual pipelines.
		ideas = pushIdeas(env("CI_COMMIT_BEFORE_SHA"), firstBranch(env("CI_COMMIT_BRANCH")), firstBranch(env("CI_DEFAULT_BRANCH")), at)
	}
	if branch := firstBranch(env("CI_DEFAULT_BRANCH")); branch != "" {
		ideas = append(ideas, mergeBaseWith(branch, false))
	}
	return ideas
}

// gitlabMerge returns the ideas of a merge request's pipeline that its commits give.
func gitlabMerge(env func(string) string, at checkout, target string) []idea {
	merged := knownID(env("CI_MERGE_REQUEST_TARGET_BRANCH_SHA"))
	source := knownID(env("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"))
	isCommit := at.head == env("CI_COMMIT_SHA")
	switch kind := env("CI_MERGE_REQUEST_EVENT_TYPE"); {
	case kind == "merged_result" || kind == "merge_train":
		// A merge has the target, or what is before it in the train, for its first
		// parent. Where GitLab fast-forwards or rebases there is no merge, and a
		// HEAD with two parents is one that the source made with the target.
		if isCommit && len(at.parents) == 2 && at.head != source && (merged == "" || at.parents[1] != merged) {
			return []idea{{commit: at.parents[0], branch: target, note: before(target, "the merge request")}}
		}
		if merged != "" {
			return []idea{{with: merged, branch: target, note: "merge base with " + orCommit(target, merged)}}
		}
	case isCommit:
		if commit := knownID(env("CI_MERGE_REQUEST_DIFF_BASE_SHA")); commit != "" && commit != at.head {
			return []idea{{commit: commit, branch: target, note: "base of the merge request"}}
		}
	}
	return nil
}

func mergeBaseWith(branch string, outside bool) idea {
	return idea{branch: branch, note: "merge base with " + branch, outside: outside}
}

func before(branch, what string) string {
	if branch == "" {
		return "before " + what
	}
	return branch + " before " + what
}

func orCommit(branch, id string) string {
	if branch == "" {
		return id[:10]
	}
	return branch
}

// knownID returns s where it is the id of a commit, and "" where it is anything
// else or all zeros, which say that there is none.
func knownID(s string) string {
	if !git.IsID(s) || strings.Trim(s, "0") == "" {
		return ""
	}
	return s
}

// firstBranch returns the first that can be the name of a branch.
func firstBranch(names ...string) string {
	for _, name := range names {
		if git.ValidBranch(name) {
			return name
		}
	}
	return ""
}
