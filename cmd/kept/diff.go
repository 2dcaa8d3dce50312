package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/lockfile"
)

func newDiff(u *ui) *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "diff [A [B] | A..B | A...B]",
		Short: "Show what changed between two revisions",
		Long: `Diff compares kept.lock of two revisions: parameters, metrics, inputs, artifacts,
code and environment. Without B it compares with the working tree, without A
with HEAD. A...B compares B with where it branched off A, as in git.`,
		Example: `  kept diff
  kept diff main...
  kept diff HEAD~1 HEAD`,
		Args: args(cobra.MaximumNArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			var shapes []comparisonJSON
			err := eachProject(cmd.Context(), all, func(p *core.Project) error {
				from, to, err := diffSides(cmd, p, a)
				if err != nil {
					return err
				}
				c, err := p.Diff(cmd.Context(), from, to)
				if err != nil {
					return err
				}
				if asJSON {
					shapes = append(shapes, comparisonShape(p.Rel, c))
					return nil
				}
				u.printComparison(c)
				return nil
			})
			if err != nil || !asJSON {
				return err
			}
			return u.json(struct {
				Version     int              `json:"version"`
				Experiments []comparisonJSON `json:"experiments"`
			}{1, shapes})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&all, "all", false, "every kept.toml of the repository")
	return addExits(cmd, "2 wrong usage or unknown revision")
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

// section is what a group of changes is headed by, in the order of review.
var sections = []struct {
	title string
	kinds []lockfile.Kind
}{
	{"command", []lockfile.Kind{lockfile.KindCommand}},
	{"params", []lockfile.Kind{lockfile.KindParam}},
	{"metrics", []lockfile.Kind{lockfile.KindMetric}},
	{"artifacts", []lockfile.Kind{lockfile.KindArtifact}},
	{"inputs", []lockfile.Kind{lockfile.KindInput}},
	{"code", []lockfile.Kind{lockfile.KindCode}},
	{"environment", []lockfile.Kind{lockfile.KindEnvironment, lockfile.KindEnvironmentFile}},
	{"history", []lockfile.Kind{lockfile.KindHistory}},
	{"other", []lockfile.Kind{lockfile.KindOther}},
}

func (u *ui) printComparison(c *core.Comparison) {
	if len(c.Changes) == 0 {
		u.say("no difference between %s and %s", clean(short(c.Old.Rev)), clean(short(c.New.Rev)))
		return
	}
	var stage string
	for i := 0; i < len(c.Changes); {
		n := i
		for n < len(c.Changes) && c.Changes[n].Stage == c.Changes[i].Stage {
			n++
		}
		if i > 0 {
			u.printf("\n")
		}
		stage = c.Changes[i].Stage
		u.printStage(stage, c.Changes[i:n])
		i = n
	}
}

func (u *ui) printStage(name string, changes []core.Change) {
	title := clean(name)
	if name == "" {
		title = "kept data"
	}
	whole := changes[0].Kind == lockfile.KindStage
	if whole {
		if changes[0].Added() {
			title += " (new)"
		} else {
			title += " (removed)"
		}
	}
	u.printf("%s\n", u.paint(bold, title))
	for _, s := range sections {
		var rows [][]string
		for _, c := range changes {
			for _, k := range s.kinds {
				if c.Kind == k {
					rows = append(rows, changeRows(c)...)
				}
			}
		}
		if whole {
			unmark(rows)
		}
		u.section(s.title, rows)
	}
}

// changeRows is a change in lines of cells; what is inside a folder or a
// package list follows its own line.
func changeRows(c core.Change) [][]string {
	if len(c.Packages) > 0 {
		var rows [][]string
		for _, p := range c.Packages {
			rows = append(rows, []string{clean(p.Name), arrow(clean(p.Old), clean(p.New))})
		}
		return rows
	}
	name := c.Name
	if c.Kind == lockfile.KindCommand {
		return [][]string{{changeText(c.Change)}}
	}
	rows := [][]string{{clean(name), changeText(c.Change)}}
	const most = 10
	for i, f := range c.Files {
		if i == most && len(c.Files) > most+1 {
			rows = append(rows, []string{"", fmt.Sprintf("and %d more files", len(c.Files)-most)})
			break
		}
		rows = append(rows, []string{"  " + clean(f.Path), fileText(f)})
	}
	return rows
}

// unmark takes off what arrow adds to one-sided changes, for a stage that is
// new or removed as a whole and says so once.
func unmark(rows [][]string) {
	for _, row := range rows {
		last := &row[len(row)-1]
		*last = strings.TrimSuffix(strings.TrimSuffix(*last, markNew), markRemoved)
	}
}

func fileText(f core.FileChange) string {
	switch {
	case f.Old == nil:
		return "added, " + sizeText(f.New.Size)
	case f.New == nil:
		return "removed"
	}
	return arrow(sizeText(f.Old.Size), sizeText(f.New.Size))
}

// changeText is the two sides of a change for people.
func changeText(c lockfile.Change) string {
	text := arrow(sideText(c.Old), sideText(c.New))
	if c.Kind == lockfile.KindMetric {
		text += delta(c.Old, c.New)
	}
	return text
}

const (
	markNew     = "  (new)"
	markRemoved = "  (removed)"
)

func arrow(old, new string) string {
	switch {
	case old == "":
		return new + markNew
	case new == "":
		return old + markRemoved
	}
	return old + " → " + new
}

func sideText(side any) string {
	switch v := side.(type) {
	case nil:
		return ""
	case *lockfile.Artifact:
		return fmt.Sprintf("%s (%s)", v.Hash.Short(), sizeText(v.Size))
	case *lockfile.Input:
		if v.Sized {
			return fmt.Sprintf("%s (%s)", v.Hash.Short(), sizeText(v.Size))
		}
		return v.Hash.Short()
	case cas.Digest:
		return v.Short()
	case string:
		return clean(v)
	}
	return clean(lockfile.FormatValue(side))
}

// delta is the absolute and relative change of a number.
func delta(old, new any) string {
	a, ok := number(old)
	b, ok2 := number(new)
	if !ok || !ok2 || math.IsNaN(a) || math.IsNaN(b) || math.IsInf(a, 0) || math.IsInf(b, 0) {
		return ""
	}
	text := fmt.Sprintf("  %+.4g", b-a)
	if a != 0 {
		text += " (" + percent((b-a)/math.Abs(a)*100) + ")"
	}
	return text
}

// percent writes a share with as many digits as somebody reads.
func percent(p float64) string {
	switch size := math.Abs(p); {
	case size >= 10:
		return fmt.Sprintf("%+.0f %%", p)
	case size >= 0.1:
		return fmt.Sprintf("%+.1f %%", p)
	}
	return fmt.Sprintf("%+.2g %%", p)
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
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
