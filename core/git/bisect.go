package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrSkipped reports a bisection that ran out of commits that could be tried.
var ErrSkipped = errors.New("what is left could not be tried")

// Scratch is a worktree beside the user's for a while, with a detached HEAD. It
// shares objects and refs with it, and has an index, a HEAD and a bisection of
// its own.
type Scratch struct {
	*Repo
	owner *Repo
	dir   string
}

// Scratch adds a worktree in the system's folder for temporary files. Close
// removes it.
func (r *Repo) Scratch(ctx context.Context, id string) (*Scratch, error) {
	dir, err := os.MkdirTemp("", "kept-bisect-")
	if err != nil {
		return nil, err
	}
	s := &Scratch{owner: r, dir: dir}
	worktree := filepath.Join(dir, "worktree")
	if _, err = r.git(ctx, "worktree", "add", "--quiet", "--detach", worktree, id); err == nil {
		s.Repo, err = Find(worktree)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close removes the worktree with all that is in it.
func (s *Scratch) Close() error {
	// Also after an interrupt.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := os.RemoveAll(s.dir)
	// What Git remembers of a worktree whose folder is gone goes as well.
	_, pruned := s.owner.git(ctx, "worktree", "remove", "--force", filepath.Join(s.dir, "worktree"))
	if pruned != nil && s.Repo == nil {
		pruned = nil // It was never added.
	}
	return errors.Join(err, pruned)
}

// Bisect lets "git bisect run" find the commit that broke what argv tests, which
// runs at the top of the worktree and ends with 0 for a good commit, 1 for a bad
// one, and 125 for one that can't be tried. What it says goes to out. It returns
// the id of the first bad commit, or ErrSkipped.
func (s *Scratch) Bisect(ctx context.Context, bad, good string, argv []string, out io.Writer) (string, error) {
	if _, err := s.git(ctx, "bisect", "start", bad, good); err != nil {
		return "", err
	}
	c := s.command()
	// The tests are the user's and run in the user's locale.
	for _, name := range []string{"LC_ALL", "LANGUAGE"} {
		c.env = append(c.env, name+"="+os.Getenv(name))
	}
	args := append([]string{"bisect", "run"}, argv...)
	cmd, err := c.prepare(ctx, args)
	if err != nil {
		return "", err
	}
	ownGroup(cmd)
	// A test cleans up when it is interrupted; Git itself does not wait for it, but
	// its output stays open for so long.
	cmd.WaitDelay = 20 * time.Second
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = out, io.MultiWriter(out, &stderr)
	err = cmd.Run()
	if err = commandError(ctx, args, stderr.String(), err); exitCode(err) == 2 {
		return "", ErrSkipped
	}
	if err != nil {
		return "", err
	}
	first, err := s.git(ctx, "rev-parse", "--verify", "refs/bisect/bad")
	if err != nil {
		return "", fmt.Errorf("read what git bisect found: %w", err)
	}
	return strings.TrimSpace(string(first)), nil
}

// ResetHard makes the tracked files of the worktree those of HEAD.
func (r *Repo) ResetHard(ctx context.Context) error {
	_, err := r.git(ctx, "reset", "--quiet", "--hard")
	return err
}
