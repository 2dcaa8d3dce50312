package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRepositoryRunsNothing arms every trap that a repository's own files can
// set, makes sure that plain Git walks into them, and then does all that this
// package can do.
func TestRepositoryRunsNothing(t *testing.T) {
	skipOnWindows(t, "the traps are shell scripts")
	w := newTree(t)
	lib := newTree(t)
	lib.commit("lib.txt", "1")
	w.commit("kept.lock", "1")
	w.git("submodule", "--quiet", "add", lib.dir, "lib")
	w.commit()
	traps := t.TempDir() // Git gives some of them to a shell, so no space in the path
	sprung := filepath.Join(traps, "sprung")
	trap := func(name string) string {
		path := filepath.Join(traps, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho "+name+" >>'"+sprung+"'\nexit 0\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	arm := func(gitDir string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(gitDir, "hooks"), 0o777); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"post-index-change", "reference-transaction", "pre-commit", "post-checkout"} {
			if err := os.Symlink(trap(name), filepath.Join(gitDir, "hooks", name)); err != nil {
				t.Fatal(err)
			}
		}
		config, err := os.OpenFile(filepath.Join(gitDir, "config"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer config.Close()
		_, err = config.WriteString("[core]\n\tfsmonitor = " + trap("fsmonitor") + "\n\tpager = " + trap("pager") +
			"\n\teditor = " + trap("editor") + "\n\tsshCommand = " + trap("ssh") +
			"\n[diff]\n\texternal = " + trap("diff") + "\n[alias]\n\tstatus = !" + trap("alias") +
			"\n[hook \"evil\"]\n\tcommand = " + trap("configured") + "\n\tevent = post-index-change\n\tevent = reference-transaction\n" +
			"[gpg]\n\tprogram = " + trap("gpg") + "\n[commit]\n\tgpgSign = true\n")
		if err != nil {
			t.Fatal(err)
		}
	}
	// A bare repository that was committed as a folder, as an attacker would.
	lib.git("clone", "-q", "--bare", ".", filepath.Join(w.dir, "data", "embedded"))
	w.write("data/embedded/deep/x", "1")
	arm(filepath.Join(w.dir, ".git"))
	arm(filepath.Join(w.dir, ".git", "modules", "lib"))
	arm(filepath.Join(w.dir, "data", "embedded"))

	w.git("status")
	w.at("data/embedded").git("update-ref", "refs/heads/x", "HEAD")
	w.git("update-index", "--force-write-index")
	log, err := os.ReadFile(sprung)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fsmonitor", "post-index-change", "reference-transaction"} {
		if !strings.Contains(string(log), name) {
			t.Fatalf("plain Git did not walk into the trap %s, so this test proves nothing:\n%s", name, log)
		}
	}
	if err := os.Remove(sprung); err != nil {
		t.Fatal(err)
	}
	w.write("kept.lock", "2")
	w.write("lib/lib.txt", "2")

	ctx := t.Context()
	repo := w.at("data/embedded/deep").find()
	if repo.Root != w.dir {
		t.Errorf("the embedded repository was entered: %s", repo.Root)
	}
	var errs []error
	must := func(err error) { errs = append(errs, err) }
	_, err = repo.Describe(ctx)
	must(err)
	_, err = repo.Snapshot(ctx, "x", 1<<20)
	must(err)
	_, err = repo.PruneSnapshots(ctx, 0)
	must(err)
	_, err = repo.Range(ctx, "HEAD~...HEAD")
	must(err)
	_, err = repo.ReadFile(ctx, "HEAD", "kept.lock")
	must(err)
	_, err = repo.Staged(ctx, "kept.lock")
	must(err)
	_, err = repo.StagedNames(ctx)
	must(err)
	_, err = repo.Tracked(ctx, []string{"kept.lock", "data"})
	must(err)
	_, err = repo.Ignored(ctx, []string{"kept.lock"})
	must(err)
	_, err = repo.Files(ctx, "kept.lock")
	must(err)
	_, err = repo.HooksDir(ctx)
	must(err)
	must(repo.SetConfig(ctx, "kept.test", "1"))
	must(repo.UnsetConfig(ctx, "kept.test"))
	for i, err := range errs {
		if err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if log, err := os.ReadFile(sprung); err == nil {
		t.Errorf("code of the repository ran:\n%s", log)
	}
}

// TestPlantedGit puts a program called git where a careless search would find it.
func TestPlantedGit(t *testing.T) {
	skipOnWindows(t, "the trap is a shell script")
	w := newTree(t)
	w.commit("a", "1")
	sprung := filepath.Join(t.TempDir(), "sprung")
	w.write("git", "#!/bin/sh\necho >'"+sprung+"'\n")
	if err := os.Chmod(filepath.Join(w.dir, "git"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(w.dir)
	t.Setenv("PATH", ".")
	if _, err := w.find().Head(t.Context()); err == nil {
		t.Error("a git of the current folder was accepted")
	}
	if _, err := os.Stat(sprung); err == nil {
		t.Error("the planted git ran")
	}
}
