package git

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/kept-dev/kept/internal/lazy"
)

// Config returns the value of a setting that is in force for this repository,
// from whichever file of the user, the system or the repository, and whether
// there is one. Of a setting with several values it is the last.
func (r *Repo) Config(ctx context.Context, key string) (string, bool, error) {
	c := r.command()
	c.ownHooks = true
	out, err := c.run(ctx, "config", "--null", "--get", key)
	if exitCode(err) == 1 {
		return "", false, nil
	}
	return strings.TrimSuffix(string(out), "\x00"), err == nil, err
}

// LocalConfig returns the settings of the repository's own config file whose
// lower-cased key matches pattern, an extended regular expression. Linked
// worktrees share that file.
func (r *Repo) LocalConfig(ctx context.Context, pattern string) (map[string][]string, error) {
	out, err := r.git(ctx, "config", "--local", "--null", "--get-regexp", pattern)
	if err != nil && exitCode(err) != 1 {
		return nil, err
	}
	settings := map[string][]string{}
	for _, entry := range splitNUL(out) {
		key, value, _ := strings.Cut(entry, "\n")
		settings[key] = append(settings[key], value)
	}
	return settings, nil
}

// SetConfig gives a setting of the repository's own config file one value.
// Line ends and other control characters are refused: the file is a text
// format, and such a value has come back as another one.
func (r *Repo) SetConfig(ctx context.Context, key, value string) error {
	if strings.ContainsFunc(key+value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return fmt.Errorf("set %q to %q in Git's config: control characters are not allowed", key, value)
	}
	_, err := r.git(ctx, "config", "--local", "--replace-all", key, value)
	return err
}

// UnsetConfig removes a setting from the repository's own config file, with all
// its values. It is no error where there is none.
func (r *Repo) UnsetConfig(ctx context.Context, key string) error {
	_, err := r.git(ctx, "config", "--local", "--unset-all", key)
	if exitCode(err) == 5 { // there is no such setting
		return nil
	}
	return err
}

// HooksDir returns the absolute path of the folder where Git looks for this
// worktree's hook files: core.hooksPath where that is set, which may lie
// anywhere, else the hooks folder that all linked worktrees share.
func (r *Repo) HooksDir(ctx context.Context) (string, error) {
	c := r.command()
	c.ownHooks = true
	out, err := c.run(ctx, "rev-parse", "--git-path", "hooks")
	if err != nil {
		return "", err
	}
	dir := filepath.FromSlash(strings.TrimSuffix(string(out), "\n"))
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.Root, dir)
	}
	return filepath.Clean(dir), nil
}

// Version is a version of the git program.
type Version struct{ Major, Minor, Patch int }

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

var versionText = lazy.Regexp(`(?m)^git version (\d+)\.(\d+)(?:\.(\d+))?`)

// ParseVersion reads what "git --version" prints, vendors' additions included:
// "git version 2.39.5 (Apple Git-154)", "git version 2.54.0.windows.1",
// "git version 2.55.GIT".
func ParseVersion(text string) (Version, error) {
	m := versionText().FindStringSubmatch(text)
	if m == nil {
		return Version{}, fmt.Errorf("read the version of git from %q: unknown form", text)
	}
	var v Version
	var errs [3]error
	v.Major, errs[0] = strconv.Atoi(m[1])
	v.Minor, errs[1] = strconv.Atoi(m[2])
	if m[3] != "" {
		v.Patch, errs[2] = strconv.Atoi(m[3])
	}
	if err := errors.Join(errs[:]...); err != nil {
		return Version{}, fmt.Errorf("read the version of git from %q: %w", text, err)
	}
	return v, nil
}

// ProgramVersion returns the version of the git in PATH, asked once per process.
var ProgramVersion = sync.OnceValues(func() (Version, error) {
	var c command
	out, err := c.run(context.Background(), "--version")
	if err != nil {
		return Version{}, err
	}
	return ParseVersion(string(out))
})
