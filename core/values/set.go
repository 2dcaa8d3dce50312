package values

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/kept-dev/kept/internal/lazy"
	"github.com/kept-dev/kept/lockfile"
)

// UnknownKeyError reports a key that a file does not have.
type UnknownKeyError struct {
	Name string
	Key  string
	// Near lists keys of the file that look similar, see Nearest.
	Near []string
}

func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("%s has no value %q%s", e.Name, e.Key, didYouMean(e.Near))
}

// Set returns data with the value of one existing key replaced by what text
// says. All other bytes stay: comments, order and formatting are the user's.
//
// The value keeps its type as far as text allows. A number takes a number, and
// a float stays one ("1" becomes 1.0); an integer becomes a float where text is
// one. A boolean takes true or false in any case, a string any text, a list a
// list in the notation of the file, a date a date. "null" is no value where the
// format knows it, except for strings. A null takes what text looks like.
//
// A key that is not there gives an *UnknownKeyError: adding a key is an edit of
// the file, and most often the key was misspelt. The result is read again, and
// an edit that changes anything but the one key, such as that of an anchored
// YAML value, is refused.
func Set(name string, data []byte, key, text string) ([]byte, error) {
	leaves, err := parseLeaves(name, data)
	if err != nil {
		return nil, err
	}
	leaf, ok := leaves[key]
	if !ok {
		return nil, &UnknownKeyError{Name: name, Key: key, Near: Nearest(key, slices.Collect(maps.Keys(leaves)))}
	}
	f, _ := formatOf(name)
	want, err := convert(f, leaf, text)
	if err == nil && !same(want, leaf.value()) {
		data, err = replace(f, data, key, leaves, want)
	}
	if err != nil {
		return nil, &FileError{Name: name, Line: leaf.line, Err: fmt.Errorf("set %q to %q: %w", key, text, err)}
	}
	return data, nil
}

// replace writes a value over the text of a leaf.
func replace(f format, data []byte, key string, before map[string]*node, want lockfile.Value) ([]byte, error) {
	start, end, err := f.locate(data, key, before[key])
	if err != nil {
		return nil, err
	}
	texts, err := f.render(want, string(data[start:end]))
	if err != nil {
		return nil, err
	}
	if before[key].date {
		texts = append([]string{want.(string)}, texts...)
	}
	for _, text := range texts {
		edited := slices.Concat(data[:start], []byte(text), data[end:])
		if err = checkEdit(f, edited, key, before, want); err == nil {
			return edited, nil
		}
	}
	return nil, err
}

// checkEdit reads an edited file and reports whether exactly one key changed,
// and to the wanted value.
func checkEdit(f format, edited []byte, key string, before map[string]*node, want lockfile.Value) error {
	after := map[string]*node{}
	root, err := parseTree(f, edited)
	if err == nil && root != nil {
		err = flatten(after, "", root)
	}
	if err != nil {
		return fmt.Errorf("file would not be readable any more: %w", err)
	}
	for _, other := range slices.Sorted(maps.Keys(before)) {
		expected := before[other].value()
		if other == key {
			expected = want
		}
		if n := after[other]; n == nil || !same(n.value(), expected) {
			if other == key {
				return errors.New("value would be read as another one; change it by hand")
			}
			return fmt.Errorf("%q would change with it; change it by hand", other)
		}
	}
	if len(after) != len(before) {
		return errors.New("other keys would appear; change it by hand")
	}
	return nil
}

// same reports whether two values are equal in type and value; nulls are equal.
func same(a, b lockfile.Value) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return lockfile.EqualValues(a, b)
}

// convert reads text as a new value for a leaf.
func convert(f format, leaf *node, text string) (lockfile.Value, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("text is not UTF-8")
	}
	old := leaf.value()
	_, isString := old.(string)
	_, isTOML := f.(tomlFormat)
	switch {
	case leaf.date:
		return convertDate(f, text)
	case text == "null" && !isTOML && !isString:
		return nil, nil
	}
	switch old.(type) {
	case nil:
		return infer(f, text)
	case bool:
		if b, ok := parseBool(text); ok {
			return b, nil
		}
		return nil, errors.New("value is a boolean: true or false")
	case int64, float64:
		number, err := parseNumber(text)
		if i, ok := number.(int64); ok && describe(old) == describe(0.0) {
			return float64(i), err
		}
		return number, err
	case []lockfile.Value:
		return parseList(f, text)
	}
	// A plain no or on is a boolean to the program that reads it with PyYAML.
	if y, ok := leaf.origin.(*yaml.Node); ok && y.Kind == yaml.ScalarNode && y.Style == 0 && isYAML11Bool(y.Value) {
		if b, ok := parseBool(text); ok {
			return b, nil
		}
	}
	return text, nil
}

// infer reads text as what it looks like.
func infer(f format, text string) (lockfile.Value, error) {
	if b, ok := parseBool(text); ok {
		return b, nil
	}
	if strings.HasPrefix(text, "[") {
		return parseList(f, text)
	}
	if number, err := parseNumber(text); !errors.Is(err, errNoNumber) {
		return number, err
	}
	return text, nil
}

func parseBool(text string) (value, ok bool) {
	return strings.EqualFold(text, "true"), strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
}

var (
	errNoNumber = errors.New("value is a number")
	decimal     = lazy.Regexp(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	integer     = lazy.Regexp(`^[+-]?[0-9]+$`)
	special     = lazy.Regexp(`^[+-]?\.?(?i:nan|inf)$`)
)

// parseNumber reads a decimal number, or nan or inf in the notation of TOML or YAML.
func parseNumber(text string) (lockfile.Value, error) {
	switch {
	case integer().MatchString(text):
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errors.New("number does not fit into 64 bits")
		}
		return i, nil
	case special().MatchString(text):
		text = strings.TrimLeft(strings.Replace(text, ".", "", 1), "+")
		f, err := strconv.ParseFloat(strings.Replace(text, "-nan", "nan", 1), 64)
		return f, err
	case decimal().MatchString(text):
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, errors.New("number is beyond a 64-bit float")
		}
		return f, nil
	}
	return nil, errNoNumber
}

// parseList reads a list in the notation of the file.
func parseList(f format, text string) (lockfile.Value, error) {
	leaf, err := parseOne(f, text)
	if err != nil || leaf.kind != list {
		return nil, errors.New(`value is a list: such as [1, 2] or ["a", "b"]`)
	}
	return leaf.value(), nil
}

// convertDate reads a date or time and returns the text that Parse gives for it.
func convertDate(f format, text string) (lockfile.Value, error) {
	leaf, err := parseOne(f, text)
	if err != nil || !leaf.date {
		return nil, errors.New("value is a date or time, such as 2024-12-31 or 2024-12-31T23:59:59Z")
	}
	return leaf.value(), nil
}

// parseOne reads text as the value of a key in a file of its own.
func parseOne(f format, text string) (*node, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("text has several lines")
	}
	document := "value: " + text
	switch f.(type) {
	case tomlFormat:
		document = "value = " + text
	case jsonFormat:
		document = `{"value": ` + text + "}"
	}
	root, err := parseTree(f, []byte(document))
	if err != nil {
		return nil, err
	}
	leaves := map[string]*node{}
	if root == nil || flatten(leaves, "", root) != nil || len(leaves) != 1 || leaves["value"] == nil {
		return nil, errors.New("text is not one value")
	}
	return leaves["value"], nil
}
