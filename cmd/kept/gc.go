package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/report"
)

func newGC(u *ui) *cobra.Command {
	var asJSON, dryRun bool
	grace := age(core.Grace)
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove from the store what nothing names any more",
		Long: `Gc keeps all that a kept.lock names in any commit that a branch, a tag, a reflog
or the stash leads to, in the index or in a working tree, that a run recorded, and
that was saved before it was replaced, in every clone that shares the store. What
is left and has not been used for 14 days it removes.`,
		Example: `  kept gc --dry-run        what would go
  kept gc --grace 0        all that nothing names, now`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := core.OpenRepository(".")
			if err != nil {
				return err
			}
			meter := u.watch(r, "copying")
			done, err := r.GC(cmd.Context(), core.GCOptions{Grace: time.Duration(grace), DryRun: dryRun, Progress: r.Workspace.Progress})
			meter.pause()
			if err != nil {
				return err
			}
			if asJSON {
				return u.json(gcShape(done, dryRun))
			}
			u.printGC(done, dryRun, time.Duration(grace))
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be removed")
	cmd.Flags().Var(&grace, "grace", "keep what was used in this time, such as 14d, 36h or 0")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	completeFlags(cmd, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return offered([]string{"0", "1d", "7d", "14d", "30d"})
	}, "grace")
	return addExits(cmd, "2 something can't be read, so nothing was removed", "3 the store is in use")
}

// age is a flag with a length of time in days or hours.
type age time.Duration

func (a *age) String() string { return ageText(time.Duration(*a)) }

// Type implements pflag.Value.
func (a *age) Type() string { return "age" }

// Set reads "14d", "2w", "0", and what time.ParseDuration reads.
func (a *age) Set(text string) error {
	const day = 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day, "": 1} {
		number, ok := strings.CutSuffix(text, suffix)
		if n, err := strconv.ParseInt(number, 10, 32); ok && err == nil && n >= 0 && (unit > 1 || n == 0) {
			*a = age(time.Duration(n) * unit)
			return nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no age such as 14d, 36h or 0", text)
	}
	*a = age(d)
	return nil
}

func ageText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "0"
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

func amount(a cas.Amount) string {
	return fmt.Sprintf("%s, %s", plural(a.Objects, "object"), report.Size(a.Bytes))
}

func (u *ui) printGC(done *core.GC, dryRun bool, grace time.Duration) {
	word := "removed"
	if dryRun {
		word = "would remove"
	}
	rows := [][]string{{word + ":", amount(done.Removed)}}
	if done.Young.Objects > 0 {
		why := "younger than " + ageText(grace) + ":"
		if done.Waiting {
			why = "not in use:"
		}
		rows = append(rows, []string{why, amount(done.Young)})
	}
	if done.Left.Objects > 0 {
		rows = append(rows, []string{"not worth the copying:", amount(done.Left)})
	}
	rows = append(rows, []string{"in use:", amount(done.Live)})
	u.printf("%s", table(rows, ""))
	was := report.Size(done.Before.Bytes) + " in " + plural(done.Before.Packs, "pack")
	is := report.Size(done.After.Bytes) + " in " + plural(done.After.Packs, "pack")
	switch {
	case was == is:
		u.printf("the store has %s\n", was)
	case dryRun:
		u.printf("the store has %s and would have about %s\n", was, report.Size(done.After.Bytes))
	default:
		u.printf("the store has %s, it had %s\n", is, was)
	}
	for _, c := range done.Clones {
		switch {
		case c.Gone && done.Waiting:
			u.say("%s the clone %s is gone, or was moved and not used since: nothing is removed before %s are over", u.paint(yellow, "warning:"), clean(c.Dir), ageText(grace))
			u.say("%s rm %s", u.paint(yellow, "hint:"), pathWord(c.Note))
		case c.Gone:
			u.say("%s the clone %s is gone: what it alone needed is not kept", u.paint(yellow, "warning:"), clean(c.Dir))
		}
	}
	for _, err := range done.Damaged {
		u.say("%s left as it is: %s", u.paint(yellow, "warning:"), clean(err.Error()))
	}
	if len(done.Damaged) > 0 {
		u.say("%s kept fsck --full", u.paint(yellow, "hint:"))
	}
}

type amountJSON struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

type packsJSON struct {
	Packs int   `json:"packs"`
	Bytes int64 `json:"bytes"`
}

type cloneJSON struct {
	Dir  string `json:"dir"`
	Gone bool   `json:"gone"`
}

type gcJSON struct {
	Version  int         `json:"version"`
	DryRun   bool        `json:"dry_run"`
	Removed  amountJSON  `json:"removed"`
	Young    amountJSON  `json:"young"`
	Left     amountJSON  `json:"left"`
	InUse    amountJSON  `json:"in_use"`
	Before   packsJSON   `json:"before"`
	After    packsJSON   `json:"after"`
	Repacked int         `json:"repacked"`
	Damaged  []string    `json:"damaged"`
	Clones   []cloneJSON `json:"clones"`
}

func gcShape(done *core.GC, dryRun bool) gcJSON {
	shape := gcJSON{
		Version: 1, DryRun: dryRun,
		Removed: amountJSON(done.Removed), Young: amountJSON(done.Young), Left: amountJSON(done.Left), InUse: amountJSON(done.Live),
		Before: packsJSON(done.Before), After: packsJSON(done.After), Repacked: done.Repacked,
		Damaged: []string{}, Clones: []cloneJSON{},
	}
	for _, err := range done.Damaged {
		shape.Damaged = append(shape.Damaged, err.Error())
	}
	for _, c := range done.Clones {
		shape.Clones = append(shape.Clones, cloneJSON{c.Dir, c.Gone})
	}
	return shape
}
