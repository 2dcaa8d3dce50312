package git

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/kept-dev/kept/internal/lazy"
)

// State is what Git knows about where a run was started.
type State struct {
	// Commit and Tree are the ids of what is checked out; "" before the first commit.
	Commit string `json:"commit,omitempty"`
	Tree   string `json:"tree,omitempty"`
	// Branch is the short name of the branch, "" where HEAD is detached.
	Branch string `json:"branch,omitempty"`
	// Upstream is the short name of the branch that Branch follows ("origin/main"), or "".
	Upstream string `json:"upstream,omitempty"`
	// Remote is the URL of the upstream's remote, else of "origin", else of the
	// only one; without a password, token or query. "" where there is none.
	Remote string `json:"remote,omitempty"`
	// Dirty says that a tracked file differs from Commit, in the worktree or staged.
	Dirty bool `json:"dirty"`
	// Untracked says that there are files which are neither tracked nor ignored.
	Untracked bool `json:"untracked"`
	// Submodules holds one entry per submodule, in the order of their paths.
	Submodules []Submodule `json:"submodules,omitempty"`
}

// Submodule is a repository inside the worktree that Git tracks by commit.
type Submodule struct {
	Path string `json:"path"`
	// Commit is the id that is checked out there, "" where nothing is.
	Commit string `json:"commit,omitempty"`
	// Dirty says that it is not the commit that the superproject names, or that
	// its own worktree has changes or untracked files.
	Dirty bool `json:"dirty"`
}

// Describe returns the state of the worktree. It starts three Git processes, and
// with submodules one more for all and one for each.
func (r *Repo) Describe(ctx context.Context) (State, error) {
	var s State
	out, err := r.git(ctx, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal",
		"--ignore-submodules=none", "--no-renames")
	if err != nil {
		return s, err
	}
	dirty := parseStatus(splitNUL(out), &s)
	if s.Commit != "" {
		tree, err := r.git(ctx, "rev-parse", "--verify", "--quiet", s.Commit+"^{tree}")
		if err != nil {
			return s, err
		}
		s.Tree = strings.TrimSpace(string(tree))
	}
	settings, err := r.LocalConfig(ctx, `^(remote\..*\.url|branch\..*\.remote)$`)
	if err != nil {
		return s, err
	}
	s.Remote = StripCredentials(remoteURL(settings, s.Branch))
	s.Submodules, err = r.submodules(ctx, dirty)
	return s, err
}

// parseStatus reads the entries of "git status --porcelain=v2 --branch -z" into
// s and returns the paths of submodules that are dirty.
func parseStatus(entries []string, s *State) (submodules map[string]bool) {
	submodules = map[string]bool{}
	for _, entry := range entries {
		if text, ok := strings.CutPrefix(entry, "# branch."); ok {
			key, value, _ := strings.Cut(text, " ")
			switch {
			case key == "oid" && value != "(initial)":
				s.Commit = value
			case key == "head" && value != "(detached)":
				s.Branch = value
			case key == "upstream":
				s.Upstream = value
			}
			continue
		}
		switch entry[0] {
		case '?':
			s.Untracked = true
		case '1', 'u':
			s.Dirty = true
			// "1 XY sub mH mI mW hH hI path", "u XY sub m1 m2 m3 mW h1 h2 h3 path"
			n := 9
			if entry[0] == 'u' {
				n = 11
			}
			if fields := strings.SplitN(entry, " ", n); len(fields) == n && fields[2][0] == 'S' {
				submodules[fields[n-1]] = true
			}
		}
	}
	return submodules
}

// submodules lists the tracked submodules.
func (r *Repo) submodules(ctx context.Context, dirty map[string]bool) ([]Submodule, error) {
	// Reading the whole index is for repositories that have some.
	if _, err := os.Lstat(filepath.Join(r.Root, ".gitmodules")); err != nil && len(dirty) == 0 {
		return nil, nil
	}
	out, err := r.git(ctx, "ls-files", "-s", "-z")
	if err != nil {
		return nil, err
	}
	var list []Submodule
	for _, entry := range splitNUL(out) {
		meta, path, _ := strings.Cut(entry, "\t")
		if !strings.HasPrefix(meta, "160000 ") || len(list) > 0 && list[len(list)-1].Path == path {
			continue
		}
		sub := Submodule{Path: path, Dirty: dirty[path]}
		// Without a .git of its own, Find would see the superproject from there.
		if repo, err := Find(r.Path(path)); err == nil && repo.Root != r.Root {
			if sub.Commit, err = repo.Head(ctx); err != nil {
				return nil, err
			}
		}
		list = append(list, sub)
	}
	return list, nil
}

// remoteURL picks the remote that a reader of a run would look for the commit in.
func remoteURL(settings map[string][]string, branch string) string {
	last := func(key string) string {
		if values := settings[key]; len(values) > 0 {
			return values[len(values)-1]
		}
		return ""
	}
	if name := last("branch." + branch + ".remote"); name != "" && name != "." {
		if u := last("remote." + name + ".url"); u != "" {
			return u
		}
	}
	if u := last("remote.origin.url"); u != "" {
		return u
	}
	only := ""
	for key := range settings {
		if strings.HasPrefix(key, "remote.") {
			if only != "" {
				return ""
			}
			only = last(key)
		}
	}
	return only
}

var userinfo = lazy.Regexp(`//[^/@]*@`)

// StripCredentials returns a remote's URL without what could let somebody in:
// user and password of web URLs (a token can stand in either), the password of
// others, query and fragment. The user of an SSH address is part of the place and stays.
func StripCredentials(remote string) string {
	if !strings.Contains(remote, "://") {
		return remote // git@host:path, or a folder
	}
	u, err := url.Parse(remote)
	if err != nil || strings.Contains(remote[:strings.Index(remote, "://")], ":") {
		// A remote helper's "name::address", or what no URL parser accepts.
		remote, _, _ = strings.Cut(remote, "?")
		return userinfo().ReplaceAllString(remote, "//")
	}
	user := u.User
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	if u.Scheme == "ssh" || u.Scheme == "git+ssh" || u.Scheme == "ssh+git" {
		if name := user.Username(); name != "" {
			u.User = url.User(name)
		}
	}
	return u.String()
}
