package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/internal/lazy"
)

// madeFolder is the setting that remembers that Install made the hooks folder.
const madeFolder = "kept.madeHooksFolder"

// hookLimit bounds what is read of a hook: no script is as long.
const hookLimit = 1 << 20

// target is where the hook of an event belongs, if it goes into a file.
type target struct {
	Status
	// whole: the file is to be ours alone. Otherwise our line goes into it.
	whole bool
	// committed: the file is tracked, or meant to be, and read on other machines.
	committed bool
	// byUser: the user has put the call into Path.
	byUser bool
}

// target decides by what is there now. dir is Git's hooks folder. A Place in
// the result says that the hook can go to Path; without one, Note says why not.
func (in *Installer) target(event Event, dir string) (target, error) {
	t := target{Status: Status{Event: event}}
	if !in.inside(dir) {
		t.Path = dir
		t.Note = fmt.Sprintf("core.hooksPath is %s, outside of this repository, where others' hooks may be", dir)
		t.Advice = fmt.Sprintf("add to %s there: %s", event, byHand(event))
		return t, nil
	}
	if isHusky(dir) {
		return in.huskyTarget(event, dir)
	}
	file := filepath.Join(dir, string(event))
	content, err := readHook(file)
	if err != nil {
		return t, err
	}
	o, mine := findOurs(event, content)
	manager := managerOf(content)
	switch {
	case event == PostCheckout && (manager == "git-lfs" || in.usesLFS() && (content == "" || o.whole && !o.edited)):
		// git-lfs installs, upgrades and removes its hooks only where the file is
		// what it wrote, or is not there at all; a file of ours would stop it half
		// way. post-index-change sees all that this event does but one command.
		t.Place, t.Path, t.Manager = LeftOut, file, "git-lfs"
		t.Note = "left to git-lfs; `git restore --source` of a lock in the worktree alone goes unseen"
		return t, nil
	case event == PrePush && (manager == "git-lfs" || in.usesLFS() && (content == "" || o.whole && !o.edited)):
		t.Place, t.Path, t.Manager = LeftOut, file, "git-lfs"
		t.Note = "left to git-lfs: nothing is sent before a push"
		t.Advice = "call `kept push` before `git push`, or use Git 2.54 or later, where both hooks run"
		return t, nil
	case !mine && (manager == "pre-commit" || manager == "prek"):
		// They run what they find under this name first, and give the hook its
		// name back when they are uninstalled.
		return in.ownTarget(event, file+".legacy", manager)
	case !mine && manager == "lefthook":
		return in.lefthookTarget(event, file)
	}
	return in.ownTarget(event, file, "")
}

// lefthookConfigs are the names under which lefthook looks for its configuration.
var lefthookConfigs = []string{"lefthook.yml", "lefthook.yaml", ".lefthook.yml", ".lefthook.yaml", ".config/lefthook.yml",
	"lefthook.toml", ".lefthook.toml", "lefthook.json", ".lefthook.json", "lefthook-local.yml", ".lefthook-local.yml"}

// lefthookTarget: lefthook writes its files anew when its configuration changes,
// so what kept is to do belongs into the configuration, by hand.
func (in *Installer) lefthookTarget(event Event, file string) (target, error) {
	t := target{Status: Status{Event: event, Path: file, Manager: "lefthook"}}
	call := "kept hook " + string(event)
	for _, name := range lefthookConfigs {
		config := filepath.Join(in.Repo.Root, filepath.FromSlash(name))
		content, err := readHook(config)
		if err != nil {
			return t, err
		}
		if strings.Contains(content, call) {
			t.Path, t.byUser = config, true
			return t, nil
		}
	}
	switch event {
	case PostCheckout:
		call += " {0}"
	case PrePush:
		call += " {0}\n      use_stdin: true"
	}
	t.Note = "lefthook writes this file anew when its configuration changes"
	t.Advice = fmt.Sprintf("add to lefthook.yml:\n%s:\n  commands:\n    kept:\n      run: %s", event, call)
	return t, nil
}

// ownTarget decides between a file of our own and a line in the one that is there.
func (in *Installer) ownTarget(event Event, file, manager string) (target, error) {
	t := target{Status: Status{Event: event, Path: file, Manager: manager}}
	real := git.Physical(file)
	if !in.inside(real) {
		t.Note = fmt.Sprintf("it is a link to %s, outside of this repository", real)
		t.Advice = fmt.Sprintf("add there: %s", byHand(event))
		return t, nil
	}
	t.Path, t.committed = real, in.committed(real)
	content, err := readHook(real)
	if err != nil {
		return t, err
	}
	o, mine := findOurs(event, content)
	switch {
	case mine && o.edited:
		t.Note, t.Advice = "it is kept's, edited by hand", "remove the file and call `kept hooks install`"
	case content == "" && !exists(real), mine && o.whole:
		t.Place, t.whole = InFile, true
	case !isShell(content):
		t.Note, t.Advice = "it is not a shell script", fmt.Sprintf("have it run: kept hook %s, with its own arguments", event)
	case !executable(real):
		t.Note, t.Advice = "it is not executable, so Git skips it", fmt.Sprintf("chmod +x %s and call `kept hooks install`", real)
	default:
		t.Place = Chained
	}
	return t, nil
}

// huskyTarget: husky has Git look in .husky/_, which is ignored and holds stubs
// that it writes anew on every install, and runs the committed scripts beside it.
// It has no stub for post-index-change and leaves other files there alone.
func (in *Installer) huskyTarget(event Event, dir string) (target, error) {
	if event == PostIndexChange {
		t, err := in.ownTarget(event, filepath.Join(dir, string(event)), "husky")
		t.committed = false
		return t, err
	}
	file := filepath.Join(filepath.Dir(dir), string(event))
	t := target{Status: Status{Event: event, Path: file, Manager: "husky", Place: Chained}, committed: true}
	content, err := readHook(file)
	if err != nil {
		return t, err
	}
	if real := git.Physical(file); !in.inside(real) || !isShell(content) {
		t.Place, t.Note = Nowhere, "it is not a shell script of this repository"
		t.Advice = fmt.Sprintf("add to it: %s", byHand(event))
	}
	return t, nil
}

// installFiles writes the hook of every event that has a place.
func (in *Installer) installFiles(ctx context.Context) error {
	dir, err := in.Repo.HooksDir(ctx)
	if err != nil {
		return err
	}
	if in.inside(dir) && !exists(dir) {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
		if err := in.Repo.SetConfig(ctx, madeFolder, "true"); err != nil {
			return err
		}
	}
	for _, event := range Events {
		t, err := in.target(event, dir)
		if err != nil {
			return err
		}
		if err := in.write(t); err != nil {
			return fmt.Errorf("write hook %s: %w", event, err)
		}
	}
	return nil
}

// write brings the file of a target up to date.
func (in *Installer) write(t target) error {
	quoted := quote(in.Binary)
	if t.committed {
		quoted = ""
	}
	content, err := readHook(t.Path)
	if err != nil {
		return err
	}
	switch t.Place {
	case InFile:
		return replaceFile(t.Path, content, hookText(t.Event, quoted), 0o777)
	case Chained:
		o, mine := findOurs(t.Event, content)
		made := mine && o.made || !exists(t.Path)
		text := insertLine(removeLine(t.Event, content), hookLine(t.Event, quoted, made))
		return replaceFile(t.Path, content, text, 0o777)
	case LeftOut:
		return in.clean(t.Event, t.Path) // it was ours before git-lfs came
	}
	return nil
}

// fileStatus looks for the hook of an event in the files.
func (in *Installer) fileStatus(event Event, dir string) (Status, error) {
	t, err := in.target(event, dir)
	if err != nil {
		return t.Status, err
	}
	if t.byUser {
		t.Place, t.Runs = Chained, found("")
		if !t.Runs {
			t.Note, t.Advice = "it looks for kept in PATH alone, where there is none", "put the folder of kept into PATH"
		}
		return t.Status, nil
	}
	content, err := readHook(t.Path)
	if err != nil {
		return t.Status, err
	}
	o, mine := findOurs(event, content)
	if !mine {
		if t.Place != LeftOut {
			t.Place = Nowhere
		}
		if t.Note == "" {
			t.Note, t.Advice = "not installed", "kept hooks install"
		}
		return t.Status, nil
	}
	t.Version = o.version
	t.Place = Chained
	if o.whole {
		t.Place = InFile
	}
	// husky sources its users' scripts, so they need no permission to be run.
	t.Runs = t.Manager == "husky" && t.Place == Chained || executable(t.Path)
	if !t.Runs && t.Note == "" {
		t.Note, t.Advice = "it is not executable, so Git skips it", fmt.Sprintf("chmod +x %s", t.Path)
	}
	if t.Runs && !found(o.binary) {
		t.Runs = false
		t.Note, t.Advice = "it finds no kept, neither where it was nor in PATH", "kept hooks install"
		if o.binary == "" {
			t.Note = "it is shared, so it looks for kept in PATH alone, where there is none"
			t.Advice = "put the folder of kept into PATH"
		}
	}
	return t.Status, nil
}

// found reports whether a hook that names binary would find a kept.
func found(binary string) bool {
	if binary != "" && exists(binary) && executable(binary) {
		return true
	}
	_, err := exec.LookPath("kept")
	return err == nil
}

// removeFiles takes our text out of every file in which an Install, or a hook
// manager that moved it, may have left it.
func (in *Installer) removeFiles(ctx context.Context) error {
	dir, err := in.Repo.HooksDir(ctx)
	if err != nil {
		return err
	}
	// core.hooksPath may have been set, or unset, since.
	dirs := []string{dir, filepath.Join(in.Repo.CommonDir, "hooks")}
	if isHusky(dir) {
		dirs = append(dirs, filepath.Dir(dir))
	}
	var errs []error
	for _, dir := range dirs {
		for _, event := range Events {
			// pre-commit moves a hook to .legacy and lefthook to .old; both move it
			// back when they are uninstalled.
			for _, suffix := range []string{"", ".legacy", ".old"} {
				errs = append(errs, in.clean(event, filepath.Join(dir, string(event)+suffix)))
			}
		}
	}
	made, err := in.Repo.LocalConfig(ctx, "^"+strings.ToLower(madeFolder)+"$")
	if err == nil && len(made) > 0 {
		_ = os.Remove(dir) // stays where somebody put something into it
		err = in.Repo.UnsetConfig(ctx, madeFolder)
	}
	return errors.Join(append(errs, err)...)
}

// clean takes our text for event out of one file.
func (in *Installer) clean(event Event, file string) error {
	real := git.Physical(file)
	if !in.inside(real) {
		return nil
	}
	content, err := readHook(real)
	if err != nil {
		return err
	}
	o, mine := findOurs(event, content)
	if !mine || o.edited {
		return nil
	}
	rest := removeLine(event, content)
	if o.whole || o.made && rest == "" {
		return os.Remove(real)
	}
	return replaceFile(real, content, rest, 0o777)
}

// inside reports whether a path really lies in the repository: only there a file
// is this repository's alone.
func (in *Installer) inside(path string) bool {
	return within(in.Repo.Root, path) || within(in.Repo.CommonDir, path)
}

// committed reports whether a path is in the worktree, where files are there to be shared.
func (in *Installer) committed(path string) bool {
	return within(in.Repo.Root, path) && !within(in.Repo.CommonDir, path)
}

func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, git.Physical(path))
	return err == nil && filepath.IsLocal(rel)
}

// usesLFS reports whether git-lfs is, or is about to be, set up here.
func (in *Installer) usesLFS() bool {
	if exists(filepath.Join(in.Repo.CommonDir, "lfs")) {
		return true
	}
	attributes, err := readHook(filepath.Join(in.Repo.Root, ".gitattributes"))
	return err == nil && strings.Contains(attributes, "filter=lfs")
}

func isHusky(dir string) bool {
	content, err := readHook(filepath.Join(dir, "h"))
	return err == nil && filepath.Base(dir) == "_" && strings.Contains(content, "husky")
}

// managerOf recognises the files that hook managers generate.
func managerOf(content string) string {
	switch {
	case strings.Contains(content, "# File generated by pre-commit"):
		return "pre-commit"
	case strings.Contains(content, "# File generated by prek"):
		return "prek"
	case strings.Contains(content, "call_lefthook"), strings.Contains(content, "LEFTHOOK"):
		return "lefthook"
	case isLFS(content):
		return "git-lfs"
	}
	return ""
}

// isLFS recognises a script that does nothing but call git-lfs. One that does
// more was put together by hand, and git-lfs keeps away from it.
func isLFS(content string) bool {
	calls := 0
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "git lfs "):
			calls++
		case !strings.HasPrefix(line, "command -v git-lfs "):
			return false
		}
	}
	return calls == 1
}

var shebang = lazy.Regexp(`\A#!\s*(?:\S*/env\s+(?:-S\s+)?)?(?:\S*/)?(?:ba|da|a|z|k|mk)?sh(?:\s|\z)`)

// isShell reports whether a file is one into which a line of shell can go. Git
// runs a text without a "#!" by the shell as well.
func isShell(content string) bool {
	if strings.HasPrefix(content, "#!") {
		return shebang().MatchString(content)
	}
	return !strings.ContainsRune(content, 0) && !strings.HasPrefix(content, "\uFEFF")
}

// readHook returns the content of a file, and "" where there is none.
func readHook(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > hookLimit) {
		return "\x00", nil // something, and no script
	}
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	return string(data), err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// executable reports whether Git would run the file. Windows has no such permission.
func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}

// replaceFile gives a file new content, all or nothing, and keeps its
// permissions; a new file gets mode, less the user's umask.
func replaceFile(path, old, text string, mode fs.FileMode) (err error) {
	info, statErr := os.Stat(path)
	if statErr == nil && old == text {
		return nil
	}
	if statErr != nil {
		// Only creating a file tells the umask.
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		return errors.Join(err, f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".kept-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
