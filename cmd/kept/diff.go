package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/lockfile"
	"github.com/kept-dev/kept/report"
)

type diffFlags struct {
	all, code, json bool
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
  kept diff HEAD~1 HEAD --code`,
		Args: args(cobra.MaximumNArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error { return runDiff(cmd, u, &f, a) },
	}
	cmd.Flags().BoolVar(&f.code, "code", false, "show the lines of code that changed")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.all, "all", false, "every kept.toml of the repository")
	cmd.MarkFlagsMutuallyExclusive("json", "code")
	return addExits(cmd, "2 wrong usage or unknown revision")
}

func runDiff(cmd *cobra.Command, u *ui, f *diffFlags, a []string) error {
	var reviews []*report.Review
	var shapes []comparisonJSON
	err := eachProject(cmd.Context(), f.all, func(p *core.Project) error {
		from, to, err := diffSides(cmd, p, a)
		if err != nil {
			return err
		}
		c, err := p.Diff(cmd.Context(), from, to)
		if err != nil {
			return err
		}
		review, err := u.review(cmd.Context(), p, c, f.code)
		if err != nil {
			return err
		}
		reviews, shapes = append(reviews, review), append(shapes, comparisonShape(p.Rel, c))
		return nil
	})
	if err != nil {
		return err
	}
	if f.json {
		return u.json(struct {
			Version     int              `json:"version"`
			Experiments []comparisonJSON `json:"experiments"`
		}{1, shapes})
	}
	for i, r := range reviews {
		if f.all {
			if i > 0 {
				u.printf("\n")
			}
			u.printf("%s\n", u.paint(bold, clean(r.Experiment)+"/"))
		}
		u.printReview(r)
	}
	return nil
}

// diffSides returns the two revisions to compare; an empty one is the working tree.
func diffSides(cmd *cobra.Command, p *core.Project, a []string) (from, to string, err error) {
	switch len(a) {
	case 0:
		// On a branch without a commit there is no HEAD, and everything is new.
		head, err := p.Git.Head(cmd.Context())
		if head != "" {
			head = "HEAD"
		}
		return head, "", err
	case 2:
		return a[0], a[1], nil
	}
	if !strings.Contains(a[0], "..") {
		return a[0], "", nil
	}
	r, err := p.Git.Range(cmd.Context(), a[0])
	return r.Old, r.New, err
}

// review puts a comparison into words, as the rules in kept.toml see it.
func (u *ui) review(ctx context.Context, p *core.Project, c *core.Comparison, code bool) (*report.Review, error) {
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
	if len(rev) >= 40 && strings.Trim(rev, "0123456789abcdef") == "" {
		return rev[:10]
	}
	return rev
}

type comparisonJSON struct {
	Experiment string       `json:"experiment"`
	Old        string       `json:"old"`
	New        string       `json:"new"`
	Changes    []changeJSON `json:"changes"`
}

type changeJSON struct {
	Stage    string        `json:"stage,omitempty"`
	Kind     string        `json:"kind"`
	Name     string        `json:"name,omitempty"`
	Old      any           `json:"old"`
	New      any           `json:"new"`
	Files    []fileJSON    `json:"files,omitempty"`
	Packages []packageJSON `json:"packages,omitempty"`
}

type fileJSON struct {
	Path string `json:"path"`
	Old  any    `json:"old"`
	New  any    `json:"new"`
}

type packageJSON struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

func comparisonShape(rel string, c *core.Comparison) comparisonJSON {
	shape := comparisonJSON{Experiment: rel, Old: c.Old.Rev, New: c.New.Rev, Changes: []changeJSON{}}
	for _, change := range c.Changes {
		if change.Kind == lockfile.KindStage {
			continue
		}
		j := changeJSON{Stage: change.Stage, Kind: change.Kind.String(), Name: change.Name,
			Old: sideJSON(change.Old), New: sideJSON(change.New)}
		for _, f := range change.Files {
			j.Files = append(j.Files, fileJSON{f.Path, entryJSON(f.Old), entryJSON(f.New)})
		}
		for _, p := range change.Packages {
			j.Packages = append(j.Packages, packageJSON{p.Name, p.Old, p.New})
		}
		shape.Changes = append(shape.Changes, j)
	}
	return shape
}

func sideJSON(side any) any {
	switch v := side.(type) {
	case *lockfile.Artifact:
		return artifactShape(v)
	case *lockfile.Input:
		return inputShape(v)
	}
	return core.JSONValue(side)
}

func entryJSON(e *cas.Entry) any {
	if e == nil {
		return nil
	}
	return struct {
		Hash cas.Digest `json:"hash"`
		Size int64      `json:"size"`
	}{e.Digest, e.Size}
}
