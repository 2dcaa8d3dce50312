package lockfile

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// FormatValue returns a value as the lock writes it, on one line: strings are
// quoted, arrays are inline, floats are the shortest text that reads back as
// the same number and always carry a ".", an "e", or are nan or inf.
//
// It panics on a type that is no Value.
func FormatValue(v Value) string { return string(appendInline(nil, v)) }

// EqualValues reports whether two values are written the same: nan equals nan,
// and 1 does not equal 1.0, because a parameter's type is part of it.
func EqualValues(a, b Value) bool { return FormatValue(a) == FormatValue(b) }

func appendInline(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return appendFloat(b, v)
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendInline(b, element)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, key := range sortedKeys(v) {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(appendKey(b, key), " = "...)
			b = appendInline(b, v[key])
		}
		return append(b, '}')
	}
	panic(fmt.Sprintf("lockfile: a %T is no value of a lock", v))
}

// appendFloat writes decimal notation for decimal exponents from -4 to 15 and
// scientific notation beyond, as Python's repr does, so that both
// implementations agree without a table of cases.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	}
	if size := math.Abs(f); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	if !slices.Contains(b[start:], '.') {
		b = append(b, ".0"...)
	}
	return b
}

// appendString writes a basic string and escapes only what TOML demands.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendKey(b []byte, key string) []byte {
	for i := range len(key) {
		if !isBareKeyByte(key[i]) {
			return appendString(b, key)
		}
	}
	if key == "" {
		return append(b, `""`...)
	}
	return append(b, key...)
}

func appendPath(b []byte, path []string) []byte {
	for i, part := range path {
		if i > 0 {
			b = append(b, '.')
		}
		b = appendKey(b, part)
	}
	return b
}

func formatPath(path ...string) string { return string(appendPath(nil, path)) }

// describe names the type of a TOML value for an error.
func describe(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case []any, []map[string]any:
		return "an array"
	case map[string]any:
		return "a table"
	case time.Time:
		return "a date or time"
	}
	return fmt.Sprintf("a %T", v)
}

// checkPlain refuses what a lock's values and unknown keys cannot hold. Tables
// are allowed in unknown keys only.
func checkPlain(v any, tables bool) error {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return refuse(ErrValue, "string %q is not UTF-8", v)
		}
	case bool, int64, float64:
	case []any:
		for _, element := range v {
			if err := checkPlain(element, tables); err != nil {
				return err
			}
		}
	case map[string]any:
		if !tables {
			return refuse(ErrValue, "a table is no value; keys of values are written flat and quoted, as in %s", `"tfidf.ngram_max"`)
		}
		for _, key := range sortedKeys(v) {
			if err := checkPlain(v[key], tables); err != nil {
				return fmt.Errorf("%s: %w", formatPath(key), err)
			}
		}
	default:
		return refuse(ErrValue, "%s is no value of a lock", describe(v))
	}
	return nil
}

// checkName refuses a name of a stage or artifact that cannot be used on a
// command line, in a file name and in a Git ref alike.
func checkName(name string) error {
	ok := len(name) >= 1 && len(name) <= 64 && name != "." && name != ".." &&
		strings.IndexFunc(name, func(r rune) bool { return r > 0x7f || r != '.' && !isBareKeyByte(byte(r)) }) < 0
	if !ok {
		return refuse(ErrValue, "name %q is not 1 to 64 of A-Z a-z 0-9 _ . -", name)
	}
	return nil
}

// Float returns a number as a float64, which for large integers is the nearest
// one, and false for any other value.
func Float(v Value) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
