package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/history"
	"github.com/kept-dev/kept/core/metrics"
)

type bisectFlags struct {
	core.BisectOptions
	run, json bool
	step      string
}

// The exit codes that git bisect run understands.
const (
	stepGood = 0
	stepBad  = 1
	stepSkip = 125
	stepStop = 130
)

func newBisect(u *ui) *cobra.Command {
	var f bisectFlags
	cmd := &cobra.Command{
		Use:   "bisect METRIC --when CONDITION",
		Short: "Find the commit that broke a metric",
		Long: `Bisect finds the commit at which a condition on a metric became true. It looks
at the values that kept.lock recorded and runs nothing, unless --run is given.

CONDITION is true where the metric is broken: 'accuracy < 0.8', or '< 0.8'. The
comparisons are < <= > >= == !=, with a number or nan.

Where the commits before the culprit changed what the stage reads and recorded
no run, bisect says so; with --run it tries them, in a worktree of its own: it
restores the inputs, runs the stage and what is before it, and compares. Your
worktree, index and HEAD are not touched.`,
		Example: `  kept bisect accuracy --when '< 0.8'
  kept bisect train.loss --when 'loss > 0.5' --good v1.2
  kept bisect accuracy --when '< 0.8' --run`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: completeMetrics,
		RunE: func(cmd *cobra.Command, a []string) error {
			f.Metric = a[0]
			if f.step != "" {
				return u.bisectStep(cmd.Context(), &f)
			}
			return runBisect(cmd.Context(), u, &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.When, "when", "", "the `condition` that is true where the metric is broken")
	flags.StringVar(&f.Good, "good", "", "a `revision` where it is not (the newest record before)")
	flags.StringVar(&f.Bad, "bad", "", "a `revision` where it is broken (HEAD)")
	flags.BoolVar(&f.run, "run", false, "run the stage where nothing is recorded")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.StringVar(&f.step, "step", "", "try the commit that is checked out in `folder`")
	completeFlags(cmd, completeRevisions, "good", "bad")
	completeFlags(cmd, cobra.NoFileCompletions, "when")
	_ = flags.MarkHidden("step")
	_ = cmd.MarkFlagRequired("when")
	return addExits(cmd, "2 wrong usage", "3 the records do not name one commit", "130 interrupted")
}

func runBisect(ctx context.Context, u *ui, f *bisectFlags) error {
	p, err := core.Open(".")
	if err != nil {
		return err
	}
	defer p.Close()
	b, err := p.Bisect(ctx, f.BisectOptions)
	if err != nil {
		return err
	}
	better := u.rulesOf(p).Direction(b.Metric.String())
	found, ok := b.Found()
	if ok && f.run && len(found.Between) > 0 {
		return u.bisectRun(ctx, p, b, found, better, f.json)
	}
	if f.json {
		err = u.json(bisectShape(p.Rel, b, nil))
	} else {
		u.printBisection(b, f, better)
	}
	if err == nil && !ok {
		err = errInconclusive
	}
	return err
}

func (u *ui) printBisection(b *history.Bisection, f *bisectFlags, better metrics.Direction) {
	found, ok := b.Found()
	if !ok {
		u.printTransitions(b, better)
		return
	}
	u.printTransition("broken by", found, b, better)
	if b.Earlier > 0 {
		u.say("it was broken before: %s further back became %s; --good looks at them", plural(b.Earlier, "record"), b.Condition)
	}
	switch n := len(found.Between); {
	case n == 0 && f.run:
		u.say("nothing to run: no commit between the two records changed what %s reads", clean(b.Metric.Stage))
	case n > 0:
		u.say("since the record before, %s changed what %s reads and recorded no run:", plural(n, "other commit"), clean(b.Metric.Stage))
		u.say("%s may only have recorded what one of them broke", versionID(found.To))
		u.say("%s %s", u.paint(yellow, "hint:"), clean(f.again()))
	}
}

// again is the command line that runs what is not recorded.
func (f *bisectFlags) again() string {
	words := []string{"kept bisect", pathWord(f.Metric), "--when", word(f.When)}
	if f.Good != "" {
		words = append(words, "--good", word(f.Good))
	}
	if f.Bad != "" {
		words = append(words, "--bad", word(f.Bad))
	}
	return strings.Join(append(words, "--run"), " ")
}

func (u *ui) printTransition(title string, t history.Transition, b *history.Bisection, better metrics.Direction) {
	u.printf("%s %s  %s\n", u.paint(bold, clean(b.Metric.String())), metricsText(t.Old, t.New), movedText(t.Old, t.New, better))
	u.printf("%s %s\n", title, u.commitLine(t.To))
	for _, line := range causesText(t.To.Causes()) {
		u.printf("    %s\n", line)
	}
	u.printf("before: %s\n", u.commitLine(t.From))
}

func (u *ui) commitLine(v *history.Version) string {
	if v.Beyond {
		return u.paint(yellow, versionID(v))
	}
	return u.paint(yellow, versionID(v)) + fmt.Sprintf("  %s  %s  %s", versionDate(v), clean(cut(v.Commit.Author, 24)), rowSubject(v))
}

// printTransitions prints what there is where no single commit is the culprit.
func (u *ui) printTransitions(b *history.Bisection, better metrics.Direction) {
	if !b.Monotonic() {
		u.say("%s did not break once and for all: it became %s and the contrary again; the largest step comes first", clean(b.Metric.String()), b.Condition)
	} else if len(b.Transitions) > 1 {
		u.say("%s broke in several lines of history; the largest step comes first", clean(b.Metric.String()))
	}
	var rows [][]string
	for _, t := range b.Transitions {
		what := "broken"
		if t.Back {
			what = "repaired"
		}
		rows = append(rows, []string{versionID(t.To), versionDate(t.To), what, metricsText(t.Old, t.New),
			movedText(t.Old, t.New, better), rowSubject(t.To)})
	}
	for _, v := range b.Always {
		rows = append(rows, []string{versionID(v), versionDate(v), "broken", metricText(v.Value(b.Metric)) + " (first record)", "", rowSubject(v)})
	}
	u.printf("%s", trimLines(table(rows, "")))
}

// bisectRun tries the commits between two records.
func (u *ui) bisectRun(ctx context.Context, p *core.Project, b *history.Bisection, t history.Transition, better metrics.Direction, asJSON bool) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	u.say("trying what lies between %s and %s in a worktree of its own", versionID(t.From), versionID(t.To))
	// Git says the subjects of commits, which are the repository's.
	words := u.wordsOf()
	commit, err := p.BisectRun(ctx, t, func(folder string) []string {
		return []string{binary, "bisect", "--when=" + b.Condition.String(), "--step=" + folder, "--", b.Metric.String()}
	}, words)
	words.flush()
	if err != nil {
		return err
	}
	if asJSON {
		return u.json(bisectShape(p.Rel, b, &history.Version{Commit: commit}))
	}
	u.printf("%s %s  %s\n", u.paint(bold, clean(b.Metric.String())), metricsText(t.Old, t.New), movedText(t.Old, t.New, better))
	u.printf("broken by %s\n", u.commitLine(&history.Version{Commit: commit}))
	u.printf("recorded by %s\n", u.commitLine(t.To))
	return nil
}

// bisectStep is what git bisect run calls for each commit. Git gives exit codes
// a meaning of their own.
func (u *ui) bisectStep(ctx context.Context, f *bisectFlags) error {
	broken, err := u.tryCommit(ctx, f)
	code := stepGood
	var interrupted *core.InterruptedError
	switch {
	case errors.As(err, &interrupted) || ctx.Err() != nil:
		code = stepStop
	case err != nil:
		u.say("%s %s", u.paint(yellow, "skipped:"), cleanLines(err.Error()))
		code = stepSkip
	case broken:
		code = stepBad
	}
	return &statusError{code: code}
}

func (u *ui) tryCommit(ctx context.Context, f *bisectFlags) (broken bool, err error) {
	// Git names the repository to what it starts; the folder does as well.
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"} {
		os.Unsetenv(name)
	}
	_, condition, err := history.ParseCondition(f.When)
	if err != nil {
		return false, err
	}
	p, err := core.Open(f.step)
	if err != nil {
		return false, err
	}
	defer p.Close()
	m, err := p.MeasuredBy(f.Metric)
	if err != nil {
		return false, err
	}
	opts := (&runFlags{}).options(u)
	// Data is what the bisection found; a stage's output is words beside it.
	opts.Streams = core.Streams{Out: u.err, Err: u.err}
	return p.BisectStep(ctx, m, condition, opts)
}

type bisectionJSON struct {
	Version     int              `json:"version"`
	Experiment  string           `json:"experiment"`
	Metric      string           `json:"metric"`
	Condition   string           `json:"condition"`
	Monotonic   bool             `json:"monotonic"`
	Found       *versionJSON     `json:"found"`
	Transitions []transitionJSON `json:"transitions"`
}

type transitionJSON struct {
	From    versionJSON `json:"from"`
	To      versionJSON `json:"to"`
	Old     any         `json:"old"`
	New     any         `json:"new"`
	Broken  bool        `json:"broken"`
	Between []string    `json:"unrecorded"`
	Changes []causeJSON `json:"changes"`
}

// bisectShape is the result in JSON; ran is what --run found, nil without it.
func bisectShape(rel string, b *history.Bisection, ran *history.Version) bisectionJSON {
	shape := bisectionJSON{Version: 1, Experiment: rel, Metric: b.Metric.String(), Condition: b.Condition.String(),
		Monotonic: b.Monotonic(), Transitions: []transitionJSON{}}
	if t, ok := b.Found(); ok && ran == nil {
		ran = t.To
	}
	if ran != nil {
		found := versionShape(ran)
		shape.Found = &found
	}
	for _, t := range b.Transitions {
		shape.Transitions = append(shape.Transitions, transitionJSON{versionShape(t.From), versionShape(t.To),
			core.JSONValue(t.Old), core.JSONValue(t.New), !t.Back, append([]string{}, t.Between...), causeShapes(t.To.Causes())})
	}
	return shape
}
