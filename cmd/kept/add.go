package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/report"
)

func newAdd(u *ui) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add PATH...",
		Short: "Keep data that no stage writes",
		Long: `Add puts files and folders into the store and names them in kept.lock, so that
a checkout brings them back. Git is told to ignore them.`,
		Example: `  kept add data/reviews.tsv`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			p, err := core.OpenOrEmpty(".")
			if err != nil {
				return err
			}
			defer p.Close()
			paths, err := experimentPaths(p, names)
			if err != nil {
				return err
			}
			meter := u.watch(p.Repository, "storing")
			added, err := p.Add(cmd.Context(), paths)
			meter.pause()
			if err != nil {
				return err
			}
			for _, a := range added {
				u.sayAdded(a)
			}
			return nil
		},
	}
	return addExits(cmd, "2 wrong usage")
}

func (u *ui) sayAdded(a core.Added) {
	what := "kept as " + a.Name
	if !a.Changed {
		what = "unchanged, kept as " + a.Name
	}
	size := report.Size(a.Artifact.Size)
	if a.Artifact.Folder {
		size = plural(int(a.Artifact.Files), "file") + ", " + size
	}
	u.say("%s: %s (%s, %s)", clean(a.Path), what, size, a.Artifact.Hash.Short())
	if len(a.Ignored) > 0 {
		u.say("  added to .gitignore: %s", clean(strings.Join(a.Ignored, " ")))
	}
}
