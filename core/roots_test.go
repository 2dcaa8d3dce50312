package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// clone is a repository of a test, with a store.
type clone struct {
	t   *testing.T
	dir string
}

func newClone(t *testing.T) clone {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "GIT_") {
			t.Setenv(name, "") // so that it is put back
			os.Unsetenv(name)
		}
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	config := filepath.Join(dir, "gitconfig")
	text := "[user]\n name = Ada\n email = ada@example.org\n[init]\n defaultBranch = main\n[gc]\n auto = 0\n[maintenance]\n auto = false\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	c := clone{t, filepath.Join(dir, "clone")}
	c.init()
	return c
}

func (c clone) init() {
	c.t.Helper()
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	c.git("init", "-q")
}

// beside returns another clone in the same test.
func (c clone) beside(name string) clone {
	o := clone{c.t, filepath.Join(filepath.Dir(c.dir), name)}
	o.init()
	return o
}

func (c clone) git(args ...string) {
	c.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = c.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (c clone) write(name, text string) {
	c.t.Helper()
	file := filepath.Join(c.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c clone) open() *Repository {
	c.t.Helper()
	r, err := OpenRepository(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// keep puts a content into the store.
func (c clone) keep(text string) cas.Digest {
	c.t.Helper()
	d, _, err := c.open().objects.Put(context.Background(), strings.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	return d
}

// keepFolder puts a folder with one file into the store.
func (c clone) keepFolder(text string) (tree, file cas.Digest) {
	file = c.keep(text)
	t := cas.Tree{{Path: "a.txt", Kind: cas.File, Digest: file, Size: int64(len(text))}}
	return c.keep(string(t.Marshal())), file
}

// lock returns the text of a lock with one artifact.
func lockOf(hash cas.Digest, folder bool) string {
	lock := lockfile.New()
	art := &lockfile.Artifact{Path: "model", Hash: hash, Size: 1, Folder: folder}
	if folder {
		art.Files = 1
	}
	lock.Artifacts["model"] = art
	return string(lock.Marshal())
}

func (c clone) commit(lock string) {
	c.t.Helper()
	c.write(lockfile.Name, lock)
	c.git("add", "-f", lockfile.Name)
	c.git("commit", "-q", "-m", "change")
}

// forget makes Git lose what no ref leads to.
func (c clone) forget() {
	c.git("reflog", "expire", "--expire=now", "--all")
	_ = os.Remove(filepath.Join(c.dir, ".git", "ORIG_HEAD"))
}

func (c clone) gc(o GCOptions) *GC {
	c.t.Helper()
	done, err := c.open().GC(context.Background(), o)
	if err != nil {
		c.t.Fatal(err)
	}
	return done
}

func (c clone) has(d cas.Digest) bool {
	c.t.Helper()
	_, err := c.open().objects.Stat(context.Background(), d)
	var missing *cas.MissingError
	if err != nil && !errors.As(err, &missing) {
		c.t.Fatal(err)
	}
	return err == nil
}

// TestGCKeeps: each way in which something can be needed, and what is not.
func TestGCKeeps(t *testing.T) {
	for _, test := range []struct {
		name string
		// lead makes something lead to the lock, or names the digest itself.
		lead func(c clone, lock string, d cas.Digest)
		gone bool
	}{
		{"nothing", func(clone, string, cas.Digest) {}, true},
		{"a commit that is lost", func(c clone, lock string, _ cas.Digest) {
			c.commit(lock)
			c.git("reset", "-q", "--hard", "HEAD~1")
			c.forget()
		}, true},
		{"a branch", func(c clone, lock string, _ cas.Digest) {
			c.git("checkout", "-q", "-b", "other")
			c.commit(lock)
			c.git("checkout", "-q", "main")
			c.forget()
		}, false},
		{"a remote's branch", func(c clone, lock string, _ cas.Digest) {
			c.commit(lock)
			c.git("update-ref", "refs/remotes/origin/main", "HEAD")
			c.git("reset", "-q", "--hard", "HEAD~1")
			c.forget()
		}, false},
		{"a tag, further back", func(c clone, lock string, _ cas.Digest) {
			c.commit(lock)
			c.commit(lockOf(cas.Sum([]byte("y")), false))
			c.git("tag", "v1")
			c.git("reset", "-q", "--hard", "HEAD~2")
			c.forget()
		}, false},
		{"the stash", func(c clone, lock string, _ cas.Digest) {
			c.write(lockfile.Name, lock)
			c.git("stash", "-q")
		}, false},
		{"a reflog", func(c clone, lock string, _ cas.Digest) {
			c.commit(lock)
			c.git("reset", "-q", "--hard", "HEAD~1")
			_ = os.Remove(filepath.Join(c.dir, ".git", "ORIG_HEAD"))
		}, false},
		{"the index", func(c clone, lock string, _ cas.Digest) {
			c.write("sub/"+lockfile.Name, lock)
			c.git("add", "sub")
			_ = os.RemoveAll(filepath.Join(c.dir, "sub"))
		}, false},
		{"a lock on disk that Git does not know", func(c clone, lock string, _ cas.Digest) {
			c.write("new/"+lockfile.Name, lock)
		}, false},
		{"a lock on disk that Git ignores", func(c clone, lock string, _ cas.Digest) {
			c.write(".gitignore", "new/\n")
			c.write("new/"+lockfile.Name, lock)
		}, false},
		{"a linked worktree's HEAD", func(c clone, lock string, _ cas.Digest) {
			c.git("worktree", "add", "-q", "--detach", "../linked")
			clone{c.t, filepath.Join(c.dir, "..", "linked")}.commit(lock)
		}, false},
		{"a linked worktree's lock on disk", func(c clone, lock string, _ cas.Digest) {
			c.git("worktree", "add", "-q", "--detach", "../linked")
			clone{c.t, filepath.Join(c.dir, "..", "linked")}.write(lockfile.Name, lock)
		}, false},
		{"a snapshot", func(c clone, lock string, _ cas.Digest) {
			c.commit(lock)
			c.git("update-ref", "refs/kept/snap/1", "HEAD")
			c.git("reset", "-q", "--hard", "HEAD~1")
			c.forget()
		}, false},
		{"our side of a conflict", func(c clone, lock string, _ cas.Digest) { conflict(c, lock, "") }, false},
		{"their side of a conflict", func(c clone, lock string, _ cas.Digest) { conflict(c, "", lock) }, false},
		{"a lock that is damaged", func(c clone, lock string, _ cas.Digest) {
			c.commit("not a lock [\n" + lock + "\n<<<<<<<\x00\n")
		}, false},
		{"a run's lock", func(c clone, lock string, _ cas.Digest) {
			c.write(".git/kept/runs/20260101-1/kept.lock", lock)
		}, false},
		{"the lock of a run of long ago", func(c clone, lock string, _ cas.Digest) {
			name := ".git/kept/runs/20260101-1/kept.lock"
			c.write(name, lock)
			then := time.Now().Add(-runAge - time.Hour)
			if err := os.Chtimes(filepath.Join(c.dir, name), then, then); err != nil {
				c.t.Fatal(err)
			}
		}, true},
		{"a merge that a run settles", func(c clone, lock string, _ cas.Digest) {
			c.write(".git/kept/runs/20260101-1/settled.lock", lock)
		}, false},
		{"a saved content", func(c clone, _ string, d cas.Digest) {
			c.write(".git/kept/state/saved.jsonl", fmt.Sprintf("{\"path\":\"x\",\"hash\":%q}\n{\"path\":", d))
		}, false},
		{"what lies in a worktree", func(c clone, _ string, d cas.Digest) {
			c.write(".git/kept/state/linked-x.json", fmt.Sprintf("{\"version\":99,\"x\":%q}", d))
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClone(t)
			c.commit(lockOf(cas.Sum([]byte("first")), false))
			tree, file := c.keepFolder("the file of a folder")
			test.lead(c, lockOf(tree, true), tree)
			other := c.keep("of no use")
			c.gc(GCOptions{DryRun: true})
			if !c.has(other) {
				t.Fatal("a dry run removed something")
			}
			c.gc(GCOptions{})
			if c.has(tree) == test.gone || c.has(file) == test.gone {
				t.Errorf("the folder is there: %t, its file: %t; want %t", c.has(tree), c.has(file), !test.gone)
			}
			if c.has(other) {
				t.Error("what nothing names is still there")
			}
		})
	}
}

// conflict leaves a conflict of two locks; "" is any.
func conflict(c clone, ours, theirs string) {
	for i, lock := range []*string{&ours, &theirs} {
		if *lock == "" {
			*lock = lockOf(cas.Sum([]byte{byte(i)}), false)
		}
	}
	c.git("checkout", "-q", "-b", "other")
	c.commit(theirs)
	c.git("checkout", "-q", "main")
	c.commit(ours)
	cmd := exec.Command("git", "merge", "-q", "other")
	cmd.Dir = c.dir
	if cmd.Run() == nil {
		c.t.Fatal("it is no conflict")
	}
	c.git("branch", "-q", "-D", "other")
	c.forget()
}

// TestGCKeepsRecords: history of metrics and lists of packages.
func TestGCKeepsRecords(t *testing.T) {
	c := newClone(t)
	series, packages, imported := c.keep("series"), c.keep("a==1\n"), c.keep("b==1\n")
	lock := lockfile.New()
	lock.Stages["train"] = &lockfile.Stage{
		Command: "x", History: map[string]cas.Digest{"loss": series},
		Environment: &lockfile.Environment{Packages: packages, Platform: "linux/amd64"},
		Metrics:     map[string]lockfile.Value{"loss": 1.5},
		Params:      map[string]lockfile.Value{"version": int64(99)}, // which is not that of the lock
	}
	c.commit(string(lock.Marshal()))
	c.write(".git/kept/runs/1/run.json", fmt.Sprintf("{\"imported\": %q}", imported))
	c.gc(GCOptions{})
	for _, d := range []cas.Digest{series, packages, imported} {
		if !c.has(d) {
			t.Errorf("%s is gone", d)
		}
	}
}

func TestGCRefuses(t *testing.T) {
	c := newClone(t)
	other := c.keep("of no use")
	c.commit("version = 99\n")
	c.commit(lockOf(cas.Sum([]byte("x")), false))
	refused := func(what string) error {
		t.Helper()
		_, err := c.open().GC(context.Background(), GCOptions{})
		if err == nil || !c.has(other) {
			t.Errorf("%s: got %v", what, err)
		}
		return err
	}
	var newer *lockfile.VersionError
	var file *FileError
	if err := refused("a lock of a newer version"); !errors.As(err, &newer) || !errors.As(err, &file) || file.Rev == "" || file.Path != lockfile.Name {
		t.Errorf("it says %v", err)
	}
	c.git("checkout", "-q", "--orphan", "new")
	c.git("commit", "-q", "-m", "new")
	c.git("branch", "-q", "-D", "main")
	c.forget()
	if err := os.Mkdir(filepath.Join(c.dir, ".git", "kept", "runs"), 0o700); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(c.dir, ".git", "kept", "runs", "1", "run.json")
	if err := os.MkdirAll(run, 0o700); err != nil {
		t.Fatal(err)
	}
	refused("a record that is no file")
	if err := os.Remove(run); err != nil {
		t.Fatal(err)
	}
	c.gc(GCOptions{})
	if c.has(other) {
		t.Error("nothing stands in its way, and it removed nothing")
	}
}

// TestGCOfSharedCache: what any of the clones needs stays.
func TestGCOfSharedCache(t *testing.T) {
	a := newClone(t)
	b := a.beside("b")
	cache := filepath.Join(filepath.Dir(a.dir), "cache")
	before := a.keep("kept before the cache was shared")
	a.commit(lockOf(before, false))
	for _, c := range []clone{a, b} {
		if _, err := c.open().UseCache(context.Background(), cache); err != nil {
			t.Fatal(err)
		}
	}
	if r := a.open(); r.Local.Store() != cache || !a.has(before) {
		t.Fatalf("the store of the clone is %s", r.Local.Store())
	}
	// What another process still put into its own store comes along later.
	own, err := cas.OpenLocal(a.open().Local.OwnStore())
	if err != nil {
		t.Fatal(err)
	}
	late, _, err := own.Put(context.Background(), strings.NewReader("put late"))
	if err != nil {
		t.Fatal(err)
	}
	a.commit(lockOf(late, false))
	if _, err := a.open().Store.Stat(context.Background(), late); err != nil {
		t.Errorf("put into the own store: %v", err)
	}
	ofB, other := b.keep("b's"), b.keep("nobody's")
	b.write(lockfile.Name, lockOf(ofB, false))
	done := a.gc(GCOptions{})
	if !a.has(before) || !a.has(late) || !a.has(ofB) || a.has(other) || len(done.Clones) != 2 {
		t.Errorf("a: %t %t, b: %t, nobody: %t; clones %v", a.has(before), a.has(late), a.has(ofB), a.has(other), done.Clones)
	}
	if left, err := os.ReadDir(filepath.Join(a.open().Local.OwnStore(), "packs")); err != nil || len(left) > 0 {
		t.Errorf("the own store has %v, %v", left, err)
	}

	// A clone that was moved says so when it is used.
	moved := clone{t, b.dir + "-moved"}
	if err := os.Rename(b.dir, moved.dir); err != nil {
		t.Fatal(err)
	}
	moved.open()
	a.gc(GCOptions{})
	if !a.has(ofB) {
		t.Error("what a moved clone needs is gone")
	}

	// One that can't be read stops all.
	head := filepath.Join(moved.dir, ".git", "HEAD")
	if err := os.Rename(head, head+"-away"); err != nil {
		t.Fatal(err)
	}
	var unread *CloneError
	if _, err := a.open().GC(context.Background(), GCOptions{}); !errors.As(err, &unread) || unread.Clone.Note == "" || !a.has(ofB) {
		t.Errorf("a clone that can't be read: %v", err)
	}
	if err := os.RemoveAll(moved.dir); err != nil {
		t.Fatal(err)
	}
	packs, err := filepath.Glob(filepath.Join(cache, "packs", "*"))
	long := time.Now().Add(-48 * time.Hour)
	for _, name := range packs {
		err = errors.Join(err, os.Chtimes(name, long, long))
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if done = a.gc(GCOptions{Grace: time.Hour}); !a.has(ofB) || !done.Waiting {
			t.Error("what a removed clone needed is gone before the grace was over")
		}
	}
	if done = a.gc(GCOptions{}); a.has(ofB) || !a.has(before) {
		t.Errorf("a removed clone: %+v", done.Clones)
	}
	if notes, err := os.ReadDir(filepath.Join(cache, "clones")); err != nil || len(notes) != 1 {
		t.Errorf("the store knows %v, %v", notes, err)
	}
}

// TestGCOfLinkedStore: a link in the place of a store is a shared store, too, and
// bringing it over to itself is not to lose it.
func TestGCOfLinkedStore(t *testing.T) {
	a := newClone(t)
	b := a.beside("b")
	ofA := a.keep("a's")
	a.write(lockfile.Name, lockOf(ofA, false))
	store := a.open().Local.Store()
	own := b.open().Local.OwnStore()
	if err := os.MkdirAll(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(store, own); err != nil {
		t.Skip(err)
	}
	ofB, other := b.keep("b's"), b.keep("nobody's")
	b.write(lockfile.Name, lockOf(ofB, false))
	a.gc(GCOptions{})
	b.gc(GCOptions{})
	if !a.has(ofA) || !a.has(ofB) || a.has(other) || !b.has(ofB) {
		t.Errorf("a's: %t, b's: %t, nobody's: %t", a.has(ofA), a.has(ofB), a.has(other))
	}

	// The same by the setting and by a link.
	cache := filepath.Join(filepath.Dir(a.dir), "cache")
	c := a.beside("c")
	if err := os.MkdirAll(filepath.Join(c.dir, ".git", "kept"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := c.open().UseCache(t.Context(), cache); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(cache, c.open().Local.OwnStore()); err != nil {
		t.Fatal(err)
	}
	ofC := c.keep("c's")
	c.write(lockfile.Name, lockOf(ofC, false))
	c.gc(GCOptions{})
	if !c.has(ofC) {
		t.Error("a store was brought over to itself, and is lost")
	}
}

func TestIsGone(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "mountpoint")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dir  string
		gone bool
		err  error
	}{
		{dir, false, nil},
		{filepath.Join(dir, "removed"), true, nil},
		{filepath.Join(dir, "removed", "with", "all"), true, nil},
		{filepath.Join(empty, "project", ".git"), false, errUnmounted},
	} {
		if gone, err := isGone(test.dir); gone != test.gone || !errors.Is(err, test.err) {
			t.Errorf("%s: got %t, %v", test.dir, gone, err)
		}
	}
}

func TestUseCacheRefuses(t *testing.T) {
	c := newClone(t)
	other := c.beside("other")
	other.keep("x")
	file := filepath.Join(filepath.Dir(c.dir), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", c.dir, filepath.Join(c.dir, ".git", "kept", "cache"), other.open().Local.Store(), file} {
		var bad *CacheError
		if _, err := c.open().UseCache(context.Background(), dir); !errors.As(err, &bad) {
			t.Errorf("%q: got %v", dir, err)
		}
	}
	c.write(".git/kept/config.toml", "cache = \"relative\"\n")
	if _, err := OpenRepository(c.dir); err == nil {
		t.Error("a relative cache was taken")
	}
	// Other settings stay as they are.
	c.write(".git/kept/config.toml", "# mine\nlinks = true\ncache = \""+filepath.ToSlash(c.dir)+"x\"\n\n[trust]\ncache = 1\n")
	r := c.open()
	if _, err := r.UseCache(context.Background(), filepath.Join(filepath.Dir(c.dir), "new")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(r.Local.Config())
	if err != nil || !strings.HasSuffix(string(data), "\n# mine\nlinks = true\n\n[trust]\ncache = 1\n") || strings.Count(string(data), "cache") != 2 {
		t.Errorf("got %q, %v", data, err)
	}
}
