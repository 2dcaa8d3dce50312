package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/report"
)

type diffFlags struct {
	all, code, json bool
	plot            string
	reports         []string
}

func newDiff(u *ui) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff [A [B] | A..B | A...B]",
		Short: "Show what changed between two revisions",
		Long: `Diff compares kept.lock of two revisions: parameters, metrics, inputs, artifacts,
code and environment. Without B it compares with the working tree, without A
with HEAD. A...B compares B with where it branched off A, as in git.`,
		Example: `  kept diff
  kept diff main...
  kept diff HEAD~1 HEAD --code
  kept diff v1.0 --report html=review.html
  kept diff HEAD~1 --plot loss.svg`,
		Args:              args(cobra.MaximumNArgs(2)),
		ValidArgsFunction: completeRevisionArgs(2),
		RunE:              func(cmd *cobra.Command, a []string) error { return runDiff(cmd, u, &f, a) },
	}
	cmd.Flags().BoolVar(&f.code, "code", false, "show the lines of code that changed")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.all, "all", false, "every kept.toml of the repository")
	cmd.Flags().StringVar(&f.plot, "plot", "", "draw the metrics by step into `FILE`, .svg or .png")
	reportFlag(cmd, &f.reports, documents)
	cmd.MarkFlagsMutuallyExclusive("json", "plot", "report")
	cmd.MarkFlagsMutuallyExclusive("all", "plot")
	return addExits(cmd, "2 wrong usage or unknown revision")
}

func runDiff(cmd *cobra.Command, u *ui, f *diffFlags, a []string) error {
	outputs, err := parseReports(f.reports, documents)
	if err != nil {
		return &usageError{err: err, command: cmd.CommandPath()}
	}
	var experiments []compared
	err = eachProject(cmd.Context(), f.all, func(p *core.Project) error {
		c, err := compare(cmd.Context(), p, a)
		if err != nil {
			return err
		}
		if f.plot != "" {
			return u.plotCurves(cmd.Context(), p, c, f.plot)
		}
		r, err := reviewOf(cmd.Context(), p, c, f.code)
		experiments = append(experiments, compared{p, c, r})
		return err
	})
	switch {
	case err != nil || f.plot != "":
		return err
	case f.json:
		return report.JSON(u.out, reviews(experiments), report.Options{Version: version})
	case len(outputs) > 0:
		return u.writeReports(cmd.Context(), outputs, experiments, report.Options{Version: version, Key: "diff"})
	}
	for i, e := range experiments {
		if f.all {
			if i > 0 {
				u.printf("\n")
			}
			u.printf("%s\n", u.paint(bold, clean(e.review.Experiment)+"/"))
		}
		u.printReview(e.review)
	}
	return nil
}

// compare finds what changed between the revisions that the user named.
func compare(ctx context.Context, p *core.Project, a []string) (*core.Comparison, error) {
	switch {
	case len(a) == 0:
		c, err := p.Diff(ctx, "HEAD", "")
		if err == nil && c.Old.Commit == "" {
			// On a branch without a commit there is no HEAD, and everything is new.
			return p.Diff(ctx, "", "")
		}
		return c, err
	case len(a) == 2:
		return p.Diff(ctx, a[0], a[1])
	case !strings.Contains(a[0], ".."):
		return p.Diff(ctx, a[0], "")
	}
	r, err := p.Git.Range(ctx, a[0])
	if err != nil {
		return nil, err
	}
	return p.Diff(ctx, r.Old, r.New)
}

// reviewOf puts a comparison into words, as the rules in kept.toml see it.
func reviewOf(ctx context.Context, p *core.Project, c *core.Comparison, code bool) (*report.Review, error) {
	rules, err := p.Rules()
	if err != nil {
		return nil, err
	}
	r := report.New(p.Rel, c, rules)
	if !code {
		return r, nil
	}
	files, err := p.Code(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		r.Patches = append(r.Patches, report.NewPatch(f))
	}
	return r, nil
}

// short abbreviates a full commit id.
func short(rev string) string {
	if git.IsID(rev) {
		return rev[:10]
	}
	return rev
}
