package main

import (
	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/hooks"
)

func newHooks(u *ui) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hooks",
		Short: "Install, inspect or remove the Git hooks",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newHooksStatus(u), newHooksInstall(u), newHooksUninstall(u))
	return cmd
}

func newHooksInstall(u *ui) *cobra.Command {
	return addExits(&cobra.Command{
		Use:   "install",
		Short: "Install the hooks, beside those of other hook managers",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := core.OpenRepository(".")
			if err != nil {
				return err
			}
			in, err := installer(r)
			if err != nil {
				return err
			}
			report, err := in.Install(cmd.Context())
			if err != nil {
				return err
			}
			u.sayInstalled(report)
			_, err = r.Adopt(cmd.Context())
			return err
		},
	}, "2 no Git repository, or a file that can't be used")
}

func newHooksUninstall(u *ui) *cobra.Command {
	return addExits(&cobra.Command{
		Use:   "uninstall",
		Short: "Remove exactly what install wrote",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := core.OpenRepository(".")
			if err != nil {
				return err
			}
			in, err := installer(r)
			if err != nil {
				return err
			}
			if _, err := in.Uninstall(cmd.Context()); err != nil {
				return err
			}
			u.say("hooks are removed: artifacts stay as they are until kept restore")
			return nil
		},
	}, "2 no Git repository, or a file that can't be used")
}

func newHooksStatus(u *ui) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say per event where the hook is and whether it runs",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := core.OpenRepository(".")
			if err != nil {
				return err
			}
			in, err := installer(r)
			if err != nil {
				return err
			}
			report, err := in.Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return u.json(hooksShape(report))
			}
			u.printHooks(report)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return addExits(cmd, "2 no Git repository")
}

func (u *ui) printHooks(report hooks.Report) {
	var rows [][]string
	installed := true
	for _, e := range report.Events {
		runs := u.paint(green, "runs")
		if !e.Runs {
			runs = u.paint(red, "does not run")
			installed = installed && e.Place == hooks.LeftOut
		}
		where := string(e.Place)
		if e.Place == hooks.Nowhere {
			where = "not installed"
		}
		if e.Path != "" {
			where += " " + clean(e.Path)
		}
		if e.Manager != "" {
			where += " (" + e.Manager + ")"
		}
		rows = append(rows, []string{string(e.Event), runs, where})
		if e.Note != "" {
			rows = append(rows, []string{"", "", clean(e.Note)})
		}
	}
	for _, extra := range []struct {
		name string
		set  bool
	}{{"merge driver", report.Driver}, {".gitattributes", report.Attributes}} {
		state := u.paint(green, "set up")
		if !extra.set {
			state, installed = u.paint(red, "not set up"), false
		}
		rows = append(rows, []string{extra.name, state, ""})
	}
	u.printf("%s", table(rows, ""))
	if !installed {
		u.say("%s kept init", u.paint(yellow, "hint:"))
	}
}

type hookJSON struct {
	Event   string `json:"event"`
	Place   string `json:"place"`
	Path    string `json:"path,omitempty"`
	Manager string `json:"manager,omitempty"`
	Version int    `json:"version,omitempty"`
	Runs    bool   `json:"runs"`
	Note    string `json:"note,omitempty"`
	Advice  string `json:"advice,omitempty"`
}

func hooksShape(report hooks.Report) any {
	shape := struct {
		Version    int        `json:"version"`
		Events     []hookJSON `json:"events"`
		Driver     bool       `json:"merge_driver"`
		Attributes bool       `json:"attributes"`
	}{1, []hookJSON{}, report.Driver, report.Attributes}
	for _, e := range report.Events {
		shape.Events = append(shape.Events, hookJSON{string(e.Event), string(e.Place), e.Path, e.Manager,
			e.Version, e.Runs, e.Note, e.Advice})
	}
	return shape
}
