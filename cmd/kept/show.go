package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
	"github.com/kept-dev/kept/report"
)

func newShow(u *ui) *cobra.Command {
	var asJSON bool
	var specs []string
	formats := []string{"html", "markdown"}
	cmd := &cobra.Command{
		Use:   "show [REVISION]",
		Short: "Show kept.lock of a revision: params, metrics, artifacts",
		Long:  "Show prints the lock of REVISION, or of the working tree.",
		Example: `  kept show
  kept show v1.0 --report html=model.html`,
		Args:              args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeRevisionArgs(1),
		RunE: func(cmd *cobra.Command, a []string) error {
			outputs, err := parseReports(specs, formats)
			if err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			p, err := core.Open(".")
			if err != nil {
				return err
			}
			side, err := p.Side(cmd.Context(), strings.Join(a, ""))
			switch {
			case err != nil:
				return err
			case asJSON:
				return u.json(lockShape(p.Rel, side.Lock))
			case len(outputs) > 0:
				rules, err := p.Rules()
				if err != nil {
					return err
				}
				one := compared{p, &core.Comparison{Old: core.Side{Lock: lockfile.New()}, New: side}, report.Show(p.Rel, side, rules)}
				return u.writeReports(cmd.Context(), outputs, []compared{one}, report.Options{Version: version, Key: "show"})
			}
			u.printLock(side.Lock)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	reportFlag(cmd, &specs, formats)
	cmd.MarkFlagsMutuallyExclusive("json", "report")
	return addExits(cmd, "2 wrong usage or unknown revision")
}

func (u *ui) printLock(lock *lockfile.Lock) {
	if len(lock.Stages)+len(lock.Artifacts) == 0 {
		u.say("nothing is recorded here yet")
		u.say("%s kept run", u.paint(yellow, "hint:"))
		return
	}
	for i, name := range slices.Sorted(maps.Keys(lock.Stages)) {
		if i > 0 {
			u.printf("\n")
		}
		u.printBlock(name, lock.Stages[name])
	}
	if len(lock.Artifacts) > 0 {
		u.printf("%s\n%s", u.paint(bold, "kept data"), table(artifactRows(lock.Artifacts), "    "))
	}
}

func (u *ui) printBlock(name string, s *lockfile.Stage) {
	u.printf("%s\n", u.paint(bold, clean(name)))
	u.printf("  command  %s\n", clean(s.Command))
	u.printf("  result   %s\n", s.Result.Short())
	u.section("params", valueRows(s.AllParams()))
	u.section("metrics", metricRows(s.Metrics))
	u.section("artifacts", artifactRows(s.Artifacts))
	u.section("inputs", inputRows(s.Inputs))
	u.section("code", inputRows(s.Code))
	if e := s.Environment; e != nil {
		rows := [][]string{{"platform", clean(e.Platform)}}
		if e.Runtime != "" {
			rows = append(rows, []string{"runtime", clean(e.Runtime)})
		}
		if !e.Packages.IsZero() {
			rows = append(rows, []string{"packages", e.Packages.Short()})
		}
		for _, file := range slices.Sorted(maps.Keys(e.Files)) {
			rows = append(rows, []string{clean(file), e.Files[file].Short()})
		}
		u.section("environment", rows)
	}
}

func (u *ui) section(title string, rows [][]string) {
	if len(rows) > 0 {
		u.printf("  %s\n%s", title, table(rows, "    "))
	}
}

func valueRows(values map[string]lockfile.Value) [][]string {
	var rows [][]string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		rows = append(rows, []string{clean(key), clean(report.Text(values[key]))})
	}
	return rows
}

func metricRows(values map[string]lockfile.Value) [][]string {
	var rows [][]string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		rows = append(rows, []string{clean(key), metrics.Text(values[key])})
	}
	return rows
}

func artifactRows(arts map[string]*lockfile.Artifact) [][]string {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(arts)) {
		a := arts[name]
		size := report.Size(a.Size)
		if a.Folder {
			size = plural(int(a.Files), "file") + ", " + size
		}
		rows = append(rows, []string{clean(name), clean(a.Path), a.Hash.Short(), size})
	}
	return rows
}

func inputRows(inputs map[string]*lockfile.Input) [][]string {
	var rows [][]string
	for _, file := range slices.Sorted(maps.Keys(inputs)) {
		rows = append(rows, []string{clean(file), clean(report.Text(inputs[file]))})
	}
	return rows
}

type lockJSON struct {
	Version    int                  `json:"version"`
	Experiment string               `json:"experiment"`
	Stages     map[string]blockJSON `json:"stages"`
	Artifacts  map[string]any       `json:"artifacts"`
}

type blockJSON struct {
	Result      cas.Digest                `json:"result"`
	Command     string                    `json:"command"`
	Params      map[string]lockfile.Value `json:"params"`
	Metrics     map[string]lockfile.Value `json:"metrics"`
	History     map[string]cas.Digest     `json:"history,omitempty"`
	Artifacts   map[string]any            `json:"artifacts"`
	Inputs      map[string]any            `json:"inputs"`
	Code        map[string]any            `json:"code"`
	Environment *environmentJSON          `json:"environment,omitempty"`
}

type environmentJSON struct {
	Platform string                `json:"platform,omitempty"`
	Runtime  string                `json:"runtime,omitempty"`
	Packages cas.Digest            `json:"packages,omitzero"`
	Files    map[string]cas.Digest `json:"files,omitempty"`
}

func lockShape(rel string, lock *lockfile.Lock) lockJSON {
	shape := lockJSON{Version: 1, Experiment: rel, Stages: map[string]blockJSON{}, Artifacts: report.Sides(lock.Artifacts)}
	for name, s := range lock.Stages {
		block := blockJSON{Result: s.Result, Command: s.Command, Params: core.JSONValues(s.AllParams()),
			Metrics: core.JSONValues(s.Metrics), History: s.History, Artifacts: report.Sides(s.Artifacts),
			Inputs: report.Sides(s.Inputs), Code: report.Sides(s.Code)}
		if e := s.Environment; e != nil {
			block.Environment = &environmentJSON{e.Platform, e.Runtime, e.Packages, e.Files}
		}
		shape.Stages[name] = block
	}
	return shape
}
