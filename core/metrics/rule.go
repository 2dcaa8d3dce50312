package metrics

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

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
	return r.Pattern == metric || isGlob(r.Pattern) && match(r.Pattern, metric)
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
	i := newMatcher(rs).find(metric)
	if i < 0 {
		return Rule{}, false
	}
	return rs[i], true
}

// matcher finds the rules of many metrics.
type matcher struct {
	rules Rules
	// rank is how specific each rule is.
	rank []int
	// matched says which rules match any of the metrics, whether they judge it or
	// leave it to one that is more specific.
	matched []bool
}

func newMatcher(rs Rules) *matcher {
	m := &matcher{rules: rs, rank: make([]int, len(rs)), matched: make([]bool, len(rs))}
	for i, r := range rs {
		m.rank[i] = literals(r.Pattern)
	}
	return m
}

// find returns the index of the rule that judges a metric, and -1 for none.
func (m *matcher) find(metric string) int {
	best, rank := -1, -1
	for i, r := range m.rules {
		// What is known to match something and cannot win is not tried again.
		if m.matched[i] && m.rank[i] <= rank && r.Pattern != metric || !r.Matches(metric) {
			continue
		}
		m.matched[i] = true
		switch {
		case r.Pattern == metric:
			best, rank = i, math.MaxInt
		case m.rank[i] > rank:
			best, rank = i, m.rank[i]
		}
	}
	return best
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

func isGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// literals counts the characters of a pattern that stand for themselves.
func literals(pattern string) int {
	return utf8.RuneCountInString(pattern) - strings.Count(pattern, "*") - strings.Count(pattern, "?")
}

// match matches text with a pattern. After a mismatch only the last * is tried
// again, so that the time is bounded by the product of the lengths.
func match(pattern, text string) bool {
	// What has to stand at the end sorts out most.
	if !strings.HasSuffix(text, pattern[strings.LastIndexAny(pattern, "*?")+1:]) {
		return false
	}
	star, from := -1, 0
	p, t := 0, 0
	for t < len(text) {
		_, size := utf8.DecodeRuneInString(text[t:])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			t += size
		case p < len(pattern) && pattern[p] == text[t]:
			p++
			t++
		case star >= 0:
			_, size := utf8.DecodeRuneInString(text[from:])
			from += size
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

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
