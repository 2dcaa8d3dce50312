package main

import (
	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
)

func newVerify(u *ui) *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check kept.lock against the artifacts, the code and the store",
		Long: `Verify reads every byte that kept.lock names, in the working tree and in the
store, and compares it. It runs nothing. That the platform or a requirements
file is another than the stage ran with is told and is no failure.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var checks []core.Check
			err := eachProject(cmd.Context(), all, func(p *core.Project) error {
				meter := u.watch(p.Repository, "verifying")
				found, err := p.Verify(cmd.Context())
				meter.pause()
				checks = append(checks, found...)
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				err = u.json(verifyShape(checks))
			} else {
				u.printChecks(checks)
			}
			if err != nil {
				return err
			}
			return verdict(checks)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&all, "all", false, "every kept.lock of the repository")
	return addExits(cmd, "1 something differs", "2 wrong usage or configuration", "3 something is missing")
}

// verdict is the exit of a verification: a mismatch outweighs what is missing,
// and another environment is no failure.
func verdict(checks []core.Check) error {
	var err error
	for _, c := range checks {
		switch c.Verdict {
		case core.Mismatch:
			return errFailed
		case core.Inconclusive:
			err = errInconclusive
		}
	}
	return err
}

func (u *ui) printChecks(checks []core.Check) {
	counts := map[core.Verdict]int{}
	var rows [][]string
	for _, c := range checks {
		counts[c.Verdict]++
		if c.Verdict == core.Verified {
			continue
		}
		color := red
		if c.Verdict != core.Mismatch {
			color = yellow
		}
		rows = append(rows, []string{string(c.Verdict) + ":", clean(c.Stage), c.Kind, clean(c.Name), clean(c.Detail)})
		rows[len(rows)-1][0] = u.paint(color, rows[len(rows)-1][0])
	}
	u.printf("%s", table(rows, ""))
	u.printf("%s verified", plural(counts[core.Verified], "check"))
	if n := counts[core.Mismatch]; n > 0 {
		u.printf(", %s", u.paint(red, plural(n, "difference")))
	}
	if n := counts[core.Inconclusive]; n > 0 {
		u.printf(", %s", u.paint(yellow, plural(n, "thing")+" missing"))
	}
	if n := counts[core.Differs]; n > 0 {
		u.printf(", %s in the environment", u.paint(yellow, plural(n, "difference")))
	}
	u.printf("\n")
	if counts[core.Inconclusive] > 0 && (hasRemote() || !ranHere()) {
		u.say("%s %s", u.paint(yellow, "hint:"), hintMissing("."))
	}
}

type checkJSON struct {
	Stage   string `json:"stage,omitempty"`
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Verdict string `json:"verdict"`
	Detail  string `json:"detail,omitempty"`
}

func verifyShape(checks []core.Check) any {
	shape := struct {
		Version int         `json:"version"`
		Checks  []checkJSON `json:"checks"`
	}{1, []checkJSON{}}
	for _, c := range checks {
		shape.Checks = append(shape.Checks, checkJSON{c.Stage, c.Kind, c.Name, string(c.Verdict), c.Detail})
	}
	return shape
}
