package history

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/lockfile"
)

// Condition says when a metric counts as broken.
type Condition struct {
	// Operator is one of < <= > >= == !=.
	Operator string
	// Limit may be nan, for == and != only.
	Limit float64
}

// String returns the condition as ParseCondition reads it.
func (c Condition) String() string { return c.Operator + " " + lockfile.FormatValue(c.Limit) }

// ConditionError reports a text that is no condition.
type ConditionError struct{ Text, Reason string }

func (e *ConditionError) Error() string {
	return fmt.Sprintf("condition %q: %s", e.Text, e.Reason)
}

// ParseCondition reads "accuracy < 0.8" or "< 0.8". The name is empty where the
// text has none.
func ParseCondition(text string) (name string, c Condition, err error) {
	at := strings.IndexAny(text, "<>=!")
	if at < 0 {
		return "", c, &ConditionError{text, "no comparison in it: write one like 'accuracy < 0.8'"}
	}
	rest := text[at:]
	for _, operator := range []string{"<=", ">=", "==", "!=", "<", ">"} {
		if strings.HasPrefix(rest, operator) {
			c.Operator, rest = operator, rest[len(operator):]
			break
		}
	}
	if c.Operator == "" {
		return "", c, &ConditionError{text, "the comparisons are < <= > >= == !="}
	}
	number := strings.TrimSpace(rest)
	if c.Limit, err = strconv.ParseFloat(number, 64); err != nil {
		return "", Condition{}, &ConditionError{text, fmt.Sprintf("%q is not a number", number)}
	}
	if math.IsNaN(c.Limit) && c.Operator != "==" && c.Operator != "!=" {
		return "", Condition{}, &ConditionError{text, "nan is neither less nor greater than anything: use == or !="}
	}
	return strings.TrimSpace(text[:at]), c, nil
}

// Names reports whether the name in a condition is the metric's, or its end.
func (m Metric) Names(name string) bool {
	full := m.String()
	return name == "" || name == full || name == m.Key || strings.HasSuffix(full, "."+name)
}

// Holds reports whether the condition is true of a value. What cannot be
// compared is not known: no value, and nan with a number.
func (c Condition) Holds(v lockfile.Value) (holds, known bool) {
	n, ok := lockfile.Float(v)
	if !ok {
		return false, false
	}
	if math.IsNaN(c.Limit) {
		return math.IsNaN(n) == (c.Operator == "=="), true
	}
	if math.IsNaN(n) {
		return false, false
	}
	switch c.Operator {
	case "<":
		return n < c.Limit, true
	case "<=":
		return n <= c.Limit, true
	case ">":
		return n > c.Limit, true
	case ">=":
		return n >= c.Limit, true
	case "==":
		return n == c.Limit, true
	}
	return n != c.Limit, true
}
