package values

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/kept-dev/kept/internal/lazy"
	"github.com/kept-dev/kept/lockfile"
)

type yamlFormat struct{}

func (yamlFormat) parse(data []byte) (*node, error) {
	if err := checkCount(data); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	if err := dec.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, yamlError(err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, errorAt(second.Line, "second document begins here; a file is one document")
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(err)
	}
	r := &yamlReader{}
	return r.node(document.Content[0], 0)
}

var yamlLine = lazy.Regexp(`^(?:yaml: )?(?:line (\d+): )?`)

// yamlError takes the line out of the text of the parser's errors, the only
// place where it has one.
func yamlError(err error) error {
	text := err.Error()
	match := yamlLine().FindStringSubmatch(text)
	text = shorten(text[len(match[0]):])
	if line, _ := strconv.Atoi(match[1]); line > 0 {
		return errorAt(line, "not valid YAML: %s", text)
	}
	return fmt.Errorf("not valid YAML: %s", text)
}

// yamlReader builds the tree from the parser's nodes instead of decoding them,
// because duplicate keys, places and the limits would be lost.
type yamlReader struct{ n int }

func (r *yamlReader) node(y *yaml.Node, depth int) (*node, error) {
	if depth > MaxDepth {
		return nil, errorAt(y.Line, "values are nested deeper than %d, or an anchor contains itself", MaxDepth)
	}
	if r.n++; r.n > MaxCount {
		return nil, errorAt(y.Line, "more than %d values", MaxCount)
	}
	n := &node{line: y.Line, origin: y}
	switch tag := y.ShortTag(); {
	case y.Kind == yaml.AliasNode:
		target, err := r.node(y.Alias, depth+1)
		if err != nil {
			return nil, err
		}
		if target.kind == scalar || target.kind == null {
			// The alias stands alone: it can be replaced without touching its anchor.
			target.line, target.origin = y.Line, y
		}
		return target, nil
	case y.Kind == yaml.MappingNode && tag == "!!map":
		return n, r.mapping(n, y, depth)
	case y.Kind == yaml.SequenceNode && tag == "!!seq":
		return n, r.sequence(n, y, depth)
	case y.Kind == yaml.ScalarNode:
		return n, readYAMLScalar(n, y, tag)
	default:
		return nil, errorAt(y.Line, "tag %s is not supported", tag)
	}
}

func (r *yamlReader) sequence(n *node, y *yaml.Node, depth int) error {
	n.kind = list
	for _, content := range y.Content {
		element, err := r.node(content, depth+1)
		if err != nil {
			return err
		}
		n.list = append(n.list, element)
		n.tables = n.tables || element.tables
	}
	return nil
}

func (r *yamlReader) mapping(n *node, y *yaml.Node, depth int) error {
	n.kind, n.tables, n.table = table, true, map[string]*node{}
	var merge *yaml.Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, content := y.Content[i], y.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch tag := key.ShortTag(); {
		case key.Kind != yaml.ScalarNode || tag == "!!null":
			return errorAt(y.Content[i].Line, "key is not a text")
		case tag == "!!merge" && merge != nil, n.table[key.Value] != nil:
			return errorAt(y.Content[i].Line, "key %q is defined twice", key.Value)
		case tag == "!!merge":
			merge = content
			continue
		}
		child, err := r.node(content, depth+1)
		if err != nil {
			return err
		}
		n.table[key.Value] = child
	}
	if merge == nil {
		return nil
	}
	return r.merge(n, merge, depth)
}

// merge adds what the merge key "<<" brings: keys of the table itself win over
// merged ones, and earlier merged tables over later ones.
func (r *yamlReader) merge(n *node, y *yaml.Node, depth int) error {
	merged, err := r.node(y, depth+1)
	if err != nil {
		return err
	}
	tables := merged.list
	if merged.kind == table {
		tables = []*node{merged}
	}
	for _, t := range tables {
		if t.kind != table {
			return errorAt(y.Line, "merge key << does not name a mapping")
		}
		for key, child := range t.table {
			if n.table[key] == nil {
				n.table[key] = child
			}
		}
	}
	if merged.kind != table && merged.kind != list {
		return errorAt(y.Line, "merge key << does not name a mapping")
	}
	return nil
}

func readYAMLScalar(n *node, y *yaml.Node, tag string) error {
	n.kind = scalar
	switch tag {
	case "!!null":
		n.kind = null
		return nil
	case "!!str", "!!merge":
		n.scalar = y.Value
		return nil
	case "!!bool", "!!int", "!!float", "!!timestamp":
	default:
		return errorAt(y.Line, "tag %s is not supported", tag)
	}
	var value any
	if err := y.Decode(&value); err != nil {
		return yamlError(err)
	}
	switch value := value.(type) {
	case int:
		n.scalar = int64(value)
	case uint64:
		return errorAt(y.Line, "%s does not fit into 64 bits", shorten(y.Value))
	case time.Time:
		n.scalar, n.date = formatTime(value, yamlZone(y.Value)), true
	default:
		n.scalar = value
	}
	return nil
}

// yamlZone says how much of a time a timestamp tells, in the names of formatTime.
func yamlZone(text string) string {
	_, clock, hasTime := strings.Cut(text, ":")
	switch {
	case !hasTime:
		return "date-local"
	case strings.ContainsAny(clock, "Z+-"):
		return ""
	}
	return "datetime-local"
}

func (yamlFormat) locate(data []byte, _ string, leaf *node) (start, end int, err error) {
	y := leaf.origin.(*yaml.Node)
	start = skipProperties(data, yamlOffset(data, y), y)
	end, err = yamlEnd(data, start, y)
	return start, end, err
}

// yamlOffset returns the byte offset at which the parser found a node. Its
// columns count characters, and its lines end as YAML 1.1 says.
func yamlOffset(data []byte, y *yaml.Node) int {
	pos := 0
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		pos = len("\ufeff")
	}
	for line := 1; line < y.Line && pos < len(data); line++ {
		for pos < len(data) {
			r, size := utf8.DecodeRune(data[pos:])
			pos += size
			if r == '\r' && pos < len(data) && data[pos] == '\n' {
				continue
			}
			if strings.ContainsRune("\r\n\u0085\u2028\u2029", r) {
				break
			}
		}
	}
	for column := 1; column < y.Column && pos < len(data); column++ {
		_, size := utf8.DecodeRune(data[pos:])
		pos += size
	}
	return pos
}

// skipProperties goes behind the anchor and the tag of a node.
func skipProperties(data []byte, pos int, y *yaml.Node) int {
	if y.Kind == yaml.AliasNode {
		return pos
	}
	for pos < len(data) && (data[pos] == '&' || data[pos] == '!') {
		for pos < len(data) && !strings.ContainsRune(" \t\r\n", rune(data[pos])) {
			pos++
		}
		for pos < len(data) && (data[pos] == ' ' || data[pos] == '\t') {
			pos++
		}
	}
	return pos
}

var errManyLines = errors.New("value is written over several lines; change it by hand")

// yamlEnd returns the offset behind the node whose text starts at pos.
func yamlEnd(data []byte, pos int, y *yaml.Node) (int, error) {
	rest := data[pos:]
	switch {
	case y.Kind == yaml.AliasNode:
		end := bytes.IndexAny(rest, " \t\r\n,]}")
		if end < 0 {
			end = len(rest)
		}
		return pos + end, nil
	case y.Kind == yaml.SequenceNode:
		return flowEnd(data, pos, y)
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, errManyLines
	case y.Style&yaml.DoubleQuotedStyle != 0:
		return pos + quotedEnd(rest, '"', '\\'), nil
	case y.Style&yaml.SingleQuotedStyle != 0:
		return pos + quotedEnd(rest, '\'', '\''), nil
	case !bytes.HasPrefix(rest, []byte(y.Value)):
		return 0, errManyLines
	}
	return pos + len(y.Value), nil
}

// flowEnd returns the offset behind a list in brackets.
func flowEnd(data []byte, pos int, y *yaml.Node) (int, error) {
	if y.Style&yaml.FlowStyle == 0 {
		return 0, errManyLines
	}
	pos++
	for _, element := range y.Content {
		var err error
		pos = skipProperties(data, yamlOffset(data, element), element)
		if pos, err = yamlEnd(data, pos, element); err != nil {
			return 0, err
		}
	}
	for pos < len(data) && data[pos] != ']' {
		if data[pos] == '#' {
			for pos < len(data) && data[pos] != '\n' {
				pos++
			}
			continue
		}
		pos++
	}
	return min(pos+1, len(data)), nil
}

// quotedEnd returns the length of the quoted scalar at the start of text. The
// escape byte takes the next byte with it; in single quotes it is the quote itself.
func quotedEnd(text []byte, quote, escape byte) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == escape && (escape != quote || i+1 < len(text) && text[i+1] == quote):
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}

func (f yamlFormat) render(v lockfile.Value, old string) ([]string, error) {
	text, isString := v.(string)
	switch {
	case isString && isYAML11Bool(old) && isYAML11Bool(text):
		return []string{text}, nil
	case isString && strings.HasPrefix(old, `"`):
		return []string{quote(text)}, nil
	case isString && strings.HasPrefix(old, "'") && strings.IndexFunc(text, unicode.IsControl) < 0:
		return []string{"'" + strings.ReplaceAll(text, "'", "''") + "'", quote(text)}, nil
	}
	text, err := f.text(v)
	if old == "" {
		// A key without any text: "key:" needs a space before its value.
		return []string{" " + text, text}, err
	}
	return []string{text}, err
}

var yamlPlain = lazy.Regexp(`^[A-Za-z_/][A-Za-z0-9_./+-]*$`)

// text writes a value so that parsers of YAML 1.1, such as PyYAML, read the
// same as those of 1.2.
func (f yamlFormat) text(v lockfile.Value) (string, error) {
	switch v := v.(type) {
	case nil:
		return "null", nil
	case string:
		if yamlPlain().MatchString(v) && !isYAML11Bool(v) && !strings.EqualFold(v, "null") {
			return v, nil
		}
		return quote(v), nil
	case float64:
		if math.IsNaN(v) {
			return ".nan", nil
		}
		if math.IsInf(v, 0) {
			return strings.Replace(lockfile.FormatValue(v), "inf", ".inf", 1), nil
		}
		// PyYAML takes 1e-05 for a text; it wants a point in front of the exponent.
		mantissa, exponent, ok := strings.Cut(lockfile.FormatValue(v), "e")
		if ok && !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		if ok {
			mantissa += "e" + exponent
		}
		return mantissa, nil
	case []lockfile.Value:
		return inline(v, f.text)
	}
	return lockfile.FormatValue(v), nil
}

// isYAML11Bool tells the words that are booleans to parsers of YAML 1.1 and, but
// for true and false, texts to ours.
func isYAML11Bool(text string) bool {
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off", "true", "false":
		return true
	}
	return false
}
