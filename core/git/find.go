package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// pointerLimit bounds the gitfile and commondir files, which hold one path.
const pointerLimit = 64 << 10

// Find returns the repository whose worktree holds the folder dir. It reads a
// handful of small files and starts Git only where the layout is unusual:
// GIT_DIR or its like are set and name another repository, or core.worktree
// moves the worktree away. It returns a *NoRepositoryError or a *BareError
// where there is no worktree.
//
// A bare repository that lies inside a worktree is stepped over, not entered:
// anybody who can commit a folder can commit one, with a config of their choice.
func Find(dir string) (*Repo, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("find the repository of %q: %w", dir, err)
	}
	repo, err := walk(abs)
	if env := os.Getenv("GIT_DIR"); env != "" {
		// Git's hooks set GIT_DIR to the repository that the walk finds anyhow.
		if !filepath.IsAbs(env) {
			env = filepath.Join(abs, env)
		}
		if repo == nil || Physical(env) != repo.GitDir {
			return ask(abs, true)
		}
		return repo, nil
	}
	var unusual *unusualError
	if errors.As(err, &unusual) {
		return ask(abs, false)
	}
	return repo, err
}

// At is Find for another repository than the one that the caller's environment
// speaks of: inside a hook GIT_DIR names the repository that the hook is for.
// It starts nothing and knows usual layouts only.
func At(dir string) (*Repo, error) {
	abs, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("find the repository of %q: %w", dir, err)
	}
	return walk(abs)
}

// unusualError reports a layout that is left to Git.
type unusualError struct{ reason string }

func (e *unusualError) Error() string { return e.reason }

// walk looks for the worktree's top folder upwards from dir, which is absolute
// and free of symbolic links.
func walk(dir string) (*Repo, error) {
	bare := ""
	for top := dir; ; top = filepath.Dir(top) {
		gitDir, err := gitDirOf(top)
		if err != nil {
			return nil, err
		}
		if gitDir != "" {
			return open(top, gitDir)
		}
		if bare == "" && isGitDir(top, top) {
			bare = top
		}
		if top == filepath.Dir(top) {
			break
		}
	}
	if bare != "" {
		return nil, &BareError{Dir: bare}
	}
	return nil, &NoRepositoryError{Dir: dir}
}

// gitDirOf returns the Git folder that top's .git is or points to, and "" where
// top has none. Like Git it ignores a folder called .git that is no repository,
// and fails on a file called .git that leads nowhere.
func gitDirOf(top string) (string, error) {
	path := filepath.Join(top, ".git")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	if info.IsDir() {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", fmt.Errorf("find the repository: %w", err)
		}
		if !isGitDir(real, commonDirOf(real)) {
			return "", nil
		}
		return real, nil
	}
	text, err := readPointer(path)
	if err != nil {
		return "", fmt.Errorf("read gitfile: %w", err)
	}
	target, ok := strings.CutPrefix(text, "gitdir: ")
	if !ok || target == "" {
		return "", fmt.Errorf("read gitfile %q: it does not start with \"gitdir: \"", path)
	}
	target = filepath.FromSlash(target)
	if !filepath.IsAbs(target) {
		target = filepath.Join(top, target)
	}
	real, err := filepath.EvalSymlinks(target)
	if err != nil || !isGitDir(real, commonDirOf(real)) {
		return "", fmt.Errorf("follow gitfile %q: %q is not a Git repository", path, target)
	}
	return real, nil
}

// open fills in a Repo and checks for the settings that make a layout unusual.
func open(top, gitDir string) (*Repo, error) {
	repo := &Repo{Root: top, GitDir: gitDir, CommonDir: commonDirOf(gitDir), Worktree: Main}
	if repo.CommonDir != gitDir {
		// The shared config's core.bare and core.worktree speak of the main worktree.
		repo.Worktree = "linked-" + filepath.Base(gitDir)
		return repo, nil
	}
	config, err := os.ReadFile(filepath.Join(gitDir, "config"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the repository's config: %w", err)
	}
	// This is no parser: it says which configs are worth asking Git about.
	if value, ok := setting(config, "worktree"); ok {
		moved := filepath.FromSlash(value)
		if !filepath.IsAbs(moved) {
			moved = filepath.Join(gitDir, moved)
		}
		if Physical(moved) != top { // a submodule's names its own folder
			return nil, &unusualError{"core.worktree"}
		}
	}
	if value, ok := setting(config, "bare"); ok && !strings.EqualFold(value, "false") {
		return nil, &unusualError{"core.bare"}
	}
	return repo, nil
}

// setting returns the value of the first line of a config that sets key.
func setting(config []byte, key string) (string, bool) {
	for line := range bytes.Lines(config) {
		name, value, ok := bytes.Cut(line, []byte("="))
		if !ok {
			name = line
		}
		// A section header may stand on the same line.
		if i := bytes.LastIndexByte(name, ']'); i >= 0 {
			name = name[i+1:]
		}
		if strings.EqualFold(string(bytes.TrimSpace(name)), key) {
			return string(bytes.TrimSpace(value)), true
		}
	}
	return "", false
}

// isGitDir reports whether dir has what Git asks of a repository.
func isGitDir(dir, common string) bool {
	if _, err := os.Lstat(filepath.Join(dir, "HEAD")); err != nil {
		return false
	}
	for _, name := range []string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(common, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// commonDirOf returns the folder that the commondir file of a linked worktree
// names, and gitDir where there is no such file.
func commonDirOf(gitDir string) string {
	text, err := readPointer(filepath.Join(gitDir, "commondir"))
	if err != nil || text == "" {
		return gitDir
	}
	common := filepath.FromSlash(text)
	if !filepath.IsAbs(common) {
		common = filepath.Join(gitDir, common)
	}
	return Physical(common)
}

// readPointer reads a small file that holds a path and a line end.
func readPointer(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > pointerLimit {
		return "", fmt.Errorf("%s is not a small file", path)
	}
	data, err := os.ReadFile(path)
	return strings.TrimRight(string(data), "\r\n"), err
}

// ask has Git discover the repository of dir. With env it heeds GIT_DIR and
// GIT_WORK_TREE of the caller's environment.
func ask(dir string, env bool) (*Repo, error) {
	c := command{dir: dir, keepEnv: env}
	out, err := c.run(context.Background(), "rev-parse", "--path-format=absolute",
		"--is-bare-repository", "--git-dir", "--git-common-dir")
	if err != nil {
		var failed *Error
		if errors.As(err, &failed) && strings.Contains(failed.Stderr, "not a git repository") {
			return nil, &NoRepositoryError{Dir: dir}
		}
		return nil, fmt.Errorf("find the repository of %q: %w", dir, err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != 3 {
		return nil, fmt.Errorf("find the repository of %q: git answered %q", dir, out)
	}
	if lines[0] == "true" {
		return nil, &BareError{Dir: filepath.FromSlash(lines[1])}
	}
	top, err := c.run(context.Background(), "rev-parse", "--path-format=absolute", "--show-toplevel")
	if err != nil {
		return nil, fmt.Errorf("find the worktree of %q: %w", dir, err)
	}
	repo := &Repo{
		Root:      Physical(filepath.FromSlash(strings.TrimSuffix(string(top), "\n"))),
		GitDir:    Physical(filepath.FromSlash(lines[1])),
		CommonDir: Physical(filepath.FromSlash(lines[2])),
		Worktree:  Main,
		explicit:  true,
	}
	if repo.CommonDir != repo.GitDir {
		repo.Worktree = "linked-" + filepath.Base(repo.GitDir)
	}
	return repo, nil
}
