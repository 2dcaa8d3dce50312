package metrics

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/values"
	"github.com/kept-dev/kept/lockfile"
)

// Limits on the tables of a kept.toml. They bound the work that a file from a
// foreign repository can cause.
const (
	MaxRules       = 1000
	MaxAcceptances = 1000
	MaxPattern     = 500 // bytes
)

// file is how errors call the file that has the rules.
const file = "kept.toml"

var (
	ruleKeys       = []string{"min", "max", "max_drop", "max_rise", "required", "warn", "better"}
	acceptanceKeys = []string{"result", "reason"}
)

// table is one table of kept.toml.
type table struct {
	kind, name string
	values     map[string]any
	line       func(key ...string) int
}

// fail is an error at the line of a key, or of the table where key is empty.
func (t table) fail(key, text string, args ...any) error {
	path := []string{t.kind, t.name}
	if key != "" {
		path = append(path, key)
	}
	text = fmt.Sprintf("[%s.%s]: ", t.kind, lockfile.FormatValue(clip(t.name))) + fmt.Sprintf(text, args...)
	return &values.FileError{Name: file, Line: t.line(path...), Err: fmt.Errorf("%s", text)}
}

// checkKeys refuses keys that are misspelt: a bound that is not read is one that
// does not hold.
func (t table) checkKeys(known []string) error {
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if slices.Contains(known, key) {
			continue
		}
		if _, isTable := t.values[key].(map[string]any); isTable {
			return t.fail(key, "the name of a metric is one quoted key: write [%s.%s]", t.kind, lockfile.FormatValue(clip(Name(t.name, key))))
		}
		if near := values.Nearest(clip(key), known); len(near) > 0 {
			return t.fail(key, "unknown key %q; did you mean %q?", clip(key), near[0])
		}
		return t.fail(key, "unknown key %q; known are %s", clip(key), strings.Join(known, ", "))
	}
	return nil
}

// ParseRules reads the tables [gate."PATTERN"] of a kept.toml as the experiment
// has them; line tells where a key stands. Errors are *values.FileError with the
// line. The rules come in the order of the file.
func ParseRules(gates map[string]map[string]any, line func(key ...string) int) (Rules, error) {
	rules := make(Rules, 0, min(len(gates), MaxRules))
	for i, pattern := range slices.Sorted(maps.Keys(gates)) {
		t := table{"gate", pattern, gates[pattern], line}
		if i == MaxRules {
			return nil, t.fail("", "more than %d rules", MaxRules)
		}
		rule, err := t.rule()
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	rules.sortByFile()
	for i := range rules {
		rules[i].glob = NewGlob(rules[i].Pattern)
	}
	return rules, nil
}

func (t table) rule() (Rule, error) {
	r := Rule{Pattern: t.name, Required: true, Line: t.line(t.kind, t.name)}
	err := t.checkKeys(ruleKeys)
	if err == nil {
		err = t.checkName(true)
	}
	for _, read := range []func() error{
		func() (err error) { r.Min, err = t.bound("min"); return },
		func() (err error) { r.Max, err = t.bound("max"); return },
		func() (err error) { r.MaxDrop, err = t.tolerance("max_drop"); return },
		func() (err error) { r.MaxRise, err = t.tolerance("max_rise"); return },
		func() error { return t.boolean("required", &r.Required) },
		func() error { return t.boolean("warn", &r.Warn) },
		func() (err error) { r.Better, err = t.direction(r); return },
	} {
		if err == nil {
			err = read()
		}
	}
	if err != nil {
		return Rule{}, err
	}
	if r.Min != nil && r.Max != nil && *r.Min > *r.Max {
		return Rule{}, t.fail("min", "min %s is above max %s: no value is allowed", number(*r.Min), number(*r.Max))
	}
	_, saysRequired := t.values["required"]
	_, saysBetter := t.values["better"]
	if !r.Bounded() && !saysRequired && !saysBetter {
		return Rule{}, t.fail("", "the rule allows everything: give it min, max, max_drop or max_rise, or required = true")
	}
	return r, nil
}

// checkName refuses names that no metric can have.
func (t table) checkName(glob bool) error {
	if len(t.name) > MaxPattern {
		return t.fail("", "a name has at most %d bytes", MaxPattern)
	}
	stage, key, _ := strings.Cut(t.name, ".")
	if (stage == "" || key == "") && !(glob && isGlob(t.name)) {
		return t.fail("", `a metric is called "stage.key", such as "train.accuracy"`)
	}
	return nil
}

func (t table) bound(key string) (*float64, error) {
	value, ok := t.values[key]
	if !ok {
		return nil, nil
	}
	f, ok := toFloat(value)
	if !ok {
		return nil, t.fail(key, "%s is not a finite number such as 0.8", key)
	}
	return &f, nil
}

// toFloat returns a finite number as a float. An integer that a float cannot
// hold is none: the bound would be another than the file says.
func toFloat(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case int64:
		f := float64(v)
		return f, exact(f).Cmp(exact(v)) == 0
	}
	return 0, false
}

func (t table) tolerance(key string) (*Tolerance, error) {
	value, ok := t.values[key]
	if !ok {
		return nil, nil
	}
	if f, ok := toFloat(value); ok && f >= 0 {
		return &Tolerance{Amount: f}, nil
	}
	if text, ok := value.(string); ok {
		if share, ok := parsePercent(text); ok {
			return &Tolerance{Amount: share, Relative: true}, nil
		}
	}
	return nil, t.fail(key, `%s is not a number from 0, such as 0.005, or a share of the base such as "1%%"`, key)
}

// parsePercent reads "1%" and "0.5 %" as shares, in decimal: 0.005 exactly as
// a person would write it.
func parsePercent(text string) (float64, bool) {
	digits, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	digits = strings.TrimSpace(digits)
	// big.Rat reads fractions, signs, other bases and exponents of any size as well.
	if !ok || digits == "" || len(digits) > 30 || strings.Trim(digits, "0123456789.") != "" {
		return 0, false
	}
	percent, ok := new(big.Rat).SetString(digits)
	if !ok {
		return 0, false
	}
	share, _ := percent.Quo(percent, exact(int64(100))).Float64()
	return share, true
}

func (t table) boolean(key string, into *bool) error {
	value, ok := t.values[key]
	if !ok {
		return nil
	}
	if *into, ok = value.(bool); !ok {
		return t.fail(key, "%s is true or false", key)
	}
	return nil
}

func (t table) direction(r Rule) (Direction, error) {
	value, ok := t.values["better"]
	if !ok {
		higher, lower := r.Min != nil || r.MaxDrop != nil, r.Max != nil || r.MaxRise != nil
		switch {
		case higher && !lower:
			return Higher, nil
		case lower && !higher:
			return Lower, nil
		}
		return Unknown, nil
	}
	switch value {
	case "higher":
		return Higher, nil
	case "lower":
		return Lower, nil
	}
	return Unknown, t.fail("better", `better is "higher" or "lower"`)
}

// ParseAcceptances reads the tables [accept."stage.metric"] of a kept.toml, in
// the order of the file. Errors are as with ParseRules.
func ParseAcceptances(tables map[string]map[string]any, line func(key ...string) int) ([]Acceptance, error) {
	var all []Acceptance
	for i, metric := range slices.Sorted(maps.Keys(tables)) {
		t := table{"accept", metric, tables[metric], line}
		if i == MaxAcceptances {
			return nil, t.fail("", "more than %d acceptances", MaxAcceptances)
		}
		a, err := t.acceptance()
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b Acceptance) int { return cmp.Compare(a.Line, b.Line) })
	return all, nil
}

func (t table) acceptance() (Acceptance, error) {
	if err := t.checkKeys(acceptanceKeys); err != nil {
		return Acceptance{}, err
	}
	if err := t.checkName(false); err != nil {
		return Acceptance{}, err
	}
	a := Acceptance{Metric: t.name, Line: t.line(t.kind, t.name)}
	text, _ := t.values["result"].(string)
	var err error
	if a.Result, err = cas.ParseDigest(text); err != nil || a.Result.IsZero() {
		return Acceptance{}, t.fail("result", `result is the digest of the stage's block in kept.lock, all of "blake3:…"`)
	}
	a.Reason, _ = t.values["reason"].(string)
	if strings.TrimSpace(a.Reason) == "" {
		return Acceptance{}, t.fail("reason", "reason says why the result is taken, and is not empty")
	}
	return a, nil
}

// clip shortens a name from the file for an error.
func clip(name string) string {
	const most = 100
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}
