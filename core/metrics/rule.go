package metrics

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/kept-dev/kept/lockfile"
)

// Rule is a table [gate."PATTERN"] of kept.toml.
type Rule struct {
	// Pattern matches names of metrics: * stands for any text, ? for one character.
	Pattern string
	// Min and Max bound the value; nil where the rule has none.
	Min, Max *float64
	// MaxDrop and MaxRise bound the change against the base; nil where the rule has none.
	MaxDrop, MaxRise *Tolerance
	// Required is false where the rule says that the metric may be missing.
	Required bool
	// Warn is set where breaking the rule is only said.
	Warn bool
	// Better is what the rule says about the direction, or what follows from its bounds.
	Better Direction
	// Line is where kept.toml has the rule, counted from 1.
	Line int
	// glob is Pattern made ready; nil in a rule that ParseRules did not make.
	glob *Glob
}

// Tolerance is an amount by which a metric may get worse, never negative.
type Tolerance struct {
	// Amount is in the metric's unit, or a share of the base's absolute value where
	// Relative is set: 0.01 for "1%".
	Amount   float64
	Relative bool
}

// String returns the tolerance as kept.toml writes it, such as 0.005 or 1%.
func (t Tolerance) String() string {
	if !t.Relative {
		return number(t.Amount)
	}
	percent := exact(t.Amount)
	f, _ := percent.Mul(percent, exact(int64(100))).Float64()
	return number(f) + "%"
}

// String returns the rule's bounds on one line, such as "min 0.8, max_drop 1%".
// It has nothing of the repository in it but numbers.
func (r Rule) String() string {
	var parts []string
	for _, bound := range []struct {
		key   string
		value *float64
	}{{"min", r.Min}, {"max", r.Max}} {
		if bound.value != nil {
			parts = append(parts, bound.key+" "+number(*bound.value))
		}
	}
	for _, bound := range []struct {
		key   string
		value *Tolerance
	}{{"max_drop", r.MaxDrop}, {"max_rise", r.MaxRise}} {
		if bound.value != nil {
			parts = append(parts, bound.key+" "+bound.value.String())
		}
	}
	if len(parts) == 0 {
		parts = []string{"finite"}
		if r.Required {
			parts = []string{"required"}
		}
	}
	return strings.Join(parts, ", ")
}

// Bounded reports whether the rule says more than that the metric is there.
func (r Rule) Bounded() bool { return r.Min != nil || r.Max != nil || r.Compares() }

// Compares reports whether the rule needs a base.
func (r Rule) Compares() bool { return r.MaxDrop != nil || r.MaxRise != nil }

// Matches reports whether the rule's pattern matches the name of a metric.
func (r Rule) Matches(metric string) bool {
	return r.Pattern == metric || r.compiled().Match(metric)
}

func (r *Rule) compiled() *Glob {
	if r.glob != nil {
		return r.glob
	}
	return NewGlob(r.Pattern)
}

// direction is the rule's for a metric with that key. One with bounds on both
// sides has a target and no direction.
func (r Rule) direction(key string) Direction {
	if r.Better != Unknown || r.Bounded() {
		return r.Better
	}
	return Guess(key)
}

// Rules are the rules of a kept.toml in the order of the file.
type Rules []Rule

// For returns the one rule that judges a metric: the one that names it, else the
// pattern with the most literal characters, else the first of these in the file.
func (rs Rules) For(metric string) (Rule, bool) {
	i := rs.find(metric, nil)
	if i < 0 {
		return Rule{}, false
	}
	return rs[i], true
}

// find returns the index of the rule that judges a metric, and -1 for none. It
// notes in matched which rules match it, whether they judge it or leave it to one
// that is more specific; nil is for who does not ask.
func (rs Rules) find(metric string, matched []bool) int {
	best, rank := -1, -1
	name := marksOf(metric)
	for i := range rs {
		r := &rs[i]
		if r.Pattern == metric {
			best, rank = i, math.MaxInt
			note(matched, i)
			continue
		}
		g := r.compiled()
		// What is known to match something and cannot win is not tried.
		if g.rank <= rank && (matched == nil || matched[i]) || !g.marks.in(&name) || !g.Match(metric) {
			continue
		}
		note(matched, i)
		if g.rank > rank {
			best, rank = i, g.rank
		}
	}
	return best
}

func note(matched []bool, i int) {
	if matched != nil {
		matched[i] = true
	}
}

// Direction returns the direction in which a metric gets better: that of its
// rule, else what its name implies.
func (rs Rules) Direction(metric string) Direction {
	_, key, _ := strings.Cut(metric, ".")
	if r, ok := rs.For(metric); ok {
		return r.direction(key)
	}
	return Guess(key)
}

// Compares reports whether any of the rules needs a base.
func (rs Rules) Compares() bool { return slices.ContainsFunc(rs, Rule.Compares) }

// sortByFile puts rules into the order of the file.
func (rs Rules) sortByFile() {
	slices.SortFunc(rs, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Pattern, b.Pattern))
	})
}

// number writes a bound or a value for a sentence: as the lock does, without the
// ".0" that tells a float from an integer.
func number(v lockfile.Value) string {
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return lockfile.FormatValue(v)
	}
	return whole(lockfile.FormatValue(v))
}

// whole leaves out the ".0" of a number.
func whole(text string) string { return strings.TrimSuffix(text, ".0") }
