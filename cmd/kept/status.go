package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
)

func newStatus(u *ui) *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say which stages are stale and why, and which artifacts differ",
		Long: `Status compares kept.toml, kept.lock and the working tree, and names what this
clone does not know to be on the remote. It runs nothing, changes nothing and asks
no remote.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var shapes []statusJSON
			err := eachProject(cmd.Context(), all, func(p *core.Project) error {
				meter := u.watch(p.Repository, "reading")
				st, err := p.Status(cmd.Context())
				meter.pause()
				if err != nil {
					return err
				}
				if asJSON {
					shapes = append(shapes, statusShape(st))
					return nil
				}
				if all && st.Rel != "" {
					u.printf("%s\n", u.paint(bold, clean(st.Rel)+"/"))
				}
				u.printStatus(st)
				return nil
			})
			if err != nil || !asJSON {
				return err
			}
			return u.json(struct {
				Version     int          `json:"version"`
				Experiments []statusJSON `json:"experiments"`
			}{1, shapes})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&all, "all", false, "every kept.toml of the repository")
	return addExits(cmd, "2 wrong usage or configuration")
}

func (u *ui) printStatus(st *core.Status) {
	var rows [][]string
	if len(st.Conflicts) > 0 {
		for _, name := range st.Conflicts {
			rows = append(rows, []string{clean(name), u.paint(red, "in conflict:") + " the merge has two versions of it"})
		}
		u.printf("%s", table(rows, ""))
		u.say("%s kept resolve", u.paint(yellow, "hint:"))
		return
	}
	stale := false
	for _, s := range st.Stages {
		text := u.paint(green, "up to date")
		switch {
		case len(s.Missing) > 0:
			stale = true
			text = u.paint(red, "can't run:") + " " + clean(strings.Join(s.Missing, ", ")) + " not there"
		case len(s.Reasons) > 0:
			stale = true
			text = u.paint(yellow, "stale:") + " " + clean(reasonText(s.Reasons))
		}
		rows = append(rows, []string{clean(s.Name), text})
	}
	u.printf("%s", table(rows, ""))
	restorable := u.printArtifacts(st)
	u.printUnpushed(st)
	gone := slices.ContainsFunc(st.Artifacts, func(a core.ArtifactStatus) bool { return !a.Stored })
	lost := slices.ContainsFunc(st.Artifacts, func(a core.ArtifactStatus) bool { return !a.Stored && a.State == core.Missing })
	switch {
	case len(st.Stages) == 0 && st.Count == 0:
		u.say("no stages yet: describe one in kept.toml, or try one out")
		u.say("%s kept run -- COMMAND", u.paint(yellow, "hint:"))
	case st.Fresh:
		u.say("this clone has no hooks yet that restore artifacts")
		u.say("%s kept init", u.paint(yellow, "hint:"))
	case restorable:
		u.say("%s kept restore", u.paint(yellow, "hint:"))
	case gone && st.Remote != nil:
		u.say("%s kept pull", u.paint(yellow, "hint:"))
	case lost:
		u.say("%s %s", u.paint(yellow, "hint:"), hintMissing("."))
	case stale:
		u.say("%s kept run", u.paint(yellow, "hint:"))
	case len(st.Unpushed) > 0:
		u.say("%s kept push", u.paint(yellow, "hint:"))
	}
}

// printUnpushed names what is not known to be on the remote.
func (u *ui) printUnpushed(st *core.Status) {
	if st.RemoteErr != nil {
		u.say("%s %s", u.paint(yellow, "warning:"), clean(st.RemoteErr.Error()))
	}
	if len(st.Unpushed) == 0 {
		return
	}
	paths := make([]string, len(st.Unpushed))
	for i, a := range st.Unpushed {
		paths[i] = a.Path
	}
	u.printf("not pushed to %s: %s\n", clean(st.Remote.Name), list(paths, clean))
}

// printArtifacts lists artifacts that differ from the lock, and reports whether
// one of them is merely missing and can be brought back.
func (u *ui) printArtifacts(st *core.Status) bool {
	restorable := false
	var rows [][]string
	for _, a := range st.Artifacts {
		note := ""
		switch {
		case a.State == core.Missing && a.Stored:
			restorable = true
		case !a.Stored:
			note = "no store here has what kept.lock names"
		}
		rows = append(rows, []string{string(a.State) + ":", clean(a.Path), note})
	}
	u.printf("%s", strings.ReplaceAll(table(rows, ""), "  \n", "\n"))
	return restorable
}

type statusJSON struct {
	Experiment string `json:"experiment"`
	Clean      bool   `json:"clean"`
	// Conflicts are the blocks that a merge left in two versions; stages and
	// artifacts are empty then.
	Conflicts []string         `json:"conflicts"`
	Stages    []stageJSON      `json:"stages"`
	Artifacts []artifactStatus `json:"artifacts"`
	// Remote is the default remote, Unpushed what it is not known to have.
	Remote   string         `json:"remote,omitempty"`
	Unpushed []unpushedJSON `json:"unpushed"`
}

type unpushedJSON struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Object string `json:"object"`
}

type stageJSON struct {
	Name    string   `json:"name"`
	Stale   bool     `json:"stale"`
	Reasons []string `json:"reasons"`
	Missing []string `json:"missing"`
}

type artifactStatus struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	State  string `json:"state"`
	Stored bool   `json:"stored"`
}

func statusShape(st *core.Status) statusJSON {
	shape := statusJSON{Experiment: st.Rel, Clean: st.Clean(), Conflicts: append([]string{}, st.Conflicts...), Stages: []stageJSON{}, Artifacts: []artifactStatus{}, Unpushed: []unpushedJSON{}}
	if st.Remote != nil {
		shape.Remote = st.Remote.Name
	}
	for _, a := range st.Unpushed {
		shape.Unpushed = append(shape.Unpushed, unpushedJSON{a.Name, a.Path, a.Digest.String()})
	}
	for _, s := range st.Stages {
		stage := stageJSON{Name: s.Name, Stale: len(s.Reasons) > 0, Reasons: []string{}, Missing: append([]string{}, s.Missing...)}
		for _, r := range s.Reasons {
			stage.Reasons = append(stage.Reasons, r.String())
		}
		shape.Stages = append(shape.Stages, stage)
	}
	for _, a := range st.Artifacts {
		shape.Artifacts = append(shape.Artifacts, artifactStatus{a.Name, a.Path, string(a.State), a.Stored})
	}
	return shape
}
