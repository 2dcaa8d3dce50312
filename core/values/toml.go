package values

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/BurntSushi/toml"

	"github.com/kept-dev/kept/internal/tomlscan"
	"github.com/kept-dev/kept/lockfile"
)

type tomlFormat struct{}

func (tomlFormat) parse(data []byte) (*node, error) {
	var limit *tomlscan.LimitError
	if err := tomlscan.Guard(data); errors.As(err, &limit) {
		return nil, errorAt(limit.Line, "%s", limit.Reason)
	}
	if err := checkCount(data); err != nil {
		return nil, err
	}
	var tree map[string]any
	if _, err := toml.Decode(string(data), &tree); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return nil, errorAt(syntax.Position.Line, "not valid TOML: %s", shorten(syntax.Message))
		}
		return nil, err
	}
	c := &tomlConverter{}
	return c.node(tree, 0)
}

type tomlConverter struct{ n int }

func (c *tomlConverter) node(v any, depth int) (*node, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("values are nested deeper than %d", MaxDepth)
	}
	if c.n++; c.n > MaxCount {
		return nil, fmt.Errorf("more than %d values", MaxCount)
	}
	switch v := v.(type) {
	case map[string]any:
		n := &node{kind: table, tables: true, table: make(map[string]*node, len(v))}
		for key, child := range v {
			var err error
			if n.table[key], err = c.node(child, depth+1); err != nil {
				return nil, err
			}
		}
		return n, nil
	case []map[string]any:
		elements := make([]any, len(v))
		for i, element := range v {
			elements[i] = element
		}
		return c.node(elements, depth)
	case []any:
		n := &node{kind: list, list: make([]*node, len(v))}
		for i, element := range v {
			var err error
			if n.list[i], err = c.node(element, depth+1); err != nil {
				return nil, err
			}
			n.tables = n.tables || n.list[i].tables
		}
		return n, nil
	case time.Time:
		return &node{kind: scalar, scalar: formatTime(v, v.Location().String()), date: true}, nil
	}
	return &node{kind: scalar, scalar: v}, nil
}

// formatTime writes a date or time in the form of RFC 3339 that says as much as
// the file does: a local time gets no offset, a date no time. The zones are the
// names by which the TOML parser tells its local types.
func formatTime(t time.Time, zone string) string {
	switch zone {
	case "date-local":
		return t.Format("2006-01-02")
	case "time-local":
		return t.Format("15:04:05.999999999")
	case "datetime-local":
		return t.Format("2006-01-02T15:04:05.999999999")
	}
	return t.Format(time.RFC3339Nano)
}

func (tomlFormat) locate(data []byte, key string, _ *node) (start, end int, err error) {
	entries, err := tomlscan.Scan(data)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		if !e.Header && JoinKey(e.Key...) == key {
			return e.Start, e.End, nil
		}
	}
	return 0, 0, errors.New("place in the file is not known")
}

func (f tomlFormat) render(v lockfile.Value, old string) ([]string, error) {
	if v == nil {
		return nil, errors.New("TOML cannot say null")
	}
	text, isString := v.(string)
	literal := isString && strings.HasPrefix(old, "'") && !strings.Contains(text, "'") &&
		strings.IndexFunc(text, unicode.IsControl) < 0
	if literal {
		return []string{"'" + text + "'"}, nil
	}
	return []string{lockfile.FormatValue(v)}, nil
}
