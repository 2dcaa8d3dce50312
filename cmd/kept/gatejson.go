package main

import (
	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/metrics"
)

// gateJSON is what `kept gate --json` prints; docs/spec/gate.md describes it.
type gateJSON struct {
	Version     int             `json:"version"`
	Status      metrics.Status  `json:"status"`
	Experiments []gateOfProject `json:"experiments"`
}

type gateOfProject struct {
	Experiment string           `json:"experiment"`
	Status     metrics.Status   `json:"status"`
	Base       *gateBase        `json:"base"`
	NoBase     string           `json:"no_base,omitempty"`
	Findings   []gateFinding    `json:"findings"`
	Unused     []gateAcceptance `json:"unused"`
}

type gateBase struct {
	Commit string `json:"commit"`
	Note   string `json:"note"`
}

type gateFinding struct {
	Metric     string          `json:"metric"`
	Stage      string          `json:"stage,omitempty"`
	Key        string          `json:"key,omitempty"`
	Status     metrics.Status  `json:"status"`
	Reason     string          `json:"reason,omitempty"`
	Better     string          `json:"better,omitempty"`
	Base       any             `json:"base"`
	Head       any             `json:"head"`
	Change     any             `json:"change"`
	Relative   any             `json:"relative"`
	Rule       gateRule        `json:"rule"`
	Noise      *gateNoise      `json:"noise,omitempty"`
	Acceptance *gateAcceptance `json:"acceptance,omitempty"`
	Result     cas.Digest      `json:"result,omitzero"`
}

type gateRule struct {
	Pattern  string         `json:"pattern"`
	Line     int            `json:"line"`
	Min      *float64       `json:"min,omitempty"`
	Max      *float64       `json:"max,omitempty"`
	MaxDrop  *gateTolerance `json:"max_drop,omitempty"`
	MaxRise  *gateTolerance `json:"max_rise,omitempty"`
	Required bool           `json:"required"`
	Warn     bool           `json:"warn"`
}

type gateTolerance struct {
	Amount   float64 `json:"amount"`
	Relative bool    `json:"relative"`
}

type gateNoise struct {
	Base   gateRuns `json:"base"`
	Head   gateRuns `json:"head"`
	P      float64  `json:"p"`
	Within bool     `json:"within"`
}

type gateRuns struct {
	Runs int     `json:"runs"`
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"`
}

type gateAcceptance struct {
	Metric string     `json:"metric"`
	Result cas.Digest `json:"result"`
	Reason string     `json:"reason"`
	Line   int        `json:"line"`
}

func gateShape(all []gated) gateJSON {
	shape := gateJSON{Version: 1, Status: worst(all), Experiments: []gateOfProject{}}
	for _, g := range all {
		e := gateOfProject{Experiment: g.project.Rel, Status: g.Verdict.Status, Findings: []gateFinding{}, Unused: []gateAcceptance{}}
		if g.NoBase != nil {
			e.NoBase = g.NoBase.Reason
		} else {
			e.Base = &gateBase{g.Base.Commit, g.Base.Note}
		}
		for _, f := range g.Verdict.Findings {
			e.Findings = append(e.Findings, findingShape(f))
		}
		for _, a := range g.Verdict.Unused {
			e.Unused = append(e.Unused, gateAcceptance(a))
		}
		shape.Experiments = append(shape.Experiments, e)
	}
	return shape
}

func findingShape(f metrics.Finding) gateFinding {
	r := f.Rule
	j := gateFinding{Metric: f.Metric(), Status: f.Status, Reason: f.Reason, Base: core.JSONValue(f.Base), Head: core.JSONValue(f.Head), Result: f.Result,
		Rule: gateRule{Pattern: r.Pattern, Line: r.Line, Min: r.Min, Max: r.Max, MaxDrop: toleranceShape(r.MaxDrop), MaxRise: toleranceShape(r.MaxRise), Required: r.Required, Warn: r.Warn}}
	if f.Stage != "" {
		j.Stage, j.Key = f.Stage, f.Key
	}
	j.Better = map[metrics.Direction]string{metrics.Higher: "higher", metrics.Lower: "lower"}[f.Direction()]
	if d, ok := f.Delta(); ok {
		// What is beyond the range of a float is a string, as in all of our JSON.
		j.Change = core.JSONValue(d.Absolute)
		if d.Relative == d.Relative { // NaN where the base is 0
			j.Relative = core.JSONValue(d.Relative)
		}
	}
	if n := f.Noise; n != nil {
		j.Noise = &gateNoise{gateRuns{n.BaseRuns, n.BaseMean, n.BaseSD}, gateRuns{n.HeadRuns, n.HeadMean, n.HeadSD}, n.P, n.Within}
	}
	if f.Acceptance != nil {
		a := gateAcceptance(*f.Acceptance)
		j.Acceptance = &a
	}
	return j
}

func toleranceShape(t *metrics.Tolerance) *gateTolerance {
	if t == nil {
		return nil
	}
	return &gateTolerance{t.Amount, t.Relative}
}
