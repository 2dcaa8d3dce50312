package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/hooks"
)

func newInit(u *ui) *cobra.Command {
	var cache string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Set up kept in this repository: kept.toml, hooks, attributes",
		Long: `Init makes a kept.toml where there is none, installs the hooks that restore
artifacts after every checkout, and sets up the merge of kept.lock. In a fresh
clone it restores the artifacts. It is safe to repeat.

With --cache the clones that name the same folder share one store, in which
everything is once. What this clone has kept so far comes along.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, created, err := core.Init(".")
			if err != nil {
				return err
			}
			defer p.Close()
			if created {
				u.say("wrote %s", display(p.Repository, filepath.ToSlash(filepath.Join(p.Rel, "kept.toml"))))
			}
			added, err := hooks.AddAttributes(p.Git.Root)
			if err != nil {
				return err
			}
			if added {
				u.say("added kept.lock to .gitattributes")
			}
			in, err := installer(p.Repository)
			if err != nil {
				return err
			}
			report, err := in.Install(cmd.Context())
			if err != nil {
				return err
			}
			u.sayInstalled(report)
			if cmd.Flag("cache").Changed {
				packs, err := p.UseCache(cmd.Context(), cache)
				if err != nil {
					return err
				}
				u.say("this clone keeps its bytes in %s, with %s of its own", clean(p.Local.Store()), plural(packs, "pack"))
			}
			restored, err := p.Adopt(cmd.Context())
			if restored != nil {
				u.sayAdopted(p.Repository, restored)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&cache, "cache", "", "keep the bytes in this folder, shared with other clones")
	if err := cmd.MarkFlagDirname("cache"); err != nil {
		panic(err) // There is no such flag.
	}
	return addExits(cmd, "2 no Git repository, or a file that can't be used")
}

// installer returns the installer whose hooks call this very binary.
func installer(r *core.Repository) (*hooks.Installer, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the path of kept: %w", err)
	}
	return &hooks.Installer{Repo: r.Git, Binary: binary}, nil
}

// sayInstalled sums up where the hooks are; what does not run is named.
func (u *ui) sayInstalled(report hooks.Report) {
	running := 0
	for _, e := range report.Events {
		if e.Runs || e.Place == hooks.LeftOut {
			running++
			continue
		}
		u.say("%s hook %s does not run: %s", u.paint(yellow, "warning:"), e.Event, clean(e.Note))
	}
	u.sayAdvice(report)
	if running == len(report.Events) {
		u.say("hooks are installed: artifacts follow every checkout")
	}
}

// sayAdopted is sayRestored without a word where there was nothing to do.
func (u *ui) sayAdopted(r *core.Repository, report *core.Restored) {
	if len(report.Placed)+len(report.Missing)+len(report.Left) > 0 {
		u.sayRestored(r, report, false)
	}
}
