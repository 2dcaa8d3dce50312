package events

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kept-dev/kept/lockfile"
)

// maxDepth bounds lists within lists.
const maxDepth = 32

func checkName(name string) error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("name %.60q: %w", name, ErrName)
	}
	return nil
}

// parseValue reads a value out of valid JSON. typ is the event's "type", "" where it has none.
func parseValue(raw []byte, typ string) (lockfile.Value, error) {
	switch typ {
	case "":
		return parsePlain(raw, 0)
	case "float":
		return parseFloat(raw)
	}
	return nil, fmt.Errorf("%w: type %.60q is not known", ErrValue, typ)
}

// parseFloat reads a number as a float, however it is written. It is the only
// way to write what JSON has no numbers for.
func parseFloat(raw []byte) (lockfile.Value, error) {
	switch string(raw) {
	case `"nan"`:
		return math.NaN(), nil
	case `"inf"`:
		return math.Inf(1), nil
	case `"-inf"`:
		return math.Inf(-1), nil
	}
	if !isNumber(raw) {
		return nil, fmt.Errorf("%w: %.60s is no float", ErrValue, raw)
	}
	return finite(raw)
}

func finite(raw []byte) (lockfile.Value, error) {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %.60s does not fit into 64 bits", ErrValue, raw)
	}
	return f, nil
}

func isNumber(raw []byte) bool { return raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9' }

func parsePlain(raw []byte, depth int) (lockfile.Value, error) {
	switch {
	case raw[0] == '"':
		return unquote(raw)
	case raw[0] == 't':
		return true, nil
	case raw[0] == 'f':
		return false, nil
	case raw[0] == '[' && depth < maxDepth:
		return parseList(raw, depth+1)
	case !isNumber(raw):
		return nil, fmt.Errorf("%w: want a string, number, boolean or a list of these, not %.60s", ErrValue, raw)
	case strings.ContainsAny(string(raw), ".eE"):
		return finite(raw)
	}
	i, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %.60s does not fit into 64 bits", ErrValue, raw)
	}
	return i, nil
}

func parseList(raw []byte, depth int) (lockfile.Value, error) {
	list := []lockfile.Value{}
	err := elements(raw, func(element []byte) error {
		v, err := parsePlain(element, depth)
		list = append(list, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func isMetric(v lockfile.Value) bool {
	switch v.(type) {
	case int64, float64:
		return true
	}
	return false
}

// appendMembers appends the members "value" and, where JSON needs it, "type".
func appendMembers(b []byte, v lockfile.Value) ([]byte, error) {
	b = append(b, `,"value":`...)
	f, ok := v.(float64)
	switch {
	case !ok || !math.IsNaN(f) && !math.IsInf(f, 0):
		return appendValue(b, v)
	case math.IsNaN(f):
		b = append(b, `"nan"`...)
	case f > 0:
		b = append(b, `"inf"`...)
	default:
		b = append(b, `"-inf"`...)
	}
	return append(b, `,"type":"float"`...), nil
}

func appendValue(b []byte, v lockfile.Value) ([]byte, error) {
	return appendNested(b, v, 0)
}

func appendNested(b []byte, v lockfile.Value, depth int) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return appendFloat(b, v)
	case []lockfile.Value:
		if depth == maxDepth {
			return nil, fmt.Errorf("%w: lists are nested more than %d deep", ErrValue, maxDepth)
		}
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendNested(b, element, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	return nil, fmt.Errorf("%w: a %T", ErrValue, v)
}

// appendFloat writes the shortest text that reads back as the same float. It
// always has a '.' or an 'e', by which readers tell it from an integer.
func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%w: %v in a list", ErrValue, f)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !strings.ContainsAny(string(b[start:]), ".e") {
		b = append(b, ".0"...)
	}
	return b, nil
}

func appendString(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%w: %.60q is not UTF-8", ErrValue, s)
	}
	quoted, err := json.Marshal(s)
	return append(b, quoted...), err
}

// equal reports whether two values are the same, type included: 1 is not 1.0,
// and nan is nan.
func equal(a, b lockfile.Value) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (a == b && math.Signbit(a) == math.Signbit(b) || math.IsNaN(a) && math.IsNaN(b))
	case []lockfile.Value:
		b, ok := b.([]lockfile.Value)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	if _, isList := b.([]lockfile.Value); isList {
		return false // not comparable with ==
	}
	return a == b
}
