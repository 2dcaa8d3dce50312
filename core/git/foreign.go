package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// ForeignURLError reports the URL of a repository that Git is not asked for.
type ForeignURLError struct{ URL, Reason string }

func (e *ForeignURLError) Error() string {
	return fmt.Sprintf("the repository %q: %s", HideCredentials(e.URL), e.Reason)
}

// transports are the ways to a repository that start no command of somebody's choice.
const transports = "file:git:ssh:https:http"

// CheckForeign refuses a URL that Git, or a program that it starts, could take for
// something else than the place of a repository.
func CheckForeign(url string) error {
	reason := ""
	scheme, _, hasScheme := strings.Cut(url, "://")
	switch {
	case url == "":
		reason = "there is none"
	case strings.HasPrefix(url, "-"):
		reason = `it begins with "-"`
	case strings.ContainsFunc(url, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) }):
		reason = "it has a control character"
	case strings.Contains(strings.SplitN(url, "/", 2)[0], "::"):
		reason = "it names a program, which is not run"
	case hasScheme && !slices.Contains(append(strings.Split(transports, ":"), "git+ssh", "ssh+git"), strings.ToLower(scheme)):
		reason = "want https, http, ssh, git, file or a path"
	case hasScheme && strings.HasPrefix(url[len(scheme)+3:], "-"):
		reason = `its host begins with "-"`
	}
	if reason != "" {
		return &ForeignURLError{URL: url, Reason: reason}
	}
	return nil
}

// HideCredentials takes users and passwords out of the URLs in a text.
func HideCredentials(text string) string { return credentials().ReplaceAllString(text, "://") }

// Foreign fetches one commit of another repository into a bare one in dir, which is
// made there: its trees at once, its files when somebody reads them. rev is a
// branch, a tag or a commit; "" is what the other has checked out. It returns the
// repository and the commit's id.
func Foreign(ctx context.Context, url, rev, dir string) (*Repo, string, error) {
	if err := CheckForeign(url); err != nil {
		return nil, "", err
	}
	if rev == "" {
		rev = "HEAD"
	}
	if strings.HasPrefix(rev, "-") || strings.HasPrefix(rev, "+") || strings.ContainsAny(rev, ": ") || strings.ContainsFunc(rev, unicode.IsControl) {
		return nil, "", &RevisionError{Revision: rev}
	}
	r := &Repo{Root: dir, GitDir: dir, CommonDir: dir, Worktree: Main, foreign: true}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	if _, err := os.Stat(url); err == nil {
		if url, err = filepath.Abs(url); err != nil {
			return nil, "", err
		}
	}
	steps := [][]string{
		{"init", "--quiet", "--bare", "--template=", "."},
		{"config", "remote.origin.url", url},
		{"config", "remote.origin.promisor", "true"},
		{"config", "remote.origin.partialclonefilter", "blob:none"},
	}
	for _, args := range steps {
		if _, err := r.git(ctx, args...); err != nil {
			return nil, "", err
		}
	}
	id, err := r.fetchForeign(ctx, rev)
	return r, id, err
}

// ForeignHead fetches what the other repository has checked out, and returns its id.
func (r *Repo) ForeignHead(ctx context.Context) (string, error) { return r.fetchForeign(ctx, "HEAD") }

// fetchForeign gets what rev names with as little around it as the other side allows.
func (r *Repo) fetchForeign(ctx context.Context, rev string) (string, error) {
	fetch := func(args ...string) error {
		_, err := r.git(ctx, slices.Concat([]string{"fetch", "--quiet", "--no-tags", "--filter=blob:none"}, args)...)
		return hidden(err)
	}
	if rev == "HEAD" || isID(rev) || ValidBranch(rev) {
		err := fetch("--depth=1", "--", "origin", rev)
		if err == nil {
			return r.Resolve(ctx, "FETCH_HEAD")
		}
		if !noSuchRef(err) && !unadvertised(err) {
			return "", err
		}
		if rev == "HEAD" {
			return "", &RevisionError{Revision: rev}
		}
	}
	// Something that only who has the history can tell, such as "main~2" or the beginning of an id.
	if err := fetch("--", "origin", "+HEAD:refs/remotes/origin/HEAD", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"); err != nil {
		return "", err
	}
	id, err := r.Resolve(ctx, "refs/remotes/origin/"+rev)
	if err != nil {
		id, err = r.Resolve(ctx, rev)
	}
	return id, err
}

// noSuchRef reports whether the other side has no ref of the name that was asked for.
func noSuchRef(err error) bool {
	var failed *Error
	return errors.As(err, &failed) && strings.Contains(failed.Stderr, "remote ref")
}

// hidden takes credentials out of what Git says.
func hidden(err error) error {
	var failed *Error
	if errors.As(err, &failed) {
		failed.Stderr = HideCredentials(failed.Stderr)
	}
	return err
}

// FilesAt returns the paths of all files of that name in a commit, given by id, sorted.
func (r *Repo) FilesAt(ctx context.Context, id, name string) ([]string, error) {
	out, err := r.git(ctx, "ls-tree", "-r", "-z", "--name-only", "--full-tree", id)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(splitNUL(out), func(file string) bool { return file != name && !strings.HasSuffix(file, "/"+name) })
	slices.Sort(names)
	return names, nil
}
