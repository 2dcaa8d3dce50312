package core

import "github.com/kept-dev/kept/core/metrics"

// Rules returns the tables [gate] of kept.toml, none where there are none. The
// errors are those of metrics.ParseRules.
func (p *Project) Rules() (metrics.Rules, error) {
	rules, err := metrics.ParseRules(p.Experiment.Gates, p.Experiment.Line)
	return rules, p.within(err)
}
