package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/internal/tomlscan"
	"github.com/kept-dev/kept/lockfile"
)

// NoRulesError reports an experiment whose kept.toml has no [gate."…"].
type NoRulesError struct {
	// Path is kept.toml relative to the top of the repository.
	Path string
	// Metrics are the names of what the lock has, in their order: what a rule could be about.
	Metrics []string
}

func (e *NoRulesError) Error() string { return e.Path + " has no [gate] that says what is allowed" }

// AcceptError reports a metric that cannot be accepted.
type AcceptError struct{ Metric, Reason string }

func (e *AcceptError) Error() string {
	return fmt.Sprintf("%q cannot be accepted: %s", e.Metric, e.Reason)
}

// GateResult is what the gate says of the working tree's lock.
type GateResult struct {
	Verdict metrics.Verdict
	Rules   metrics.Rules
	// Comparison is what changed from the base; from nothing at all where there is none.
	Comparison *Comparison
	Base       Base
	// NoBase says why there is no base; nil where there is one.
	NoBase *NoBaseError
}

// Gate judges the lock of the working tree by the rules of kept.toml. The base
// is what FindBase finds. Without one, or without a lock in it, rules that
// compare are inconclusive. It reads neither the artifacts nor the code: that
// the lock is of what lies beside it is for Verify and Status to say.
func (p *Project) Gate(ctx context.Context, spec string, env func(string) string) (*GateResult, error) {
	g := &GateResult{}
	var err error
	if g.Rules, err = p.Rules(); err != nil {
		return nil, err
	}
	acceptances, err := metrics.ParseAcceptances(p.Experiment.Acceptances, p.Experiment.Line)
	if err != nil {
		return nil, p.within(err)
	}
	head, err := p.Lock()
	if err != nil {
		return nil, err
	}
	if len(g.Rules) == 0 {
		return nil, &NoRulesError{Path: p.join(pipeline.Name), Metrics: metricNames(head)}
	}
	if g.Base, err = p.FindBase(ctx, spec, env); err != nil && !errors.As(err, &g.NoBase) {
		return nil, err
	}
	if g.Comparison, err = p.Diff(ctx, g.Base.Commit, ""); err != nil {
		return nil, err
	}
	if err := p.recognize(ctx, &g.Comparison.New); err != nil {
		return nil, err
	}
	c := metrics.Case{Rules: g.Rules, Acceptances: acceptances, Base: g.Comparison.Old.Lock, Head: g.Comparison.New.Lock}
	switch {
	case g.NoBase != nil:
		c.Base, c.NoBase = nil, g.NoBase.Reason
	case isEmpty(c.Base):
		c.Base, c.NoBase = nil, fmt.Sprintf("%.10s has no %s", g.Base.Commit, p.LockPath())
	}
	if c.Base != nil && g.Rules.Compares() {
		c.BaseSamples, c.HeadSamples = p.samples(c.Base, c.Head)
	}
	g.Verdict, err = metrics.Judge(ctx, c)
	return g, err
}

// recognize gives a side that is the working tree the commit that is checked
// out, where that one has the same lock: then its reports can say how to get it.
func (p *Project) recognize(ctx context.Context, side *Side) error {
	head, err := p.Side(ctx, "HEAD")
	var broken *FileError
	if errors.As(err, &broken) {
		return nil
	}
	if err == nil && head.Commit != "" && len(lockfile.Diff(head.Lock, side.Lock)) == 0 {
		side.Rev, side.Commit = head.Rev, head.Commit
	}
	return err
}

func isEmpty(l *lockfile.Lock) bool {
	return len(l.Stages)+len(l.Artifacts)+len(l.Unknown) == 0
}

func metricNames(l *lockfile.Lock) []string {
	var names []string
	for stage, block := range l.Stages {
		for key := range block.Metrics {
			names = append(names, metrics.Name(stage, key))
		}
	}
	slices.Sort(names)
	return names
}

// Accept writes into kept.toml that somebody looked at what the gate says of a
// metric and takes it. Everything else in the file stays as it is.
func (p *Project) Accept(g *GateResult, metric, why string) (metrics.Acceptance, error) {
	f, err := g.bad(metric)
	if err != nil {
		return metrics.Acceptance{}, err
	}
	a := metrics.Acceptance{Metric: metric, Result: f.Result, Reason: why}
	file := p.join(pipeline.Name)
	data, err := p.readOwn(file, pipeline.MaxSize)
	if err != nil {
		return a, &FileError{Path: file, Err: reason(err)}
	}
	info, err := os.Stat(p.Workspace.Abs(file))
	if err != nil {
		return a, &FileError{Path: file, Err: reason(err)}
	}
	edited, err := editAcceptance(data, a)
	if err != nil {
		return a, &FileError{Path: file, Err: fmt.Errorf("accept %q: %w", metric, err)}
	}
	if err := writeAtomic(p.Workspace.Abs(file), p.Local.Temp(), edited, info.Mode().Perm()); err != nil {
		return a, fmt.Errorf("write %s: %w", file, err)
	}
	return a, nil
}

// bad returns the finding about a metric that somebody may accept.
func (g *GateResult) bad(metric string) (metrics.Finding, error) {
	var names []string
	refuse := ""
	for _, f := range g.Verdict.Findings {
		names = append(names, f.Metric())
		switch {
		case f.Metric() != metric:
		case f.Status == metrics.Passed:
			refuse = "it passes, and there is nothing to accept"
		case f.Result.IsZero():
			refuse = "kept.lock has no result of its stage that an acceptance could name; change its rule in kept.toml instead"
		default:
			return f, nil
		}
	}
	if refuse == "" {
		refuse = "no rule judges it"
		if near := values.Nearest(metric, names); len(near) > 0 {
			refuse += fmt.Sprintf("; did you mean %q?", near[0])
		}
	}
	return metrics.Finding{}, &AcceptError{Metric: metric, Reason: refuse}
}

// editAcceptance is metrics.SetAcceptance with a look at what came of it: a file
// that can no longer be read, or that says anything else than before, is not written.
func editAcceptance(data []byte, a metrics.Acceptance) ([]byte, error) {
	before, err := pipeline.Parse(data)
	if err != nil {
		return nil, err
	}
	edited, err := metrics.SetAcceptance(data, a)
	if err != nil {
		return nil, err
	}
	after, err := pipeline.Parse(edited)
	if err != nil {
		return nil, fmt.Errorf("the file would not be readable any more, add it by hand: %w", err)
	}
	was, err := metrics.ParseAcceptances(before.Acceptances, before.Line)
	if err != nil {
		return nil, err
	}
	is, err := metrics.ParseAcceptances(after.Acceptances, after.Line)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(is, a.Equal) {
		return nil, errors.New("the file would not say it, add it by hand")
	}
	for _, old := range was {
		if old.Metric != a.Metric && !slices.ContainsFunc(is, old.Equal) {
			return nil, fmt.Errorf("the acceptance of %q would change with it, add it by hand", old.Metric)
		}
	}
	if len(after.Stages) != len(before.Stages) || len(after.Gates) != len(before.Gates) || len(after.Remotes) != len(before.Remotes) {
		return nil, errors.New("other tables would change with it, add it by hand")
	}
	return edited, nil
}

// MetricLines returns a function that finds the line of the lock in the working
// tree on which a metric stands, counted from 1; for one that is not there the
// line of its stage, or 0.
func (p *Project) MetricLines() (func(stage, key string) int, error) {
	lines := map[[2]string]int{}
	data, err := p.readOwn(p.LockPath(), lockfile.MaxSize)
	if errors.Is(err, os.ErrNotExist) {
		return func(string, string) int { return 0 }, nil
	}
	if err != nil {
		return nil, &FileError{Path: p.LockPath(), Err: reason(err)}
	}
	entries, err := tomlscan.Scan(data)
	if err != nil {
		return nil, &FileError{Path: p.LockPath(), Err: err}
	}
	for _, e := range entries {
		switch {
		case len(e.Key) == 2 && e.Key[0] == "stage":
			lines[[2]string{e.Key[1], ""}] = e.Line
		case len(e.Key) == 4 && e.Key[0] == "stage" && e.Key[2] == "metrics":
			lines[[2]string{e.Key[1], e.Key[3]}] = e.Line
		}
	}
	return func(stage, key string) int {
		if line := lines[[2]string{stage, key}]; line > 0 {
			return line
		}
		return lines[[2]string{stage, ""}]
	}, nil
}
