package main

import (
	"fmt"
	"path/filepath"
	"strings"

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
	var fetch bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the hooks, beside those of other hook managers",
		Long: `Install puts the hooks in place, or brings them up to date. With --fetch, a checkout
also fetches from the remote what the store does not have; --fetch=false takes
that back.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, in, err := openInstaller()
			if err != nil {
				return err
			}
			report, err := in.Install(cmd.Context())
			if err != nil {
				return err
			}
			u.sayInstalled(report)
			if cmd.Flag("fetch").Changed {
				if err := r.SetHooksFetch(fetch); err != nil {
					return err
				}
			}
			_, err = r.Adopt(cmd.Context())
			return err
		},
	}
	cmd.Flags().BoolVar(&fetch, "fetch", false, "let a checkout fetch what is missing")
	return addExits(cmd, "2 no Git repository, or a file that can't be used")
}

func newHooksUninstall(u *ui) *cobra.Command {
	return addExits(&cobra.Command{
		Use:   "uninstall",
		Short: "Remove exactly what install wrote",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, in, err := openInstaller()
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
			r, in, err := openInstaller()
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
			u.printHooks(r, report)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return addExits(cmd, "2 no Git repository")
}

func (u *ui) printHooks(r *core.Repository, report hooks.Report) {
	var rows [][]string
	installed := true
	for _, e := range report.Events {
		state := u.paint(green, "runs")
		switch {
		case e.Place == hooks.LeftOut:
			state = u.paint(yellow, "left out")
		case !e.Runs:
			state = u.paint(red, "does not run")
			installed = installed && e.Advice != "" && e.Advice != installAgain
		}
		where := hookPlace(r, e)
		if e.Note != "" {
			where += ": " + e.Note
		}
		rows = append(rows, []string{string(e.Event), state, clean(where)})
	}
	for _, extra := range []struct {
		name, where string
		set         bool
	}{
		{"merge driver", "Git's config, merge.kept", report.Driver},
		{"kept.lock", ".gitattributes", report.Attributes},
	} {
		state := u.paint(green, "set up")
		if !extra.set {
			state, installed = u.paint(red, "not set up"), false
		}
		rows = append(rows, []string{extra.name, state, extra.where})
	}
	u.printf("%s", table(rows, ""))
	u.sayAdvice(report)
	if !installed {
		u.say("%s kept init", u.paint(yellow, "hint:"))
	}
}

// installAgain is the advice that the hint below the table gives once for all.
const installAgain = "kept hooks install"

// sayAdvice says what is to be done by hand.
func (u *ui) sayAdvice(report hooks.Report) {
	for _, e := range report.Events {
		if e.Advice == "" || e.Advice == installAgain || e.Runs {
			continue
		}
		for i, line := range strings.Split(e.Advice, "\n") {
			if i == 0 {
				u.say("%s %s", u.paint(yellow, "hint:"), clean(line))
			} else {
				u.say("  %s", clean(line))
			}
		}
	}
}

// hookPlace says where the hook of an event is.
func hookPlace(r *core.Repository, e hooks.Status) string {
	file := e.Path
	if rel, err := filepath.Rel(r.Git.Root, file); err == nil && filepath.IsLocal(rel) {
		file = filepath.ToSlash(rel)
	}
	if e.Place == hooks.InConfig {
		file = "Git's config, " + strings.TrimSuffix(e.Path, ".command")
	}
	switch {
	case e.Place == hooks.Nowhere, e.Place == hooks.LeftOut:
		return file
	case e.Manager != "" && e.Place == hooks.Chained:
		return fmt.Sprintf("%s, a line for %s", file, e.Manager)
	case e.Manager != "":
		return fmt.Sprintf("%s, beside %s", file, e.Manager)
	case e.Place == hooks.Chained:
		return file + ", a line in your script"
	}
	return file
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

// openInstaller opens the repository with its installer.
func openInstaller() (*core.Repository, *hooks.Installer, error) {
	r, err := core.OpenRepository(".")
	if err != nil {
		return nil, nil, err
	}
	in, err := installer(r)
	return r, in, err
}
