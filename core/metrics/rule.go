package metrics

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
