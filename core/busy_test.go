package core

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kept-dev/kept/core/git"
)

// A run that has ended must not be named as the holder by who comes while the
// next holder has the lock and did not say yet what it does.
func TestHoldForgetsItsHolder(t *testing.T) {
	repo := &git.Repo{CommonDir: t.TempDir(), Worktree: git.Main}
	r := &Repository{Git: repo, Local: NewLocal(repo)}
	release, err := r.hold(t.Context(), "run train")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.hold(t.Context(), "restore")
	busy, ok := err.(*BusyError)
	if !ok || !busy.Running() {
		t.Errorf("hold during a run: %v", err)
	}
	release()
	data, err := os.ReadFile(filepath.Join(repo.CommonDir, "kept", "state", "main.lock"))
	if err != nil || len(data) > 0 {
		t.Errorf("after the run the lock says %q, %v", data, err)
	}
}
