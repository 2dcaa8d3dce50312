package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
	"github.com/kept-dev/kept/report"
)

func newResolve(u *ui) *cobra.Command {
	var ours, theirs, rerun, asJSON bool
	cmd := &cobra.Command{
		Use:   "resolve [STAGE...] [--ours | --theirs | --rerun]",
		Short: "Settle kept.lock in the middle of a merge, stage by stage",
		Long: `Resolve settles the conflicts that a merge, rebase, cherry-pick, revert or stash
left in kept.lock. A stage that both sides ran is taken from one of them as a
whole, or run again; what only one side changed is merged already. Once nothing
is in conflict, kept.lock is staged and the artifacts are those of the result.

Without --ours, --theirs or --rerun it lists what is in conflict. Without STAGE
it settles all of it. Data of "kept add" is called data:NAME.

As in Git, "ours" is the branch that is checked out; in a rebase that is the one
that you rebase onto, and "theirs" is your commit.`,
		Example: `  kept resolve
  kept resolve train --theirs
  kept resolve --rerun`,
		RunE: func(cmd *cobra.Command, names []string) error {
			m, err := core.OpenMerge(".")
			if err != nil {
				return err
			}
			defer m.Close()
			switch {
			case rerun:
				return u.rerunConflicts(cmd, m, names)
			case ours:
				return u.takeSide(cmd, m, names, core.Ours)
			case theirs:
				return u.takeSide(cmd, m, names, core.Theirs)
			case len(names) > 0:
				return &usageError{err: errors.New("say which side: --ours, --theirs or --rerun"), command: "kept resolve"}
			}
			return u.listConflicts(cmd, m, asJSON)
		},
		ValidArgsFunction: completeConflicts,
	}
	cmd.Flags().BoolVar(&ours, "ours", false, "take the block of the branch that is checked out")
	cmd.Flags().BoolVar(&theirs, "theirs", false, "take the block of the other side")
	cmd.Flags().BoolVar(&rerun, "rerun", false, "take neither and run the stage")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("ours", "theirs", "rerun", "json")
	return addExits(cmd, "1 a command failed", "2 wrong usage or configuration", "3 an artifact could not be restored", "130 interrupted")
}

func completeConflicts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	m, err := core.OpenMerge(".")
	if err != nil {
		return offered(nil)
	}
	defer m.Close()
	look, err := m.Look(cmd.Context())
	if err != nil {
		return offered(nil)
	}
	var names []string
	for _, c := range look.Conflicts {
		names = append(names, c.Name())
	}
	return offered(names)
}

func (u *ui) takeSide(cmd *cobra.Command, m *core.Merge, names []string, side core.Choice) error {
	meter := u.watch(m.Repository, "reading")
	s, err := m.Take(cmd.Context(), names, side)
	meter.pause()
	return u.reportSettled(cmd.Context(), m, s, side.String(), err)
}

func (u *ui) rerunConflicts(cmd *cobra.Command, m *core.Merge, names []string) error {
	opts := (&runFlags{}).options(u)
	opts.Started = func(stage *pipeline.Stage, reasons []pipeline.Reason) { u.sayStarted(stage, reasons) }
	opts.Finished = func(r *core.StageResult) { u.sayResult(m.Project, r, false) }
	s, err := m.Rerun(cmd.Context(), names, opts)
	return u.reportSettled(cmd.Context(), m, s, "", err) // The run has said it.
}

// reportSettled says what was settled and what comes next.
func (u *ui) reportSettled(ctx context.Context, m *core.Merge, s *core.Settled, how string, err error) error {
	if s == nil {
		return err
	}
	for _, name := range s.Names {
		if how != "" {
			u.say("%s %s", u.paint(bold, clean(name)+":"), how)
		}
	}
	if s.Restored != nil && len(s.Restored.Placed)+len(s.Restored.Removed)+len(s.Restored.Missing)+len(s.Restored.Left) > 0 {
		u.sayRestored(m.Repository, s.Restored, false)
	}
	if err != nil {
		return err
	}
	switch {
	case len(s.Left) > 0:
		u.say("still in conflict: %s", list(s.Left, clean))
		u.say("%s kept resolve", u.paint(yellow, "hint:"))
	case len(s.Files) > 0:
		u.say("%s is settled; still in conflict: %s", u.lockName(m), list(s.Files, func(f string) string { return clean(u.display(m.Repository, f)) }))
		u.say("%s git status", u.paint(yellow, "hint:"))
	case s.Staged:
		u.say("%s is settled and staged", u.lockName(m))
		if u.sayStale(ctx, m) {
			u.say("%s kept run && git add -A", u.paint(yellow, "hint:"))
			break
		}
		if next := nextStep(s.Operation, s.Stash); next != "" {
			u.say("%s %s", u.paint(faint, "next:"), next)
		}
	case len(s.Names) == 0:
		u.say("nothing in %s is in conflict", u.lockName(m))
	default:
		u.say("%s is settled", u.lockName(m))
		u.say("%s git add %s", u.paint(faint, "next:"), pathWord(u.lockName(m)))
	}
	if len(s.Restored.Missing)+len(s.Restored.Left) > 0 {
		return errInconclusive
	}
	return nil
}

// sayStale names the stages that the merged sources make stale: a side's block
// was not recorded with what the other side changed.
func (u *ui) sayStale(ctx context.Context, m *core.Merge) (stale bool) {
	if m.Experiment == nil {
		return false
	}
	st, err := m.Status(ctx)
	if err != nil {
		return false // The next command says it.
	}
	for _, stage := range st.Stages {
		if len(stage.Reasons) > 0 {
			stale = true
			u.say("%s stale: %s", u.paint(bold, clean(stage.Name)+":"), clean(reasonText(stage.Reasons)))
		}
	}
	return stale
}

func (u *ui) lockName(m *core.Merge) string { return clean(u.display(m.Repository, m.LockPath())) }

// nextStep is how an operation of Git goes on.
func nextStep(op git.Operation, stash bool) string {
	switch {
	case op == git.Merge:
		return "git commit"
	case op != git.None:
		return "git " + string(op) + " --continue"
	case stash:
		return "git stash drop" // Git keeps a stash that did not apply cleanly.
	}
	return ""
}

// listConflicts says what is in conflict, between whom, and what to type.
func (u *ui) listConflicts(cmd *cobra.Command, m *core.Merge, asJSON bool) error {
	look, err := m.Look(cmd.Context())
	if err != nil {
		return err
	}
	if asJSON {
		return u.json(lookShape(m, look))
	}
	if len(look.Conflicts) == 0 {
		u.say("nothing in %s is in conflict", u.lockName(m))
		if look.Unmerged {
			u.say("%s git add %s", u.paint(yellow, "hint:"), pathWord(u.lockName(m)))
		}
		return nil
	}
	rules := conflictRules(m)
	ours, theirs := sideNames(look)
	u.printf("%s", table([][]string{{"ours", ours}, {"theirs", theirs}}, ""))
	for _, c := range look.Conflicts {
		u.printf("\n")
		u.printConflict(c, m.Rel, rules)
	}
	name := clean(word(look.Conflicts[0].Name())) + " "
	if len(look.Conflicts) > 1 {
		name = ""
	}
	u.say("\n%s", strings.TrimSuffix(table([][]string{
		{"kept resolve " + name + "--ours", "take our block and its artifacts"},
		{"kept resolve " + name + "--theirs", "take their block and its artifacts"},
		{"kept resolve " + name + "--rerun", "run it with the code, inputs and params as they are now"},
	}, "  "), "\n"))
	if len(look.Conflicts) > 1 {
		u.say("  with a name, for that one alone: kept resolve %s --ours", clean(word(look.Conflicts[0].Name())))
	}
	return nil
}

// printConflict shows a block as a change from ours to theirs.
func (u *ui) printConflict(c core.Conflict, experiment string, rules metrics.Rules) {
	title := u.paint(bold, clean(c.Name()))
	switch {
	case c.Comparison == nil:
		u.printf("%s\n  lines of both sides are mixed\n", title)
	case empty(c.Ours):
		u.printf("%s  only theirs has it\n", title)
	case empty(c.Theirs):
		u.printf("%s  only ours has it\n", title)
	default:
		for _, stage := range report.New(experiment, c.Comparison, rules).Stages {
			stage.Name = c.Name()
			u.printStage(stage)
		}
	}
}

// conflictRules are the rules that say which way a metric gets better; a
// kept.toml that is in conflict itself has none to say.
func conflictRules(m *core.Merge) metrics.Rules {
	if m.Experiment == nil {
		return nil
	}
	rules, err := m.Rules()
	if err != nil {
		return nil
	}
	return rules
}

// sideNames says what the two sides are, in the words of the operation.
func sideNames(look *core.Look) (ours, theirs string) {
	ours, theirs = commitText(look.Head), commitText(look.Other)
	switch look.Operation {
	case git.Rebase:
		ours += "  (what you rebase onto, with what is on it so far)"
		theirs += "  (your commit)"
	case git.Revert:
		theirs = "what was before " + theirs
	case git.Apply:
		theirs = "the patch"
	case git.None:
		theirs = "what is put on top of it"
		if look.Stash {
			theirs = "the stash"
		}
	}
	return ours, theirs
}

func commitText(c git.CommitName) string {
	if c.ID == "" {
		return "no commit"
	}
	return short(c.ID) + " " + clean(c.Subject)
}

type lookJSON struct {
	Version    int            `json:"version"`
	Experiment string         `json:"experiment"`
	Operation  string         `json:"operation"`
	Ours       string         `json:"ours"`
	Theirs     string         `json:"theirs"`
	Conflicts  []conflictJSON `json:"conflicts"`
}

type conflictJSON struct {
	Name   string `json:"name"`
	Stage  string `json:"stage,omitempty"`
	Data   string `json:"data,omitempty"`
	Mixed  bool   `json:"mixed,omitempty"`
	Stages any    `json:"stages"`
}

func lookShape(m *core.Merge, look *core.Look) lookJSON {
	shape := lookJSON{Version: 1, Experiment: m.Rel, Operation: string(look.Operation), Ours: look.Head.ID, Theirs: look.Other.ID, Conflicts: []conflictJSON{}}
	for _, c := range look.Conflicts {
		j := conflictJSON{Name: c.Name(), Stage: c.Stage, Data: c.Data, Mixed: c.Comparison == nil, Stages: []any{}}
		if c.Comparison != nil {
			j.Stages = report.Stages(report.New(m.Rel, c.Comparison, conflictRules(m)))
		}
		shape.Conflicts = append(shape.Conflicts, j)
	}
	return shape
}

func empty(lock *lockfile.Lock) bool {
	return len(lock.Stages)+len(lock.Artifacts)+len(lock.Unknown) == 0
}
