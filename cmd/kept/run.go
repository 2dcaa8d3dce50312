package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
	"github.com/kept-dev/kept/report"
)

type runFlags struct {
	force, dryRun, write, all bool
	set                       []string
}

func newRun(u *ui) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [STAGE...] | run -- COMMAND [ARGUMENT...]",
		Short: "Run what is stale, keep what it wrote, record it in kept.lock",
		Long: `Run brings stages of kept.toml up to date, with the stages before them: it runs
the command of each stage whose code, inputs, params or artifacts changed since
kept.lock was written, stores the artifacts, and records the run in kept.lock.
Where nothing changed it runs nothing.

After --, it runs a command that kept.toml does not have, and offers the stage
that kept.toml would need for it.`,
		Example: `  kept run
  kept run train -p tfidf.ngram_max=2
  kept run -- python train.py`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				if dash > 0 || len(args) == 0 {
					return &usageError{err: fmt.Errorf("give either stages or, after --, a command"), command: "kept run"}
				}
				return runCommand(cmd, u, &f, args)
			}
			return runStages(cmd, u, &f, args)
		},
		ValidArgsFunction: completeStages,
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.force, "force", false, "run also what is up to date")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would run, and why")
	flags.StringArrayVarP(&f.set, "param", "p", nil, "set `key=value` in the params file first")
	flags.BoolVar(&f.write, "write", false, "with a command: add the stage to kept.toml and lock the run")
	flags.BoolVar(&f.all, "all", false, "run every kept.toml of the repository")
	return addExits(cmd, "1 a command failed", "2 wrong usage or configuration", "3 an object is missing", "130 interrupted")
}

func (f *runFlags) options(u *ui) core.RunOptions {
	binary, err := os.Executable()
	if err != nil {
		binary = os.Args[0]
	}
	return core.RunOptions{
		Force:   f.force,
		DryRun:  f.dryRun,
		Set:     f.set,
		Version: version,
		Binary:  binary,
		Streams: core.Streams{In: os.Stdin, Out: u.out, Err: u.err, Terminal: term.IsTerminal(int(os.Stdin.Fd()))},
	}
}

func runStages(cmd *cobra.Command, u *ui, f *runFlags, stages []string) error {
	switch {
	case f.write:
		return &usageError{err: errors.New("--write goes with a command after --"), command: "kept run"}
	case f.dryRun && len(f.set) > 0:
		return &usageError{err: errors.New("--dry-run changes nothing, --param edits a file: give one of them"), command: "kept run"}
	}
	return eachProject(cmd.Context(), f.all, func(p *core.Project) error {
		if len(p.Experiment.Stages) == 0 {
			return &pipeline.UnknownStageError{Name: strings.Join(stages, " ")}
		}
		if f.all && p.Rel != "" {
			u.say("%s", u.paint(bold, clean(p.Rel)+"/"))
		}
		meter := u.watch(p.Repository, "reading")
		opts := f.options(u)
		opts.Stages = stages
		opts.Started = func(stage *pipeline.Stage, reasons []pipeline.Reason) {
			meter.pause()
			u.sayStarted(stage, reasons)
		}
		changed := false
		opts.Finished = func(r *core.StageResult) {
			meter.pause()
			u.sayResult(p, r, f.dryRun)
			changed = changed || r.Ran && len(r.Changes) > 0
		}
		err := p.Run(cmd.Context(), opts)
		meter.pause()
		if err == nil && changed {
			u.sayNext()
		}
		return err
	})
}

func (u *ui) sayStarted(stage *pipeline.Stage, reasons []pipeline.Reason) {
	u.say("%s %s", u.paint(bold, clean(stage.Name)+":"), clean(reasonText(reasons)))
	u.say("%s", u.paint(faint, "$ "+clean(stage.Command)))
}

func reasonText(reasons []pipeline.Reason) string {
	const most = 3
	var parts []string
	for i, r := range reasons {
		if i == most && len(reasons) > most+1 {
			parts = append(parts, fmt.Sprintf("and %d more", len(reasons)-most))
			break
		}
		parts = append(parts, r.String())
	}
	return strings.Join(parts, ", ")
}

func (u *ui) sayResult(p *core.Project, r *core.StageResult, dryRun bool) {
	name := u.paint(bold, clean(r.Stage)+":")
	switch {
	case dryRun && len(r.Reasons) > 0:
		u.say("%s would run: %s", name, clean(reasonText(r.Reasons)))
	case r.Ran:
		rules, _ := p.Rules() // a gate that cannot be read is no reason to hide a result
		u.sayRan(name, r, rules)
	case len(r.Reasons) == 0:
		u.say("%s up to date", name)
		if len(r.Restored) > 0 {
			u.say("  restored %s", clean(strings.Join(r.Restored, ", ")))
		}
	}
	for _, s := range r.Saved {
		u.saySaved(p.Repository, s)
	}
	for _, w := range r.Warnings {
		u.say("%s %s", u.paint(yellow, "warning:"), clean(w))
	}
}

func (u *ui) sayRan(name string, r *core.StageResult, rules metrics.Rules) {
	what := "recorded in kept.lock"
	if len(r.Changes) == 0 {
		what = "same result, kept.lock is unchanged"
	}
	u.say("%s %s (%s)", name, what, r.Wall.Round(time.Millisecond*10))
	metricRows := report.Section{Kind: lockfile.KindMetric}
	for _, c := range r.Changes {
		if c.Kind == lockfile.KindMetric {
			metricRows.Rows = append(metricRows.Rows, report.NewRow(core.Change{Change: c}, rules))
		}
	}
	whole := report.Changed
	if len(r.Changes) > 0 && r.Changes[0].Kind == lockfile.KindStage {
		whole = report.Added
	}
	u.write(u.err, u.lines(sectionLines(metricRows, whole), "  "))
	if len(r.Ignored) > 0 {
		u.say("  added to .gitignore: %s", clean(strings.Join(r.Ignored, " ")))
	}
}

func (u *ui) sayNext() { u.say("%s git add -A && git commit", u.paint(faint, "next:")) }

// runCommand runs a command that is not a stage yet.
func runCommand(cmd *cobra.Command, u *ui, f *runFlags, argv []string) error {
	if f.force || f.dryRun || len(f.set) > 0 || f.all {
		return &usageError{err: fmt.Errorf("only --write goes with a command after --"), command: "kept run"}
	}
	p, err := core.OpenOrEmpty(".")
	if err != nil {
		return err
	}
	defer p.Close()
	proposal, err := p.RunCommand(cmd.Context(), argv, f.options(u), func(text string) bool {
		u.say("\nkept.toml would need:\n\n%s", cleanLines(text))
		return f.write || u.confirm("Add it to kept.toml and lock this run?")
	})
	if err != nil {
		return err
	}
	if proposal.Written {
		u.sayResult(p, &proposal.Result, false)
		u.sayNext()
		return nil
	}
	u.say("recorded as run %s; not locked", proposal.Result.RunID)
	u.say("%s kept run --write -- %s", u.paint(yellow, "hint:"), clean(core.QuoteArgs(argv)))
	return nil
}

// confirm asks on a terminal; elsewhere the answer is no.
func (u *ui) confirm(question string) bool {
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stderr.Fd())) {
		return false
	}
	fmt.Fprintf(u.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err == nil && strings.EqualFold(strings.TrimSpace(answer), "y")
}

func completeStages(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	p, err := core.Open(".")
	if err != nil {
		return offered(nil)
	}
	var names []string
	for _, s := range p.Experiment.Stages {
		names = append(names, s.Name)
	}
	return offered(names)
}
