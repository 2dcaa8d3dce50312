package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/metrics"
	"github.com/kept-dev/kept/core/pipeline"
	"github.com/kept-dev/kept/lockfile"
)

// lock makes a lock of words such as "train.accuracy=0.83"; "-" is no lock at all.
func lock(t testing.TB, text string) *lockfile.Lock {
	t.Helper()
	if text == "-" {
		return nil
	}
	l := lockfile.New()
	for _, word := range strings.Fields(text) {
		name, number, _ := strings.Cut(word, "=")
		stage, key, _ := strings.Cut(name, ".")
		if l.Stages[stage] == nil {
			l.Stages[stage] = &lockfile.Stage{Command: "true", Metrics: map[string]lockfile.Value{}}
		}
		if key == "" {
			continue
		}
		var value lockfile.Value
		value, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			value, err = strconv.ParseFloat(number, 64)
		}
		if err != nil {
			t.Fatal(err)
		}
		l.Stages[stage].Metrics[key] = value
	}
	for name, stage := range l.Stages {
		stage.Result = stage.Digest(name)
	}
	return l
}

// gates reads the rules and acceptances of a kept.toml.
func gates(t testing.TB, text string) (metrics.Rules, []metrics.Acceptance) {
	t.Helper()
	experiment, err := pipeline.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := metrics.ParseRules(experiment.Gates, experiment.Line)
	if err != nil {
		t.Fatal(err)
	}
	acceptances, err := metrics.ParseAcceptances(experiment.Acceptances, experiment.Line)
	if err != nil {
		t.Fatal(err)
	}
	return rules, acceptances
}

// gate writes one rule: gate("train.accuracy", "min=0.8", "warn=true").
func gate(pattern string, keys ...string) string {
	return fmt.Sprintf("[gate.%q]\n%s\n", pattern, strings.Join(keys, "\n"))
}

// accept writes an acceptance of what the head has.
func accept(metric string, head *lockfile.Lock) string {
	stage, _, _ := strings.Cut(metric, ".")
	return fmt.Sprintf("[accept.%q]\nresult = %q\nreason = \"smaller model\"\n", metric, head.Stages[stage].Result)
}

func TestJudge(t *testing.T) {
	const acc, loss = "train.accuracy", "train.loss"
	noSuchResult := fmt.Sprintf("[accept.%q]\nresult = %q\nreason = \"x\"\n", acc, cas.Sum(nil))
	tests := []struct {
		name       string
		toml       string
		base, head string
		// want lists findings as "status metric", worst first, and parts of their reasons.
		want    string
		reasons []string
	}{
		// Bounds on the value.
		{"min met", gate(acc, "min=0.8"), "-", acc + "=0.81", "passed " + acc, nil},
		{"min met exactly", gate(acc, "min=0.8"), "-", acc + "=0.8", "passed " + acc, nil},
		{"min broken", gate(acc, "min=0.8"), "-", acc + "=0.79", "failed " + acc, []string{"0.79 is below the minimum of 0.8"}},
		{"max met", gate(loss, "max=0.5"), "-", loss + "=0.4", "passed " + loss, nil},
		{"max met exactly", gate(loss, "max=0.5"), "-", loss + "=0.5", "passed " + loss, nil},
		{"max broken", gate(loss, "max=0.5"), "-", loss + "=0.51", "failed " + loss, []string{"0.51 is above the maximum of 0.5"}},
		{"a range, inside", gate("train.n", "min=1", "max=3"), "-", "train.n=2", "passed train.n", nil},
		{"a range, below", gate("train.n", "min=1", "max=3"), "-", "train.n=0", "failed train.n", []string{"below"}},
		{"a range, above", gate("train.n", "min=1", "max=3"), "-", "train.n=4", "failed train.n", []string{"above"}},
		{"negative bounds", gate("train.r", "min=-1.5"), "-", "train.r=-2", "failed train.r", []string{"-2 is below the minimum of -1.5"}},
		{"integer against float, equal", gate(acc, "min=1"), "-", acc + "=1.0", "passed " + acc, nil},
		{"float against integer, below", gate("train.n", "min=10.5"), "-", "train.n=10", "failed train.n", nil},
		{"large integers stay exact", gate("train.n", "min=9007199254740992"), "-", "train.n=9007199254740991", "failed train.n", nil},
		{"negative zero is zero", gate("train.r", "min=0"), "-", "train.r=-0.0", "passed train.r", nil},
		{"a subnormal is below zero", gate("train.r", "min=0"), "-", "train.r=-5e-324", "failed train.r", nil},

		// Changes against the base.
		{"drop within", gate(acc, "max_drop=0.005"), acc + "=0.83", acc + "=0.826", "passed " + acc, nil},
		{"drop of exactly the tolerance", gate(acc, "max_drop=0.005"), acc + "=0.830", acc + "=0.825", "passed " + acc, nil},
		{"drop of a hair more", gate(acc, "max_drop=0.005"), acc + "=0.830", acc + "=0.8249999", "failed " + acc, []string{"dropped by 0.0050001, more than 0.005"}},
		{"tenths add up", gate(acc, "max_drop=0.1"), acc + "=0.3", acc + "=0.2", "passed " + acc, nil},
		{"any rise under max_drop", gate(acc, "max_drop=0"), acc + "=0.8", acc + "=0.9", "passed " + acc, nil},
		{"no drop at all", gate(acc, "max_drop=0"), acc + "=0.8", acc + "=0.7999", "failed " + acc, []string{"more than 0"}},
		{"no change under max_drop 0", gate(acc, "max_drop=0"), acc + "=0.8", acc + "=0.8", "passed " + acc, nil},
		{"rise within", gate(loss, "max_rise=0.1"), loss + "=0.5", loss + "=0.6", "passed " + loss, nil},
		{"rise beyond", gate(loss, "max_rise=0.1"), loss + "=0.5", loss + "=0.61", "failed " + loss, []string{"rose by 0.11, more than 0.1"}},
		{"any drop under max_rise", gate(loss, "max_rise=0"), loss + "=0.5", loss + "=0.1", "passed " + loss, nil},
		{"both directions, down", gate("train.n", "max_drop=1", "max_rise=1"), "train.n=5", "train.n=3", "failed train.n", []string{"dropped by 2"}},
		{"both directions, up", gate("train.n", "max_drop=1", "max_rise=1"), "train.n=5", "train.n=7", "failed train.n", []string{"rose by 2"}},
		{"relative, within", gate(acc, `max_drop="1%"`), acc + "=0.8", acc + "=0.792", "passed " + acc, nil},
		{"relative, beyond", gate(acc, `max_drop="1%"`), acc + "=0.8", acc + "=0.7919", "failed " + acc, []string{"more than 1% of the base, which is 0.008"}},
		{"relative with a space and a fraction", gate(acc, `max_drop="0.5 %"`), acc + "=0.8", acc + "=0.796", "passed " + acc, nil},
		{"relative of a negative base, rise within", gate("train.r", `max_rise="10%"`), "train.r=-10", "train.r=-9", "passed train.r", nil},
		{"relative of a negative base, rise beyond", gate("train.r", `max_rise="10%"`), "train.r=-10", "train.r=-8.9", "failed train.r", nil},
		{"relative of a negative base, drop within", gate("train.r", `max_drop="10%"`), "train.r=-10", "train.r=-11", "passed train.r", nil},
		{"relative of a negative base, drop beyond", gate("train.r", `max_drop="10%"`), "train.r=-10", "train.r=-11.1", "failed train.r", nil},
		{"relative of zero allows no rise", gate(loss, `max_rise="50%"`), loss + "=0", loss + "=0.0001", "failed " + loss, []string{"which is 0"}},
		{"relative of zero allows the other direction", gate(loss, `max_rise="50%"`), loss + "=0.0", loss + "=-1", "passed " + loss, nil},
		{"relative of zero, no change", gate(loss, `max_rise="50%"`), loss + "=0", loss + "=0.0", "passed " + loss, nil},
		{"integer against float across sides", gate("train.n", "max_drop=0.5"), "train.n=10", "train.n=9.5", "passed train.n", nil},
		{"huge numbers", gate("train.r", "max_drop=1e300"), "train.r=1e308", "train.r=-1e308", "failed train.r", nil},
		{"min fails where the drop passes", gate(acc, "min=0.8", "max_drop=0.1"), acc + "=0.81", acc + "=0.79", "failed " + acc, []string{"below the minimum"}},
		{"both fail and both are said", gate(acc, "min=0.8", "max_drop=0.01"), acc + "=0.9", acc + "=0.7", "failed " + acc, []string{"0.7 is below the minimum of 0.8; dropped by 0.2, more than 0.01"}},

		// What is not finite.
		{"nan in the head", gate(acc, "min=0"), "-", acc + "=nan", "failed " + acc, []string{"nan is no value that a rule can allow"}},
		{"inf above a min", gate(acc, "min=0"), "-", acc + "=inf", "failed " + acc, []string{"inf is no value"}},
		{"-inf below a max", gate(loss, "max=1"), "-", loss + "=-inf", "failed " + loss, nil},
		{"nan where it may be missing", gate(acc, "min=0", "required=false"), "-", acc + "=nan", "failed " + acc, nil},
		{"nan under a rule without bounds", gate(acc, "required=true"), "-", acc + "=nan", "failed " + acc, nil},
		{"nan on both sides", gate(acc, "max_drop=1"), acc + "=nan", acc + "=nan", "failed " + acc, nil},
		{"nan in the base", gate(acc, "max_drop=1"), acc + "=nan", acc + "=0.9", "inconclusive " + acc, []string{"the base is nan"}},
		{"inf in the base, may be missing", gate(acc, "max_drop=1", "required=false"), acc + "=inf", acc + "=0.9", "inconclusive " + acc, []string{"the base is inf"}},
		{"nan in the base, min broken", gate(acc, "max_drop=1", "min=0.95"), acc + "=nan", acc + "=0.9", "failed " + acc, []string{"below the minimum of 0.95; the base is nan"}},

		// What is missing.
		{"no base", gate(acc, "max_drop=0.1"), "-", acc + "=0.9", "inconclusive " + acc, []string{"there is nothing to compare with: the history is cut off"}},
		{"no base, only bounds", gate(acc, "min=0.1"), "-", acc + "=0.9", "passed " + acc, nil},
		{"no base, min broken", gate(acc, "min=0.95", "max_drop=0.1"), "-", acc + "=0.9", "failed " + acc, nil},
		{"no base, may be missing", gate(acc, "max_drop=0.1", "required=false"), "-", acc + "=0.9", "", nil},
		{"no base, may be missing, min judged", gate(acc, "min=0.95", "max_drop=0.1", "required=false"), "-", acc + "=0.9", "failed " + acc, nil},
		{"new metric", gate(acc, "max_drop=0.1"), loss + "=1", acc + "=0.9 " + loss + "=1", "inconclusive " + acc, []string{"the base has no train.accuracy"}},
		{"new metric, may be missing", gate(acc, "max_drop=0.1", "min=0.5", "required=false"), loss + "=1", acc + "=0.9", "passed " + acc, []string{"the base has no train.accuracy"}},
		{"new stage", gate("eval.f1", "max_drop=0.1"), acc + "=1", "eval.f1=0.9", "inconclusive eval.f1", []string{"the base has no stage eval"}},
		{"missing on both sides", gate(acc, "min=0.1"), loss + "=1", loss + "=1", "inconclusive " + acc, []string{"no metric is called so"}},
		{"misspelt name", gate("train.acuracy", "min=0.1"), "-", acc + "=1", "inconclusive train.acuracy", []string{"is train.accuracy meant?"}},
		{"missing and may be", gate(acc, "min=0.1", "required=false"), loss + "=1", loss + "=1", "", nil},
		{"nothing recorded", gate(acc, "min=0.1"), "-", "", "inconclusive " + acc, []string{"no stage yet"}},
		{"gone from the head", gate(acc, "min=0.1"), acc + "=1", loss + "=2", "inconclusive " + acc, []string{"the base has it and the head does not"}},
		{"gone and may be", gate(acc, "min=0.1", "required=false"), acc + "=1", loss + "=2", "", nil},
		{"gone with its stage", gate(acc, "min=0.1"), acc + "=1", "eval.f1=2", "inconclusive " + acc, []string{"no stage train any more"}},
		{"renamed", gate(acc, "min=0.1"), acc + "=0.9 " + loss + "=1", "train.acc=0.9 " + loss + "=1", "inconclusive " + acc, []string{"train.acc is new and has its value: renamed?"}},
		{"renamed as another type", gate("train.n", "min=0"), "train.n=1", "train.count=1.0", "inconclusive train.n", []string{"train.count is new"}},
		{"two have the value", gate(acc, "min=0.1"), acc + "=0.9", "train.a=0.9 train.b=0.9", "inconclusive " + acc, []string{"the head does not"}},

		// Patterns.
		{"glob", gate("*.loss", "max=1"), "-", "train.loss=2 eval.loss=0.5 train.f1=9", "failed train.loss, passed eval.loss", nil},
		{"glob of keys", gate("eval.*", "min=0.5"), "-", "eval.f1=0.4 eval.a.b=0.6 train.f1=0", "failed eval.f1, passed eval.a.b", nil},
		{"question mark", gate("train.f?", "min=0.5"), "-", "train.f1=0.4 train.f22=0 train.f=0", "failed train.f1", nil},
		{"question mark is a character, not a byte", gate("train.?1", "min=0.5"), "-", "train.é1=0.4", "failed train.é1", nil},
		{"glob matches nothing", gate("*.loss", "max=1"), "-", "train.f1=1", "inconclusive *.loss", []string{"no metric matches"}},
		{"glob matches nothing and may", gate("*.loss", "max=1", "required=false"), "-", "train.f1=1", "", nil},
		{"glob and a metric that is gone", gate("*.loss", "max=1"), "train.loss=0.5 eval.loss=0.5", "train.loss=0.5", "inconclusive eval.loss, passed train.loss", []string{"no stage eval any more"}},
		{"exact beats glob", gate("*.loss", "max=1") + gate("train.loss", "max=3"), "-", "train.loss=2 eval.loss=0.5", "passed eval.loss, passed train.loss", nil},
		{"exact beats a longer glob", gate("tra??.l*o*s*s", "max=1") + gate("train.loss", "max=3"), "-", "train.loss=2", "passed train.loss", nil},
		{"more literals win", gate("*", "max=1") + gate("train.*", "max=3"), "-", "train.loss=2", "passed train.loss", nil},
		{"more literals win in any order", gate("train.*", "max=3") + gate("*", "max=1"), "-", "train.loss=2", "passed train.loss", nil},
		{"the first of equals wins", gate("*.loss", "max=1") + gate("a.lo*s", "max=3"), "-", "a.loss=2", "failed a.loss", nil},
		{"the first of equals wins, turned round", gate("a.lo*s", "max=3") + gate("*.loss", "max=1"), "-", "a.loss=2", "passed a.loss", nil},

		// Warnings.
		{"warn, broken", gate(acc, "min=0.8", "warn=true"), "-", acc + "=0.7", "warned " + acc, []string{"below the minimum"}},
		{"warn, inconclusive", gate(acc, "max_drop=0.8", "warn=true"), "-", acc + "=0.7", "warned " + acc, []string{"nothing to compare"}},
		{"warn, passed", gate(acc, "min=0.6", "warn=true"), "-", acc + "=0.7", "passed " + acc, nil},
		{"warn, nan", gate(acc, "min=0.6", "warn=true"), "-", acc + "=nan", "warned " + acc, nil},

		// Several at once.
		{"worst first", gate(acc, "min=0.8") + gate(loss, "max=1", "warn=true") + gate("train.f1", "max_drop=0") + gate("train.n", "min=1"), "-",
			acc + "=0.7 " + loss + "=2 train.f1=1 train.n=1", "failed train.accuracy, inconclusive train.f1, warned train.loss, passed train.n", nil},
		{"no rules", "", acc + "=1", acc + "=0", "", nil},

		// Acceptances.
		{"accepted", gate(acc, "min=0.8") + accept(acc, lock(t, acc+"=0.7")), "-", acc + "=0.7", "accepted " + acc, []string{"below the minimum"}},
		{"accepted and inconclusive", gate(acc, "max_drop=0") + accept(acc, lock(t, acc+"=0.7")), "-", acc + "=0.7", "accepted " + acc, nil},
		{"accepted and gone", gate(acc, "min=0.8") + accept(acc, lock(t, loss+"=1")), acc + "=0.9", loss + "=1", "accepted " + acc, nil},
		{"accepted and nan", gate(acc, "min=0.8") + accept(acc, lock(t, acc+"=nan")), "-", acc + "=nan", "accepted " + acc, nil},
		{"accepted under a glob", gate("*", "min=0.8") + accept(acc, lock(t, acc+"=0.7 "+loss+"=0")), "-", acc + "=0.7 " + loss + "=0",
			"failed " + loss + ", accepted " + acc, nil},
		{"accepted rather than warned", gate(acc, "min=0.8", "warn=true") + accept(acc, lock(t, acc+"=0.7")), "-", acc + "=0.7", "accepted " + acc, nil},
		{"acceptance of another result", gate(acc, "min=0.8") + accept(acc, lock(t, acc+"=0.75")), "-", acc + "=0.7", "failed " + acc + ", unused " + acc,
			[]string{"the acceptance in kept.toml:3 is of another result"}},
		{"acceptance of what passes", gate(acc, "min=0.8") + accept(acc, lock(t, acc+"=0.9")), "-", acc + "=0.9", "passed " + acc + ", unused " + acc, nil},
		{"acceptance without a rule", noSuchResult, "-", acc + "=0.9", "unused " + acc, nil},
		{"acceptance of another metric", gate(acc, "min=0.8") + accept(loss, lock(t, acc+"=0.7 "+loss+"=1")), "-", acc + "=0.7 " + loss + "=1",
			"failed " + acc + ", unused " + loss, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rules, acceptances := gates(t, test.toml)
			v := judge(t, metrics.Case{Rules: rules, Acceptances: acceptances, NoBase: "the history is cut off",
				Base: lock(t, test.base), Head: lock(t, test.head)})
			var got, reasons []string
			worst := metrics.Passed
			for _, f := range v.Findings {
				got = append(got, f.Status.String()+" "+f.Metric())
				reasons = append(reasons, f.Reason)
				worst = max(worst, f.Status)
				if (f.Status == metrics.Accepted) != (f.Acceptance != nil) {
					t.Errorf("%s: acceptance %v", f.Metric(), f.Acceptance)
				}
				if f.Status != metrics.Passed && f.Reason == "" {
					t.Errorf("%s: no reason", f.Metric())
				}
			}
			for _, a := range v.Unused {
				got = append(got, "unused "+a.Metric)
			}
			if got := strings.Join(got, ", "); got != test.want {
				t.Errorf("got  %s\nwant %s\nreasons %q", got, test.want, reasons)
			}
			if v.Status != worst {
				t.Errorf("status %s, worst finding %s", v.Status, worst)
			}
			for i, want := range test.reasons {
				if i >= len(reasons) || !strings.Contains(reasons[i], want) {
					t.Errorf("reasons %q, want %q", reasons, want)
				}
			}
		})
	}
	if len(tests) < 60 {
		t.Errorf("only %d cases", len(tests))
	}
}

// The runs of a stage under several seeds soften a drop, and nothing else.
func TestJudgeNoise(t *testing.T) {
	const acc = "train.accuracy"
	noisyBase := []float64{0.829, 0.833, 0.831, 0.828, 0.834}
	noisyHead := []float64{0.826, 0.832, 0.829, 0.831, 0.825}
	far := []float64{0.70, 0.71, 0.69}
	same := []float64{0.8, 0.8, 0.8}
	tests := []struct {
		name, rule string
		head       string
		base, runs []float64
		want       metrics.Status
		reason     string
	}{
		{"within", "max_drop=0.001", "0.825", noisyBase, noisyHead, metrics.Inconclusive, "within the noise: 0.8310 ± 0.0025 (5 runs) and 0.8286 ± 0.0030 (5 runs), p = 0.22"},
		{"beyond", "max_drop=0.001", "0.7", noisyBase, far, metrics.Failed, "dropped by 0.131, more than 0.001, and beyond the noise"},
		{"one run is no sample", "max_drop=0.001", "0.825", noisyBase, noisyHead[:1], metrics.Failed, "dropped by 0.006"},
		{"min is not softened", "min=0.83", "0.825", noisyBase, noisyHead, metrics.Failed, "below the minimum"},
		{"min is not softened by a drop", "min=0.83\nmax_drop=0.001", "0.825", noisyBase, noisyHead, metrics.Failed, "below the minimum of 0.83; within the noise"},
		{"allowed anyway", "max_drop=0.1", "0.825", noisyBase, noisyHead, metrics.Passed, ""},
		{"nothing varies, another value", "max_drop=0.001", "0.8", []float64{0.831, 0.831}, same, metrics.Failed, "p = 0"},
		{"nothing varies, the same value", "max_drop=0.001", "0.8", same, same, metrics.Inconclusive, "0.8 ± 0 (3 runs) and 0.8 ± 0 (3 runs), p = 1"},
		{"one side varies", "max_drop=0.001", "0.829", noisyBase, []float64{0.831, 0.831}, metrics.Inconclusive, "p = 1"},
		{"a run that came to nan", "max_drop=0.001", "0.825", noisyBase, []float64{0.82, math.NaN()}, metrics.Failed, "dropped by"},
		{"a run beyond all squares", "max_drop=0.001", "0.825", noisyBase, []float64{1e200, -1e200}, metrics.Failed, "dropped by"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rules, _ := gates(t, gate(acc, test.rule))
			v := judge(t, metrics.Case{Rules: rules, Base: lock(t, acc+"=0.831"), Head: lock(t, acc+"="+test.head),
				BaseSamples: metrics.Samples{acc: test.base}, HeadSamples: metrics.Samples{acc: test.runs}})
			if f := v.Findings[0]; f.Status != test.want || !strings.Contains(f.Reason, test.reason) {
				t.Errorf("got %s %q, want %s %q", f.Status, f.Reason, test.want, test.reason)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	tests := []struct {
		old, new           lockfile.Value
		absolute, relative float64
		ok                 bool
	}{
		{0.83, 0.825, -0.005, -0.005 / 0.83, true},
		{int64(2), 3.0, 1, 0.5, true},
		{-2.0, -1.0, 1, 0.5, true},
		{int64(0), 1.0, 1, math.NaN(), true},
		{0.0, 0.0, 0, math.NaN(), true},
		{int64(math.MaxInt64), int64(math.MaxInt64 - 1), -1, -1.0 / math.MaxInt64, true},
		{math.NaN(), 1.0, 0, 0, false},
		{1.0, math.Inf(1), 0, 0, false},
		{"1", 1.0, 0, 0, false},
		{nil, 1.0, 0, 0, false},
	}
	for _, test := range tests {
		d, ok := metrics.Compare(test.old, test.new, metrics.Higher)
		if ok != test.ok || d.Absolute != test.absolute || !(d.Relative == test.relative || math.IsNaN(test.relative) && math.IsNaN(d.Relative)) {
			t.Errorf("Compare(%v, %v) = %+v, %v; want %v, %v, %v", test.old, test.new, d, ok, test.absolute, test.relative, test.ok)
		}
	}
	d, _ := metrics.Compare(1.0, 2.0, metrics.Lower)
	if d.Verdict() != -1 {
		t.Errorf("a rise of what is better lower: got %d", d.Verdict())
	}
}

func TestGuess(t *testing.T) {
	for want, keys := range map[metrics.Direction]string{
		metrics.Higher:  "accuracy val_accuracy valid/acc topAccuracy roc_auc ROC_AUC f1 f1_score macro-f1 r2 recall@10 recall.0 loss.valid.accuracy map50 neg_log_loss neg_mean_squared_error log_likelihood accuracy.mean ndcg@5",
		metrics.Lower:   "loss val.loss valLoss dice_loss accuracy_loss mse rmse log_loss cross_entropy crossEntropy nll perplexity wer error_rate latency_ms p95_latency loss.0 negative_log_likelihood loss.final",
		metrics.Unknown: "score entropy n epochs time loss_scale loss_weight accuracy.std recall.count support lossless glossary misc f beta",
	} {
		for _, key := range strings.Fields(keys) {
			if got := metrics.Guess(key); got != want {
				t.Errorf("Guess(%q) = %d, want %d", key, got, want)
			}
		}
	}
}

func TestDirection(t *testing.T) {
	rules, _ := gates(t, gate("train.score", "max_drop=0.1")+gate("train.error", "min=0")+gate("train.bias", "min=-1", "max=1")+
		gate("train.accuracy", "min=0", "max=1", `better="lower"`)+gate("train.loss", "required=true")+gate("train.recall", "min=0", "max=1"))
	for metric, want := range map[string]metrics.Direction{
		"train.score":    metrics.Higher,
		"train.error":    metrics.Higher, // The rule knows better than the name.
		"train.bias":     metrics.Unknown,
		"train.accuracy": metrics.Lower,
		"train.loss":     metrics.Lower,
		"train.recall":   metrics.Unknown, // A target on both sides.
		"eval.auc":       metrics.Higher,
		"accuracy.n":     metrics.Unknown, // A stage is no metric.
	} {
		if got := rules.Direction(metric); got != want {
			t.Errorf("Direction(%q) = %d, want %d", metric, got, want)
		}
	}
}

func judge(t *testing.T, c metrics.Case) metrics.Verdict {
	t.Helper()
	v, err := metrics.Judge(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestJudgeStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rules := metrics.Rules{{Pattern: "*", Required: true}}
	if v, err := metrics.Judge(ctx, metrics.Case{Rules: rules, Head: lock(t, "train.accuracy=1")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Judge of a job that is over = %v, %v", v, err)
	}
}

// BenchmarkJudge is a large lock with as many rules as there may be, of which
// none matches anything.
func BenchmarkJudge(b *testing.B) {
	for name, pattern := range map[string]string{"names": "train.layer%d", "globs": "*nothing%d*", "globs without a pair": "*n*o*y*a*%d*"} {
		b.Run(name, func(b *testing.B) {
			gates := map[string]map[string]any{}
			for i := range metrics.MaxRules {
				gates[fmt.Sprintf(pattern, i)] = map[string]any{"max_drop": 0.1}
			}
			rules, err := metrics.ParseRules(gates, func(...string) int { return 1 })
			if err != nil {
				b.Fatal(err)
			}
			base, head := lockfile.New(), lockfile.New()
			for l, prefix := range map[*lockfile.Lock]string{base: "m", head: "n"} {
				l.Stages["train"] = &lockfile.Stage{Metrics: map[string]lockfile.Value{}}
				for i := range 50_000 {
					l.Stages["train"].Metrics[fmt.Sprintf("%s%05d.some_accuracy", prefix, i)] = float64(i)
				}
			}
			for b.Loop() {
				if _, err := metrics.Judge(b.Context(), metrics.Case{Rules: rules, Base: base, Head: head}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
