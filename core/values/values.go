// Package values reads typed values out of the files in which programs keep
// parameters and write metrics, and changes a value in place. It works on
// bytes and touches no file.
//
// A file is a tree of tables, lists and scalars in TOML, YAML or JSON. It
// becomes a flat map from dotted keys to values, the same for the same content
// in any of the formats:
//
//	all, err := values.Parse("params.yaml", data)   // "train.lr": 0.1, "train.layers": [64, 64]
//	part, err := values.Part(all, "train")          // what "params.yaml:train" stands for
//	params := values.Params(part)                   // without the keys that have no value
//	metrics, err := values.Metrics(all)             // numbers only
//	data, err = values.Set("params.yaml", data, "train.lr", "0.2")
//
// The rules are specified in docs/spec/experiment.md.
package values

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kept-dev/kept/lockfile"
)

// Limits on what is read. A file beyond them is data, not parameters.
const (
	// MaxSize is the largest file in bytes.
	MaxSize = 8 << 20
	// MaxDepth is the deepest nesting of tables and lists.
	MaxDepth = 64
	// MaxCount is the largest number of keys and elements, counted after YAML's
	// aliases are resolved: a few hundred bytes of them can stand for billions.
	MaxCount = 1 << 18
)

// FileError reports a file that cannot be read as values.
type FileError struct {
	// Name is the file as the caller named it.
	Name string
	// Line is counted from 1; 0 where the mistake is not on one line.
	Line int
	Err  error
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.Name, e.Line, e.Err)
}

func (e *FileError) Unwrap() error { return e.Err }

// lineError is a mistake whose file Parse adds.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

func errorAt(line int, text string, args ...any) error {
	return &lineError{line, fmt.Errorf(text, args...)}
}

// A node is a value with its place in the file.
type node struct {
	kind kind
	// scalar is the value of a scalar: string, bool, int64 or float64.
	scalar lockfile.Value
	list   []*node
	table  map[string]*node
	// tables tells lists that hold a table at any depth.
	tables bool
	// date tells a scalar string that is written as a date or time of the format.
	date bool
	line int
	// origin is what the format needs to find the text of the value again.
	origin any
}

type kind byte

const (
	null kind = iota
	scalar
	list
	table
)

// value returns what a leaf of the tree stands for: nil for null.
func (n *node) value() lockfile.Value {
	switch n.kind {
	case null:
		return nil
	case list:
		elements := make([]lockfile.Value, len(n.list))
		for i, element := range n.list {
			elements[i] = element.value()
		}
		return elements
	}
	return n.scalar
}

// format is one of the three file formats.
type format interface {
	// parse returns the tree of a document, nil for an empty one. The data is
	// UTF-8 within MaxSize; everything else is for parse to check. Errors with
	// a known line are *lineError.
	parse(data []byte) (*node, error)
	// locate returns the byte range of a leaf's text. A range without bytes is
	// where a value that is not written at all belongs.
	locate(data []byte, key string, leaf *node) (start, end int, err error)
	// render returns ways to write a value in place of old, the preferred first.
	render(v lockfile.Value, old string) ([]string, error)
}

var formats = map[string]format{
	".toml": tomlFormat{},
	".yaml": yamlFormat{},
	".yml":  yamlFormat{},
	".json": jsonFormat{},
}

// CheckName refuses a file name whose extension is not that of a known format.
func CheckName(name string) error {
	_, err := formatOf(name)
	return err
}

func formatOf(name string) (format, error) {
	if f, ok := formats[strings.ToLower(path.Ext(name))]; ok {
		return f, nil
	}
	return nil, &FileError{Name: name, Err: errors.New("name does not end in .toml, .yaml, .yml or .json")}
}

// Parse returns the values of a file by dotted key. The extension of name says
// which format data is in; name is otherwise used in errors only, which are
// *FileError.
//
// Keys are joined by JoinKey. A list of scalars is one value; a list that holds
// tables at any depth is taken apart, its indexes being parts of keys
// ("layers.0.size"). A null is a nil value, which no lock can hold: Params
// drops it and Metrics refuses it. An empty table gives no key.
func Parse(name string, data []byte) (map[string]lockfile.Value, error) {
	leaves, err := parseLeaves(name, data)
	if err != nil {
		return nil, err
	}
	values := make(map[string]lockfile.Value, len(leaves))
	for key, leaf := range leaves {
		values[key] = leaf.value()
	}
	return values, nil
}

// parseLeaves is Parse with the places of the values.
func parseLeaves(name string, data []byte) (map[string]*node, error) {
	f, err := formatOf(name)
	if err != nil {
		return nil, err
	}
	leaves := map[string]*node{}
	root, err := parseTree(f, data)
	if err == nil && root != nil {
		err = flatten(leaves, "", root)
	}
	if err != nil {
		var at *lineError
		if errors.As(err, &at) {
			return nil, &FileError{Name: name, Line: at.line, Err: at.err}
		}
		return nil, &FileError{Name: name, Err: err}
	}
	return leaves, nil
}

func parseTree(f format, data []byte) (*node, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%d bytes are more than the limit of %d", len(data), MaxSize)
	}
	if at := invalidUTF8(data); at >= 0 {
		return nil, errorAt(lineAt(data, at), "text is not UTF-8")
	}
	root, err := f.parse(data)
	if err != nil || root == nil || root.kind == null {
		return nil, err
	}
	if root.kind != table {
		return nil, errorAt(root.line, "top level is not a table of keys and values")
	}
	return root, nil
}

// checkCount refuses a document whose separators say that it holds far more than
// MaxCount values. The parsers of TOML and YAML need some 350 bytes for each
// value before anybody can count them: 8 MiB of "1," take more than a gigabyte.
func checkCount(data []byte) error {
	separators := bytes.Count(data, []byte{','}) + bytes.Count(data, []byte{'\n'})
	if separators > 2*MaxCount {
		return fmt.Errorf("more than %d values", MaxCount)
	}
	return nil
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return -1
}

func lineAt(data []byte, offset int) int { return 1 + bytes.Count(data[:offset], []byte{'\n'}) }

// flatten adds the leaves below n to the map.
func flatten(leaves map[string]*node, key string, n *node) error {
	switch {
	case n.kind == table:
		for part, child := range n.table {
			if err := flatten(leaves, childKey(key, part), child); err != nil {
				return err
			}
		}
		return nil
	case n.kind == list && n.tables:
		for i, child := range n.list {
			if err := flatten(leaves, childKey(key, strconv.Itoa(i)), child); err != nil {
				return err
			}
		}
		return nil
	}
	if hole := findNull(n); hole != nil && n.kind == list {
		return errorAt(hole.line, "list %q has a null in it", key)
	}
	leaves[key] = n
	return nil
}

// findNull returns a null at or below n, or nil.
func findNull(n *node) *node {
	if n.kind == null {
		return n
	}
	for _, element := range n.list {
		if hole := findNull(element); hole != nil {
			return hole
		}
	}
	return nil
}

func childKey(parent, part string) string {
	if parent == "" {
		return quotePart(part)
	}
	return parent + "." + quotePart(part)
}

// JoinKey returns the dotted key of a path of table keys and list indexes.
//
// Different paths give different keys: a part that is empty, begins or ends
// with a space, or contains a dot, an equals sign, a quote, a backslash or a
// control character is quoted as TOML quotes keys.
func JoinKey(parts ...string) string {
	quoted := make([]string, len(parts))
	for i, part := range parts {
		quoted[i] = quotePart(part)
	}
	return strings.Join(quoted, ".")
}

func quotePart(part string) string {
	plain := part != "" && strings.TrimSpace(part) == part && !strings.ContainsAny(part, `.="'\`) &&
		strings.IndexFunc(part, unicode.IsControl) < 0
	if plain {
		return part
	}
	return quote(part)
}

// quote returns text in double quotes with escapes that TOML, YAML and JSON share.
func quote(text string) string {
	b := []byte{'"'}
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		// The last three look like nothing, and YAML takes them for line breaks or byte order marks.
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufeff':
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return string(append(b, '"'))
}

// PartError reports a part that a file does not have.
type PartError struct {
	Part string
	// Near lists parts that the file has and that look similar, see Nearest.
	Near []string
}

func (e *PartError) Error() string {
	return fmt.Sprintf("there is no value at %q%s", e.Part, didYouMean(e.Near))
}

// Part returns the values at or below the dotted key part. They keep their full
// keys, so that a value has the same key in a lock whichever part asked for it.
// A part without a value gives a *PartError.
func Part(values map[string]lockfile.Value, part string) (map[string]lockfile.Value, error) {
	found := map[string]lockfile.Value{}
	parts := map[string]bool{}
	for key, value := range values {
		if key == part || strings.HasPrefix(key, part+".") {
			found[key] = value
		}
		for ; key != ""; key = parentKey(key) {
			parts[key] = true
		}
	}
	if len(found) == 0 {
		return nil, &PartError{Part: part, Near: Nearest(part, slices.Collect(maps.Keys(parts)))}
	}
	return found, nil
}

// parentKey returns the key without its last part, "" where there is only one.
func parentKey(key string) string {
	quoted, end := false, 0
	for i := 0; i < len(key); i++ {
		switch {
		case quoted && key[i] == '\\':
			i++
		case key[i] == '"':
			quoted = !quoted
		case key[i] == '.' && !quoted:
			end = i
		}
	}
	return key[:end]
}

// Params returns the values without the nulls: a key without a value is no
// parameter of a run, as a key that is not there.
func Params(values map[string]lockfile.Value) map[string]lockfile.Value {
	params := make(map[string]lockfile.Value, len(values))
	for key, value := range values {
		if value != nil {
			params[key] = value
		}
	}
	return params
}

// Metrics returns the values as metrics, which are int64 and float64. Lists are
// taken apart, with indexes as parts of keys.
//
// Strings, booleans and nulls are refused, with the key in the error: they
// cannot be compared, and a text such as a date or a duration would make the
// lock differ from run to run.
func Metrics(values map[string]lockfile.Value) (map[string]lockfile.Value, error) {
	metrics := make(map[string]lockfile.Value, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := addMetric(metrics, key, values[key]); err != nil {
			return nil, err
		}
	}
	return metrics, nil
}

func addMetric(metrics map[string]lockfile.Value, key string, value lockfile.Value) error {
	switch value := value.(type) {
	case int64, float64:
		metrics[key] = value
	case []lockfile.Value:
		for i, element := range value {
			if err := addMetric(metrics, childKey(key, strconv.Itoa(i)), element); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("metric %q is %s: metrics are numbers", key, describe(value))
	}
	return nil
}

// shorten cuts what an error quotes from a file to a readable length.
func shorten(text string) string {
	const limit = 200
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// describe names the type of a value for an error.
func describe(value lockfile.Value) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a number"
	case []lockfile.Value:
		return "a list"
	}
	return "a string"
}
