package report

import (
	"math"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/lockfile"
)

func number(v float64) *float64 { return &v }

func change(old, new float64, better metrics.Direction) *metrics.Delta {
	return &metrics.Delta{Absolute: new - old, Relative: (new - old) / math.Abs(old), Better: better}
}

// worked is the review of a pull request that has one of everything.
func worked() *Review {
	result := cas.Sum([]byte("block"))
	accepted := &metrics.Acceptance{Metric: "evaluate.latency_ms", Result: result, Reason: "the larger model is worth 4 ms (see README.md)", Line: 31}
	finding := func(stage, key string, rule metrics.Rule, base, head lockfile.Value, status metrics.Status, reason string) metrics.Finding {
		return metrics.Finding{Stage: stage, Key: key, Rule: rule, Base: base, Head: head, Status: status, Reason: reason, Result: result}
	}
	drop := metrics.Rule{Pattern: "train.*", MaxDrop: &metrics.Tolerance{Amount: 0.005}, Better: metrics.Higher, Required: true, Line: 12}
	verdict := &metrics.Verdict{Status: metrics.Failed, Findings: []metrics.Finding{
		finding("evaluate", "recall", metrics.Rule{Pattern: "evaluate.recall", Min: number(0.8), Better: metrics.Higher, Required: true, Line: 16},
			0.8125, 0.7911, metrics.Failed, "0.7911 is below min 0.8"),
		finding("evaluate", "drift", metrics.Rule{Pattern: "evaluate.drift", Max: number(0.1), Better: metrics.Lower, Required: true, Line: 20},
			0.021, nil, metrics.Inconclusive, "the head has no metric evaluate.drift"),
		finding("evaluate", "ece", metrics.Rule{Pattern: "evaluate.ece", MaxRise: &metrics.Tolerance{Amount: 0.01, Relative: true}, Warn: true, Better: metrics.Lower, Line: 24},
			0.0412, 0.0437, metrics.Warned, "rose by 0.0025, more than max_rise 1%"),
		finding("evaluate", "latency_ms", metrics.Rule{Pattern: "evaluate.latency_ms", Max: number(20), Better: metrics.Lower, Required: true, Line: 28},
			int64(18), int64(22), metrics.Accepted, "22 is above max 20"),
		finding("train", "accuracy", drop, 0.8242, 0.8391, metrics.Passed, ""),
		finding("train", "f1", drop, 0.8112, 0.8089, metrics.Passed, ""),
		finding("train", "precision", drop, 0.84, 0.84, metrics.Passed, ""),
	}, Unused: []metrics.Acceptance{{Metric: "train.f1", Result: cas.Sum([]byte("old")), Reason: "fixed seed", Line: 35}}}
	verdict.Findings[3].Acceptance = accepted
	verdict.Findings[2].Noise = &metrics.Noise{BaseRuns: 5, HeadRuns: 5, BaseMean: 0.0415, HeadMean: 0.0436, BaseSD: 0.0006, HeadSD: 0.0008, P: 0.0014}
	return &Review{
		Experiment: "models/sentiment",
		Old:        Revision{Name: "main", Commit: "5f8e0c1b2a3d4e5f60718293a4b5c6d7e8f90a1b"},
		New:        Revision{Name: "HEAD", Commit: "c0ffee1234567890abcdef1234567890abcdef12"},
		BaseNote:   "merge base with origin/main",
		Verdict:    verdict,
		Stages: []Stage{
			{Name: "", Sections: []Section{{Kind: lockfile.KindArtifact, Title: "artifacts", Rows: []Row{{Name: "stopwords", Fate: Added, New: "19ab00fe (3.1 KiB)",
				NewEntry: &lockfile.Artifact{Path: "data/stopwords.txt", Hash: result, Size: 3174}}}}}},
			{Name: "evaluate", Fate: Added, Sections: []Section{
				{Kind: lockfile.KindCommand, Title: "command", Rows: []Row{{Fate: Added, New: "python evaluate.py | tee log.txt"}}},
				{Kind: lockfile.KindMetric, Title: "metrics", Rows: []Row{
					{Name: "recall", Old: "0.8125", New: "0.7911", Delta: change(0.8125, 0.7911, metrics.Higher)},
					{Name: "rows", Old: "2000", New: "2400", Delta: change(2000, 2400, metrics.Unknown)},
					{Name: "auc", Fate: Added, New: "0.9047"},
				}},
			}},
			{Name: "train", Sections: []Section{
				{Kind: lockfile.KindParam, Title: "params", Rows: []Row{
					{Name: "tfidf.ngram_max", Old: "1", New: "2", OldEntry: int64(1), NewEntry: int64(2)},
					{Name: "model.C", Old: "1.0", New: "0.8"},
					{Name: "model.solver", Fate: Added, New: "lbfgs", NewEntry: "lbfgs"},
					{Name: "model.layers", Fate: Added, New: `["a", "b"]`, NewEntry: []lockfile.Value{"a", "b"}},
				}},
				{Kind: lockfile.KindMetric, Title: "metrics", Rows: []Row{
					{Name: "accuracy", Old: "0.8242", New: "0.8391", Delta: change(0.8242, 0.8391, metrics.Higher)},
					{Name: "loss", Old: "0.4821", New: "0.4377", Delta: change(0.4821, 0.4377, metrics.Lower)},
				}},
				{Kind: lockfile.KindArtifact, Title: "artifacts", Rows: []Row{
					{Name: "model", Old: "9b1e3a77 (47.1 KiB)", New: "77aa01c2 (52.8 KiB)"},
					{Name: "shards", Old: "01ab45ef (3 files, 1.2 MiB)", New: "881bb402 (4 files, 1.6 MiB)", Rows: []Row{
						{Name: "shard-3.bin", Fate: Added, New: "412.0 KiB"},
						{Name: "meta/index.json", Fate: Renamed, Old: "index.json", New: "1.1 KiB"},
						{Name: "tmp.lock", Fate: Removed, Old: "12 B"},
					}},
				}},
				{Kind: lockfile.KindInput, Title: "inputs", Rows: []Row{{Name: "data/reviews.tsv", Old: "0e4f1199 (200.0 KiB)", New: "5521c0de (240.3 KiB)"}}},
				{Kind: lockfile.KindCode, Title: "code", Rows: []Row{{Name: "features.py", Old: "77aa90b1", New: "c3d4e5f6"}}},
				{Kind: lockfile.KindEnvironment, Title: "environment", Rows: []Row{
					{Name: "packages", Old: "c01d2233", New: "d9e8f7a6", Rows: []Row{{Name: "scikit-learn", Old: "1.5.1", New: "1.6.0"}, {Name: "joblib", Fate: Removed, Old: "1.4.2"}}},
					{Name: "runtime", Old: "python 3.11.7", New: "python 3.12.1"},
				}},
				{Kind: lockfile.KindHistory, Title: "history", Rows: []Row{{Name: "loss", Old: "11223344", New: "55667788"}}},
			}},
		},
		Patches: []Patch{
			{Path: "features.py", Hunks: []Hunk{{10, 3, 10, 4, []Line{{' ', "def features(text):"}, {'-', "    return words(text)"}, {'+', "    return words(text, lower=True)"}, {'+', "\t# ``` ##[group]"}}}}},
			{Path: "evaluate.py", From: "eval.py", Fate: Renamed, Note: "binary or very large: not shown"},
		},
		Curves: []Curve{{Stage: "train", Key: "loss", Old: curve(0.48, 30), New: curve(0.43, 40)}},
		Metrics: []MetricValue{
			{"evaluate", "auc", 0.9047, metrics.Higher}, {"evaluate", "ece", 0.0437, metrics.Lower}, {"evaluate", "latency_ms", int64(22), metrics.Lower},
			{"evaluate", "perplexity", math.Inf(1), metrics.Lower}, {"evaluate", "recall", 0.7911, metrics.Higher}, {"evaluate", "rows", int64(2400), metrics.Unknown},
			{"evaluate", "skew", math.NaN(), metrics.Unknown}, {"train", "accuracy", 0.8391, metrics.Higher}, {"train", "f1", 0.8089, metrics.Higher},
			{"train", "loss", 0.4377, metrics.Lower}, {"train", "precision", 0.84, metrics.Higher},
		},
	}
}

func curve(to float64, n int) []lockfile.Point {
	var points []lockfile.Point
	for i := range n {
		points = append(points, lockfile.Point{Step: int64(i), Value: math.Round((to+0.9*math.Exp(-float64(i)/6))*1e4) / 1e4})
	}
	return points
}

// second is a plain diff without a gate.
func second() *Review {
	return &Review{
		Experiment: ".", Old: Revision{Name: "v1.0"}, New: Revision{Name: "working tree"},
		Stages: []Stage{{Name: "fit", Sections: []Section{{Kind: lockfile.KindMetric, Title: "metrics", Rows: []Row{
			{Name: "rmse", Old: "2.1", New: "1.9", Delta: change(2.1, 1.9, metrics.Lower)},
			{Name: "mae", Old: "1.5", New: "1.6", Delta: change(1.5, 1.6, metrics.Lower)},
			{Name: "rows", Old: "100", New: "120", Delta: change(100, 120, metrics.Unknown)},
		}}}}},
	}
}

func options() Options {
	return Options{Version: "0.3.0", Line: func(_, stage, key string) int {
		if stage == "evaluate" && key == "recall" {
			return 42
		}
		return 0
	}}
}

// alone is one lock, compared with nothing.
func alone() *Review {
	model := &lockfile.Artifact{Path: "model.pkl", Hash: cas.Sum([]byte("model")), Size: 48213}
	lock := lockfile.New()
	lock.Stages["train"] = &lockfile.Stage{Command: "python train.py", Artifacts: map[string]*lockfile.Artifact{"model": model},
		Params:  map[string]lockfile.Value{"tfidf.ngram_max": int64(2)},
		Metrics: map[string]lockfile.Value{"accuracy": 0.8242, "loss": 0.34568528123113873}}
	return Show("", core.Side{Rev: "v1.0", Commit: "5f8e0c1b2a3d4e5f60718293a4b5c6d7e8f90a1b", Lock: lock}, nil)
}
