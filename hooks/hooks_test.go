package hooks

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/kept-dev/kept/core/git"
)

// TestMain cuts the tests off from the settings of whoever runs them.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "kept-hooks-test-")
	if err != nil {
		panic(err)
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "GIT_") || strings.HasPrefix(name, "KEPT") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("HOME", home)
	os.Setenv("XDG_CONFIG_HOME", home)
	os.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	config := "[user]\n\tname = A U Thor\n\temail = author@example.com\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n" +
		"[protocol \"file\"]\n\tallow = always\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o600); err != nil {
		panic(err)
	}
	if err := hideKept(filepath.Join(home, "bin")); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(home)
	os.Exit(code)
}

// hideKept takes an installed kept out of PATH: what hooks do without one is
// half of the tests. A folder that has one is replaced by links to all else in it.
func hideKept(dir string) error {
	var path []string
	for i, entry := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(entry, "kept")); err == nil {
			stand := filepath.Join(dir, fmt.Sprint(i))
			programs, err := os.ReadDir(entry)
			if err == nil {
				err = os.MkdirAll(stand, 0o777)
			}
			for _, program := range programs {
				if err == nil && program.Name() != "kept" {
					err = os.Symlink(filepath.Join(entry, program.Name()), filepath.Join(stand, program.Name()))
				}
			}
			if err != nil {
				return err
			}
			entry = stand
		}
		path = append(path, entry)
	}
	return os.Setenv("PATH", strings.Join(path, string(os.PathListSeparator)))
}

// The texts are for every Git; which place they go to depends on its version.
var (
	fileHooks   = git.Version{Major: 2, Minor: 39, Patch: 5}
	configHooks = git.Version{Major: 2, Minor: 54}
)

// clone is a repository and a stand-in for kept that writes down how it is called.
type clone struct {
	t           *testing.T
	dir         string
	kept, calls string
	version     git.Version
}

// newClone has awkward characters in all paths.
func newClone(t *testing.T) *clone {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for kept is a shell script")
	}
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &clone{t: t, dir: filepath.Join(top, "it's a \"clone\""), kept: filepath.Join(top, "it's 100%O $kept", "kept"),
		calls: filepath.Join(top, "calls"), version: fileHooks}
	for _, dir := range []string{c.dir, filepath.Dir(c.kept)} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	c.script(c.kept, "echo kept \"$@\" >>'"+c.calls+"'; exit ${KEPT_TEST_EXIT-0}")
	c.git("init", "-q")
	c.commit("1")
	return c
}

func (c *clone) git(args ...string) string {
	c.t.Helper()
	out, err := c.tryGit(args...)
	if err != nil {
		c.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *clone) tryGit(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	return strings.TrimSuffix(string(out), "\n"), err
}

func (c *clone) commit(text string) {
	c.t.Helper()
	c.write("kept.lock", text)
	c.git("add", "kept.lock")
	c.git("commit", "-q", "-m", text)
}

func (c *clone) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, filepath.FromSlash(name))
}

func (c *clone) write(name, text string) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Dir(c.path(name)), 0o777); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(c.path(name), []byte(text), 0o666); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clone) read(name string) string {
	c.t.Helper()
	data, err := os.ReadFile(c.path(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(data)
}

// script writes an executable file; text without a "#!" gets one.
func (c *clone) script(name, text string) {
	c.t.Helper()
	if !strings.HasPrefix(text, "#!") {
		text = "#!/bin/sh\n" + text + "\n"
	}
	c.write(name, text)
	if err := os.Chmod(c.path(name), 0o755); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clone) installer() *Installer {
	c.t.Helper()
	repo, err := git.Find(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	return &Installer{Repo: repo, Binary: c.kept, version: c.version}
}

func (c *clone) install() Report {
	c.t.Helper()
	report, err := c.installer().Install(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return report
}

func (c *clone) uninstall() Report {
	c.t.Helper()
	report, err := c.installer().Uninstall(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return report
}

// called returns what was called since the last time, one call per line.
func (c *clone) called() string {
	c.t.Helper()
	data, err := os.ReadFile(c.calls)
	if err != nil {
		return ""
	}
	if err := os.Remove(c.calls); err != nil {
		c.t.Fatal(err)
	}
	return string(data)
}

// contents describes every file of the clone, less Git's own bookkeeping.
func (c *clone) contents() string {
	c.t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(c.dir, path)
		switch {
		case rel == filepath.FromSlash(".git/objects"):
			return fs.SkipDir
		case d.IsDir():
			fmt.Fprintf(&b, "%s/\n", rel)
		default:
			info, err := d.Info()
			if err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %v %x\n", rel, info.Mode(), sha256.Sum256(data))
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return b.String()
}

// summary is "event place manager runs" of each event.
func summary(report Report) string {
	var b strings.Builder
	for _, s := range report.Events {
		fmt.Fprintf(&b, "%s: %s", s.Event, s.Place)
		if s.Manager != "" {
			fmt.Fprintf(&b, " (%s)", s.Manager)
		}
		if s.Runs {
			b.WriteString(" runs")
		}
		if s.Runs != (s.Note == "") {
			b.WriteString(" NOTE " + s.Note)
		}
		b.WriteString("\n")
	}
	return b.String()
}
