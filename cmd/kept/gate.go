package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
	"github.com/kept-dev/kept/report"
)

type gateFlags struct {
	base, accept, reason string
	all, json            bool
	reports              []string
}

func newGate(u *ui) *cobra.Command {
	var f gateFlags
	cmd := &cobra.Command{
		Use:   "gate",
		Short: "Fail where a metric got worse than kept.toml allows",
		Long: `Gate compares the metrics of kept.lock with a base, by the rules of the tables
[gate."stage.metric"] in kept.toml. The base is what this branch is to be merged
into: in CI as the job says, else where the branch left the default branch.
What cannot be compared is inconclusive and does not pass.

It reads the lock as it is. Whether the lock is up to date is for "kept status"
to say, and whether it is true for "kept verify".

A result that is worse and wanted is accepted with a line in kept.toml, which is
committed and reviewed like any other: --accept writes it.`,
		Example: `  kept gate
  kept gate --base v1.2
  kept gate --report markdown=gate.md --report junit=gate.xml --report github=-
  kept gate --accept train.accuracy --reason 'half the size'`,
		Args:              args(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("accept") || cmd.Flags().Changed("reason") {
				return u.acceptResult(cmd, &f)
			}
			return u.runGate(cmd, &f)
		},
	}
	cmd.Flags().StringVar(&f.base, "base", "", "compare with `REVISION`; a branch stands for where this one left it")
	cmd.Flags().BoolVar(&f.all, "all", false, "every kept.toml of the repository that has a gate")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	reportFlag(cmd, &f.reports, gateFormats())
	completeFlags(cmd, completeRevisions, "base")
	cmd.Flags().StringVar(&f.accept, "accept", "", "take the result of `METRIC` as it is, in kept.toml")
	cmd.Flags().StringVar(&f.reason, "reason", "", "why --accept takes it: a `TEXT` for the review")
	completeFlags(cmd, completeBad, "accept")
	completeFlags(cmd, cobra.NoFileCompletions, "reason")
	return addExits(cmd, "1 a metric is worse than allowed", "2 wrong usage or configuration", "3 a metric or the base is missing, or the difference is within the noise")
}

// gated is the gate of one experiment.
type gated struct {
	project *core.Project
	*core.GateResult
	// spec is the base that the user named.
	spec string
}

func (u *ui) runGate(cmd *cobra.Command, f *gateFlags) error {
	outputs, err := parseReports(f.reports, gateFormats())
	if err != nil {
		return &usageError{err: err, command: cmd.CommandPath()}
	}
	toStdout := outputs.stdout()
	if toStdout && f.json {
		return &usageError{err: errors.New("--json and a report both go to standard output"), command: cmd.CommandPath()}
	}
	all, err := gateEach(cmd.Context(), f)
	if err != nil {
		return err
	}
	experiments, options, err := gateReviews(all)
	if err != nil {
		return err
	}
	if f.json {
		err = report.JSON(u.out, reviews(experiments), options)
	} else {
		words := *u
		if toStdout {
			words.out = u.err
		}
		words.printGates(all)
	}
	if err == nil {
		err = u.writeReports(cmd.Context(), outputs, experiments, options)
	}
	if err != nil {
		return err
	}
	switch worst(all) {
	case metrics.Failed:
		return errFailed
	case metrics.Inconclusive:
		return errInconclusive
	}
	return nil
}

// gateEach runs the gate of each experiment. With --all one without rules is
// passed over, unless none has any.
func gateEach(ctx context.Context, f *gateFlags) ([]gated, error) {
	var all []gated
	var without error
	err := eachProject(ctx, f.all, func(p *core.Project) error {
		g, err := p.Gate(ctx, f.base, os.Getenv)
		var none *core.NoRulesError
		if errors.As(err, &none) {
			if without == nil {
				without = err
			}
			return nil
		}
		if err == nil {
			all = append(all, gated{p, g, f.base})
		}
		return err
	})
	if err == nil && len(all) == 0 {
		err = without
	}
	return all, err
}

// gateReviews puts the gates into what the writers of reports read.
func gateReviews(gates []gated) ([]compared, report.Options, error) {
	var experiments []compared
	lines := map[string]func(stage, key string) int{}
	for _, g := range gates {
		r := report.New(g.project.Rel, g.Comparison, g.Rules)
		r.Verdict, r.BaseNote = &g.Verdict, g.Base.Note
		if g.NoBase != nil {
			r.BaseNote = g.NoBase.Error()
		}
		experiments = append(experiments, compared{g.project, g.Comparison, r})
		var err error
		if lines[r.Experiment], err = g.project.MetricLines(); err != nil {
			return nil, report.Options{}, err
		}
	}
	line := func(experiment, stage, key string) int {
		if find := lines[experiment]; find != nil {
			return find(stage, key)
		}
		return 0
	}
	return experiments, report.Options{Version: version, Line: line}, nil
}

func worst(all []gated) metrics.Status {
	status := metrics.Passed
	for _, g := range all {
		status = max(status, g.Verdict.Status)
	}
	return status
}

// acceptResult is --accept.
func (u *ui) acceptResult(cmd *cobra.Command, f *gateFlags) error {
	problem := ""
	switch {
	case f.accept == "":
		problem = "--reason needs --accept METRIC"
	case strings.TrimSpace(f.reason) == "":
		problem = "--accept needs --reason TEXT: who reviews the line wants to know why"
	case f.all || f.json || len(f.reports) > 0:
		problem = "--accept goes with --reason and --base only"
	}
	if problem != "" {
		return &usageError{err: errors.New(problem), command: cmd.CommandPath()}
	}
	return eachProject(cmd.Context(), false, func(p *core.Project) error {
		g, err := p.Gate(cmd.Context(), f.base, os.Getenv)
		if err != nil {
			return err
		}
		a, err := p.Accept(g, f.accept, f.reason)
		if err != nil {
			return err
		}
		u.say("accepted %s with the result %s in kept.toml; commit it", clean(a.Metric), a.Result.Short())
		return nil
	})
}

var gateLooks = map[metrics.Status]struct{ symbol, color string }{
	metrics.Passed:       {"✓", green},
	metrics.Accepted:     {"~", green},
	metrics.Warned:       {"!", yellow},
	metrics.Inconclusive: {"?", yellow},
	metrics.Failed:       {"✗", red},
}

func (u *ui) printGates(all []gated) {
	for i, g := range all {
		if i > 0 {
			u.printf("\n")
		}
		if len(all) > 1 {
			u.printf("%s\n", u.paint(bold, clean(strings.TrimPrefix(g.project.Rel+"/", "/"))+"kept.toml"))
		}
		u.printGate(g)
	}
	for _, g := range all {
		if h := gateHint(g); h != "" {
			u.say("%s %s", u.paint(yellow, "hint:"), clean(h))
			return
		}
	}
}

func (u *ui) printGate(g gated) {
	v := g.Verdict
	u.printf("%s: %s\n", u.paint(gateLooks[v.Status].color, "gate "+v.Status.String()), clean(gateSummary(g)))
	if len(v.Findings) > 0 {
		u.printFindings(v.Findings)
	}
	for _, a := range v.Unused {
		u.say("[accept.%s] in kept.toml:%d does nothing: it is of another result, or the metric needs none", clean(lockfile.FormatValue(a.Metric)), a.Line)
	}
}

// gateSummary counts the findings, worst first, and names the base.
func gateSummary(g gated) string {
	counts := map[metrics.Status]int{}
	for _, f := range g.Verdict.Findings {
		counts[f.Status]++
	}
	var parts []string
	for s := metrics.Failed; s >= metrics.Passed; s-- {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	if len(parts) == 0 {
		parts = []string{"there is nothing to judge"}
	}
	base := "no base"
	if g.NoBase == nil {
		base = "base " + short(g.Base.Commit) + ", " + g.Base.Note
	}
	return strings.Join(parts, ", ") + " (" + base + ")"
}

// printFindings writes the table; a reason has a line of its own below.
func (u *ui) printFindings(findings []metrics.Finding) {
	rows := [][]string{{"", "metric", "base", "head", "change", "rule"}}
	for _, f := range findings {
		rows = append(rows, u.findingCells(f))
	}
	lines := strings.Split(strings.TrimSuffix(table(rows, ""), "\n"), "\n")
	u.printf("%s\n", u.paint(faint, lines[0]))
	for i, f := range findings {
		word := rows[i+1][0]
		text := strings.TrimPrefix(lines[i+1], word)
		u.printf("%s%s\n", u.paint(gateLooks[f.Status].color, word), text)
		indent := strings.Repeat(" ", len(text)-len(strings.TrimLeft(text, " "))+len([]rune(word)))
		if f.Reason != "" {
			u.printf("%s%s\n", indent, clean(f.Reason))
		}
		if f.Acceptance != nil {
			u.printf("%saccepted in kept.toml:%d: %s\n", indent, f.Acceptance.Line, clean(f.Acceptance.Reason))
		}
	}
}

func (u *ui) findingCells(f metrics.Finding) []string {
	symbol := gateLooks[f.Status].symbol
	if u.ascii { // before the columns are aligned
		symbol = plain().Replace(symbol)
	}
	name := clean(f.Metric())
	switch f.Direction() {
	case metrics.Higher:
		name += " ↑"
	case metrics.Lower:
		name += " ↓"
	}
	change := ""
	if d, ok := f.Delta(); ok && d.Absolute == 0 {
		change = "same"
	} else if ok {
		change = report.DeltaText(d)
	}
	sides := metrics.Texts(f.Base, f.Head)
	return []string{symbol + " " + f.Status.String(), name, cmp.Or(sides[0], "none"), cmp.Or(sides[1], "none"), change, f.Rule.String()}
}

// gateHint says how to get a base, or how to take a result that is bad.
func gateHint(g gated) string {
	if g.Verdict.Status < metrics.Inconclusive {
		return ""
	}
	for _, f := range g.Verdict.Findings {
		if f.Status == metrics.Failed && !f.Result.IsZero() {
			return acceptCommand(g.spec, f.Metric())
		}
	}
	if g.NoBase != nil {
		return g.NoBase.Try
	}
	for _, f := range g.Verdict.Findings {
		if f.Status == metrics.Inconclusive && !f.Result.IsZero() {
			return acceptCommand(g.spec, f.Metric())
		}
	}
	if len(g.Comparison.New.Lock.Stages) == 0 {
		return "kept run"
	}
	return "kept show"
}

func acceptCommand(base, metric string) string {
	command := "kept gate "
	if base != "" {
		command += "--base " + word(base) + " "
	}
	return command + "--accept " + word(metric) + " --reason '…'"
}
