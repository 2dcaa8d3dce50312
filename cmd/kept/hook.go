package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/hooks"
	"github.com/kept-dev/kept/lockfile"
)

// newHook is what the installed hooks call. The restore hooks end with 0 in any
// case: post-checkout's exit code would become that of the user's command.
func newHook(u *ui) *cobra.Command {
	return &cobra.Command{
		Use:                "hook EVENT [ARGUMENT...]",
		Short:              "Do what a Git hook is for",
		Hidden:             true,
		DisableFlagParsing: true,
		Args:               args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if os.Getenv("KEPT_HOOK") != "" {
				return nil
			}
			r, err := core.OpenRepository(".")
			if err != nil {
				return nil //nolint:nilerr // A hook outside a worktree has nothing to look after.
			}
			switch hooks.Event(a[0]) {
			case hooks.PreCommit:
				return u.preCommit(cmd, r)
			case hooks.PrePush:
				return u.prePush(cmd, r, a[1:])
			}
			u.gitPrefix = strings.TrimSuffix(os.Getenv("GIT_PREFIX"), "/")
			report, err := r.Follow(cmd.Context(), u.dial(0, false))
			u.sayFollowed(r, report, err)
			_ = r.Close() // a stat cache that can't be written costs time later, nothing else
			return nil
		},
	}
}

func (u *ui) sayFollowed(r *core.Repository, report *core.Restored, err error) {
	if report != nil && report.NotFetched != nil {
		u.say("kept: not fetched: %s", clean(strings.ReplaceAll(report.NotFetched.Error(), "\n", "; ")))
	}
	if report != nil {
		u.sayRestored(r, report, true)
	}
	var busy *core.BusyError
	switch {
	case errors.As(err, &busy) && busy.Running():
		u.say("kept: artifacts are left as they are: %s is in progress", clean(busy.Holder))
	case err != nil:
		u.say("kept: artifacts are not restored: %s", clean(err.Error()))
	}
	if err != nil {
		u.say("%s kept restore", u.paint(yellow, "hint:"))
	}
}

// preCommit refuses a commit of a lock that does not hold.
func (u *ui) preCommit(cmd *cobra.Command, r *core.Repository) error {
	problems, err := r.CheckStaged(cmd.Context())
	_ = r.Close()
	if err != nil {
		return err
	}
	for _, p := range problems {
		u.say("%s %s", u.paint(red, "error:"), clean(problemText(p)))
	}
	if len(problems) == 0 {
		return nil
	}
	if remedy := problemRemedy(problems[0]); remedy != "" {
		u.say("%s %s", u.paint(yellow, "hint:"), clean(remedy))
	}
	return errFailed
}

// problemRemedy says what to type, where a command helps. A run brings back a lost object only when it
// is forced: by the lock, nothing is stale.
func problemRemedy(p core.StagedProblem) string {
	var conflict *lockfile.ConflictError
	var spliced *lockfile.SplicedError
	switch {
	case errors.As(p.Err, &conflict):
		return "kept resolve"
	case p.Err != nil && !errors.As(p.Err, &spliced):
		return ""
	case p.Missing != nil && hasRemote():
		return "kept fetch"
	case p.Missing != nil && p.Stage != "":
		return "kept run --force " + p.Stage
	case p.Missing != nil:
		return "kept add " + pathWord(p.Missing.Path)
	}
	return "kept run && git add -A"
}

func problemText(p core.StagedProblem) string {
	var named *values.FileError
	switch {
	case errors.As(p.Err, &named):
		return named.Error()
	case p.Err != nil:
		return fmt.Sprintf("%s: %v", p.Lock, p.Err)
	case p.Missing != nil:
		return fmt.Sprintf("%s names %s as %s, which no store here has", p.Lock, p.Missing.Path, p.Missing.Hash.Short())
	}
	return fmt.Sprintf("%s is stale: stage %s was recorded before this: %s", p.Lock, p.Stage, reasonText(p.Reasons))
}
