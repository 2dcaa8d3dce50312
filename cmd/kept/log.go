package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/core/history"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

type logFlags struct {
	rev, since, plot       string
	firstParent, json, csv bool
}

func newLog(u *ui) *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use:   "log [METRIC...] [REVISION | A..B]",
		Short: "Show metrics through history: a row per commit that changed them",
		Long: `Log shows how metrics got the values that they have: a row for each commit
that changed one, the newest first, with the difference and the parameters that
changed with it. Without METRIC it shows every commit that changed kept.lock.

METRIC is a name (train.accuracy), the end of one where that is enough
(accuracy), or a quoted pattern ("train.*"). A word that names a metric in the
history of HEAD is a METRIC, any other a REVISION; before -- are only revisions,
behind it only metrics, and --rev takes a REVISION.

History is that of kept.lock under its path: it ends where the folder was renamed.`,
		Example: `  kept log
  kept log accuracy
  kept log train.accuracy v1.0..main --plot accuracy.svg
  kept log "*.loss" --since "3 months ago" --csv`,
		RunE:              func(cmd *cobra.Command, words []string) error { return runLog(cmd, u, &f, words) },
		ValidArgsFunction: completeMetrics,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.rev, "rev", "", "the `revision` or range to look at (HEAD and the working tree)")
	flags.StringVar(&f.since, "since", "", "leave out what is older than the `date`, as in git log")
	flags.BoolVar(&f.firstParent, "first-parent", false, "follow only the first parent of merges, as in git log")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.csv, "csv", false, "print CSV")
	flags.StringVar(&f.plot, "plot", "", "draw the metrics into `FILE`.svg or .png")
	completeFlags(cmd, completeRevisions, "rev")
	cmd.MarkFlagsMutuallyExclusive("json", "csv", "plot")
	return addExits(cmd, "2 wrong usage or unknown revision", "3 no such metric in history")
}

func runLog(cmd *cobra.Command, u *ui, f *logFlags, words []string) error {
	if f.plot != "" {
		if _, err := drawing(f.plot); err != nil {
			return &usageError{err: err, command: "kept log"}
		}
	}
	p, err := core.Open(".")
	if err != nil {
		return err
	}
	defer p.Close()
	isRange := func(word string) bool { return strings.Contains(word, "..") }
	part := f.since != "" || isRange(f.rev) || slices.ContainsFunc(words, isRange)
	h, words, err := historyFor(cmd, p, f, words)
	if err != nil {
		return err
	}
	log := &metricLog{history: h, rules: u.rulesOf(p)}
	if err := log.choose(words); err != nil {
		var unknown *history.UnknownMetricError
		if errors.As(err, &unknown) {
			unknown.Part = part
		}
		return err
	}
	switch {
	case f.json:
		return u.json(log.shape(p.Rel))
	case f.csv:
		return u.logCSV(log)
	case f.plot != "":
		return u.plotLog(cmd.Context(), log, f.plot)
	}
	u.printLog(log)
	return nil
}

// historyFor reads the history that a command line is about, and returns the
// words of it that are metrics.
func historyFor(cmd *cobra.Command, p *core.Project, f *logFlags, words []string) (*history.History, []string, error) {
	ctx := cmd.Context()
	o := core.HistoryOptions{Revision: f.rev, Since: f.since, FirstParent: f.firstParent}
	var revisions []string
	dash := cmd.ArgsLenAtDash()
	if dash >= 0 {
		revisions, words = words[:dash], words[dash:]
	}
	if len(revisions) == 0 {
		o.WorkingTree = o.Revision == ""
		h, err := p.History(ctx, o)
		if err != nil || dash >= 0 || f.rev != "" {
			return h, words, err
		}
		revisions, words = splitRevisions(ctx, p, h, words)
		if len(revisions) == 0 {
			return h, words, nil
		}
	}
	if len(revisions)+min(1, len(f.rev)) > 1 {
		return nil, nil, &usageError{err: fmt.Errorf("give one revision or range: %s", strings.Join(revisions, " ")), command: "kept log"}
	}
	o.Revision, o.WorkingTree = revisions[0], false
	h, err := p.History(ctx, o)
	return h, words, err
}

// splitRevisions takes those words that name no metric in the history but a revision.
func splitRevisions(ctx context.Context, p *core.Project, h *history.History, words []string) (revisions, rest []string) {
	known := h.Metrics()
	for _, word := range words {
		_, err := history.Find(known, word)
		var unknown *history.UnknownMetricError
		if errors.As(err, &unknown) && isRevision(ctx, p.Git, word) {
			revisions = append(revisions, word)
			continue
		}
		rest = append(rest, word)
	}
	return revisions, rest
}

func isRevision(ctx context.Context, repo *git.Repo, word string) bool {
	if strings.Contains(word, "..") {
		return true // Of which Git then says what is wrong with it.
	}
	_, err := repo.Resolve(ctx, word)
	return err == nil
}

// metricLog is what the log command found.
type metricLog struct {
	history *history.History
	rules   metrics.Rules
	// chosen are the metrics to show; named says that the user chose them.
	chosen []history.Metric
	named  bool
	rows   []logRow
	// courses are the values of each metric, the oldest first.
	courses map[history.Metric][]lockfile.Value
}

// logRow is a version that changed something.
type logRow struct {
	version *history.Version
	metrics []metricChange
	params  []lockfile.Change
}

// metricChange is how a version changed one metric; a nil side has no value.
type metricChange struct {
	history.Metric
	old, new lockfile.Value
}

// choose picks the metrics and makes the rows.
func (l *metricLog) choose(words []string) error {
	known := l.history.Metrics()
	l.named = len(words) > 0
	chosen := map[history.Metric]bool{}
	for _, word := range words {
		found, err := history.Find(known, word)
		if err != nil {
			return err
		}
		for _, m := range found {
			if !chosen[m] {
				l.chosen = append(l.chosen, m)
			}
			chosen[m] = true
		}
	}
	if !l.named {
		l.chosen = known
	}
	for _, v := range l.history.Versions {
		if row := l.row(v); row != nil {
			l.rows = append(l.rows, *row)
		}
	}
	l.courses = map[history.Metric][]lockfile.Value{}
	for _, row := range slices.Backward(l.rows) {
		for _, c := range row.metrics {
			if c.new != nil {
				l.courses[c.Metric] = append(l.courses[c.Metric], c.new)
			}
		}
	}
	return nil
}

// row returns what a version changed, or nil where that is nothing to show.
func (l *metricLog) row(v *history.Version) *logRow {
	if v.Err != nil {
		if v.TookOver() {
			return nil // A merge that took over what can't be read.
		}
		return &logRow{version: v}
	}
	row := &logRow{version: v}
	before := v.Before()
	var stages []string
	for _, m := range l.chosen {
		if !v.Sets(m) {
			continue
		}
		c := metricChange{Metric: m, new: v.Value(m)}
		if len(before) > 0 {
			c.old = before[0].Value(m)
		}
		row.metrics = append(row.metrics, c)
		stages = append(stages, m.Stage)
	}
	if l.named {
		if len(row.metrics) == 0 {
			return nil
		}
		for _, stage := range slices.Compact(stages) {
			row.params = append(row.params, v.Params(stage)...)
		}
		return row
	}
	changed := v.Changed()
	for _, c := range changed {
		if c.Kind == lockfile.KindParam && c.Old != nil {
			row.params = append(row.params, c)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return row
}

// numbers returns the values of a metric, the oldest first.
func (l *metricLog) numbers(m history.Metric) []float64 {
	var numbers []float64
	for _, v := range l.courses[m] {
		if n, ok := lockfile.Float(v); ok {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// last returns the newest value of a metric.
func (l *metricLog) last(m history.Metric) lockfile.Value {
	if course := l.courses[m]; len(course) > 0 {
		return course[len(course)-1]
	}
	return nil
}

func (u *ui) printLog(l *metricLog) {
	if len(l.rows) == 0 {
		u.say("nothing is recorded in this history")
	}
	var heads [][]string
	for _, m := range l.chosen {
		if numbers := l.numbers(m); len(numbers) > 0 {
			heads = append(heads, u.logHead(l, m, numbers))
		}
	}
	if len(heads) > 0 {
		u.printf("%s\n", table(heads, ""))
	}
	if l.named && len(l.chosen) == 1 {
		u.printColumn(l)
	} else {
		u.printBlocks(l)
	}
	u.sayShallow(l.history)
}

// logHead is the line above the rows: a metric's course and its extremes.
func (u *ui) logHead(l *metricLog, m history.Metric, numbers []float64) []string {
	name := u.paint(bold, clean(m.String()))
	line := sparkline(numbers, 40, u.ascii)
	low, high := bounds(numbers)
	if low > high {
		return []string{name, line, "last " + metricText(l.last(m))}
	}
	return []string{name, line, "min " + metrics.Text(trim(l, m, low)), "max " + metrics.Text(trim(l, m, high)), "last " + metricText(l.last(m))}
}

// trim returns the value as it was recorded: an integer stays one.
func trim(l *metricLog, m history.Metric, n float64) lockfile.Value {
	if _, ok := l.last(m).(int64); ok && n == float64(int64(n)) {
		return int64(n)
	}
	return n
}

// printColumn prints one metric, a line per commit.
func (u *ui) printColumn(l *metricLog) {
	var cells [][]string
	for _, row := range l.rows {
		v := row.version
		line := []string{versionID(v), versionDate(v), "", ""}
		for _, c := range row.metrics {
			line[2] = metricText(c.new)
			line[3] = movedText(c.old, c.new, l.rules.Direction(c.String()))
		}
		if v.Err != nil {
			line[2] = "?"
		}
		cells = append(cells, append(line, rowSubject(v)))
	}
	lines := strings.Split(strings.TrimSuffix(table(cells, ""), "\n"), "\n")
	for i, row := range l.rows {
		u.printf("%s\n", u.paintID(row.version, u.fit(lines[i])))
		u.printNotes(row)
	}
}

// printBlocks prints several metrics, a block per commit.
func (u *ui) printBlocks(l *metricLog) {
	for i, row := range l.rows {
		if i > 0 {
			u.printf("\n")
		}
		v := row.version
		line := strings.TrimRight(versionID(v)+"  "+versionDate(v), " ") + "  " + rowSubject(v)
		u.printf("%s\n", u.paintID(v, u.fit(line)))
		var cells [][]string
		for _, c := range row.metrics {
			moved := movedText(c.old, c.new, l.rules.Direction(c.String()))
			if c.old == nil {
				cells = append(cells, []string{clean(c.String()), metricText(c.new) + " (new)"})
				continue
			}
			cells = append(cells, []string{clean(c.String()), metricsText(c.old, c.new), moved})
		}
		u.printf("%s", trimLines(table(cells, "    ")))
		u.printNotes(row)
	}
}

// printNotes prints what goes with a row: parameters, or why there is no value.
func (u *ui) printNotes(row logRow) {
	if row.version.Err != nil {
		u.printf("    can't be read: %s\n", u.fit(clean(row.version.Err.Error())))
	}
	if row.version.Commit.Boundary {
		u.printf("    the history of this shallow clone begins here: the values may be older\n")
	}
	for _, line := range causesText(row.params) {
		u.printf("    %s\n", line)
	}
}

func rowSubject(v *history.Version) string {
	if v.Uncommitted() {
		return "in the working tree"
	}
	return clean(cut(v.Commit.Subject, 200))
}

// fit cuts a line to the width of the terminal.
func (u *ui) fit(line string) string {
	return cut(line, u.width)
}

func (u *ui) paintID(v *history.Version, line string) string {
	id := versionID(v)
	rest, ok := strings.CutPrefix(line, id)
	if !ok {
		return line
	}
	return u.paint(yellow, id) + strings.TrimRight(rest, " ")
}

// trimLines takes the blanks off the ends of lines.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
