package values

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/kept-dev/kept/lockfile"
)

type jsonFormat struct{}

// span is the byte range of a value's text.
type span struct{ start, end int }

func (jsonFormat) parse(data []byte) (*node, error) {
	r := &jsonReader{data: data, line: 1}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		r.base = len("\ufeff")
	}
	r.dec = json.NewDecoder(bytes.NewReader(data[r.base:]))
	r.dec.UseNumber()
	if r.next(); r.pos == len(data) {
		return nil, nil
	}
	root, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if r.next(); r.pos < len(data) {
		return nil, errorAt(r.line, "text after the end of the value")
	}
	return root, nil
}

// jsonReader builds the tree token by token: the decoder's own maps would hide
// duplicate keys, and it knows no limit of nesting that suits us.
type jsonReader struct {
	data []byte
	base int // bytes in front of what dec reads
	dec  *json.Decoder
	pos  int // start of the next token
	line int // line of pos
	keys []string
	n    int
}

// next moves pos to the start of the next token.
func (r *jsonReader) next() {
	pos := r.base + int(r.dec.InputOffset())
	for pos < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[pos]) >= 0 {
		pos++
	}
	r.line += bytes.Count(r.data[min(r.pos, pos):pos], []byte{'\n'})
	r.pos = pos
}

func (r *jsonReader) token() (json.Token, error) {
	r.next()
	token, err := r.dec.Token()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errorAt(r.line, "file ends in the middle of a value")
	case err != nil:
		return nil, errorAt(r.line, "not valid JSON: %w", err)
	}
	return token, nil
}

func (r *jsonReader) value(depth int) (*node, error) {
	r.next()
	for _, literal := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(r.data[r.pos:], []byte(literal)) {
			return nil, errorAt(r.line, "key %q: JSON cannot say %s; leave the key out, or write the file as TOML or YAML",
				JoinKey(r.keys...), literal)
		}
	}
	if r.n++; r.n > MaxCount {
		return nil, errorAt(r.line, "more than %d values", MaxCount)
	}
	start := r.pos
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	n := &node{kind: scalar, line: r.line}
	switch token := token.(type) {
	case nil:
		n.kind = null
	case json.Delim:
		if depth == MaxDepth {
			return nil, errorAt(r.line, "values are nested deeper than %d", MaxDepth)
		}
		if token == '[' {
			err = r.elements(n, depth)
		} else {
			err = r.members(n, depth)
		}
	case json.Number:
		n.scalar, err = r.number(string(token))
	default:
		n.scalar = token
	}
	n.origin = span{start, r.base + int(r.dec.InputOffset())}
	return n, err
}

func (r *jsonReader) elements(n *node, depth int) error {
	n.kind = list
	for i := 0; r.dec.More(); i++ {
		r.keys = append(r.keys, strconv.Itoa(i))
		element, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		r.keys = r.keys[:len(r.keys)-1]
		n.list = append(n.list, element)
		n.tables = n.tables || element.tables
	}
	_, err := r.token()
	return err
}

func (r *jsonReader) members(n *node, depth int) error {
	n.kind, n.tables, n.table = table, true, map[string]*node{}
	for r.dec.More() {
		token, err := r.token()
		if err != nil {
			return err
		}
		key := token.(string) // the decoder accepts nothing else here
		r.keys = append(r.keys, key)
		if n.table[key] != nil {
			return errorAt(r.line, "key %q is defined twice", JoinKey(r.keys...))
		}
		if n.table[key], err = r.value(depth + 1); err != nil {
			return err
		}
		r.keys = r.keys[:len(r.keys)-1]
	}
	_, err := r.token()
	return err
}

// number tells integers from floats by how they are written, as Python does.
func (r *jsonReader) number(text string) (lockfile.Value, error) {
	if !strings.ContainsAny(text, ".eE") {
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errorAt(r.line, "key %q: %s does not fit into 64 bits", JoinKey(r.keys...), shorten(text))
		}
		return i, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, errorAt(r.line, "key %q: %s is beyond a 64-bit float", JoinKey(r.keys...), shorten(text))
	}
	return f, nil
}

func (jsonFormat) locate(_ []byte, _ string, leaf *node) (start, end int, err error) {
	at := leaf.origin.(span)
	return at.start, at.end, nil
}

func (f jsonFormat) render(v lockfile.Value, _ string) ([]string, error) {
	text, err := f.text(v)
	return []string{text}, err
}

func (f jsonFormat) text(v lockfile.Value) (string, error) {
	switch v := v.(type) {
	case nil:
		return "null", nil
	case string:
		return quote(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", fmt.Errorf("JSON cannot say %s", lockfile.FormatValue(v))
		}
	case []lockfile.Value:
		return inline(v, f.text)
	}
	return lockfile.FormatValue(v), nil
}

// inline writes a list on one line.
func inline(elements []lockfile.Value, text func(lockfile.Value) (string, error)) (string, error) {
	texts := make([]string, len(elements))
	for i, element := range elements {
		var err error
		if texts[i], err = text(element); err != nil {
			return "", err
		}
	}
	return "[" + strings.Join(texts, ", ") + "]", nil
}
