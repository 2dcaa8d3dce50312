package tomlscan

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Entry is one place of a document where a key or an element gets its value.
type Entry struct {
	// Key is the full path with one part per table, key and array index.
	// A part is as the parser gives it: unquoted, escapes decoded.
	Key []string
	// Line is the line of the key, counted from 1; of the element in an array.
	Line int
	// Start and End are the byte range of the value, or of a table's header.
	Start, End int
	// Header tells the header of a table, "[a]" or "[[a]]", from a value.
	Header bool
}

// Scan lists the entries of a document in the order in which they are written:
// headers, values, and below arrays and inline tables the elements as well.
// data must have passed Guard and the parser; what is not valid TOML gives an
// error or entries without meaning.
func Scan(data []byte) ([]Entry, error) {
	s := &scanner{data: data, line: 1, arrays: map[string]int{}}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		s.pos = len("\ufeff")
	}
	for {
		s.skipBlank()
		if s.pos >= len(s.data) {
			return s.entries, nil
		}
		var err error
		if s.peek() == '[' {
			err = s.header()
		} else {
			err = s.pair(s.table, 0)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", s.line, err)
		}
	}
}

type scanner struct {
	data    []byte
	pos     int
	line    int
	entries []Entry
	// table is the path of the table that the last header opened.
	table []string
	// arrays counts the elements of arrays of tables, by pathID.
	arrays map[string]int
}

func pathID(key []string) string { return strings.Join(key, "\x00") }

// peek returns the next byte, and 0 at the end, which no valid document contains.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// moveTo goes to a later offset and counts the lines up to there.
func (s *scanner) moveTo(pos int) {
	s.line += bytes.Count(s.data[s.pos:pos], []byte{'\n'})
	s.pos = pos
}

// skipBlank goes behind white space, line ends and comments.
func (s *scanner) skipBlank() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r':
			s.pos++
		case '\n':
			s.moveTo(s.pos + 1)
		case '#':
			for s.pos < len(s.data) && s.data[s.pos] != '\n' {
				s.pos++
			}
		default:
			return
		}
	}
}

func (s *scanner) skipSpace() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.pos++
	}
}

// header reads "[a.b]" or "[[a.b]]".
func (s *scanner) header() error {
	start, line := s.pos, s.line
	s.pos++
	array := s.peek() == '['
	if array {
		s.pos++
	}
	parts, err := s.key()
	if err != nil {
		return err
	}
	closing := "]"
	if array {
		closing = "]]"
	}
	if !bytes.HasPrefix(s.data[s.pos:], []byte(closing)) {
		return fmt.Errorf("header does not end with %q", closing)
	}
	s.pos += len(closing)

	var path []string
	for i, part := range parts {
		path = append(path, part)
		id := pathID(path)
		if array && i == len(parts)-1 {
			s.arrays[id]++
		}
		// A header below an array of tables means the array's newest element.
		if n := s.arrays[id]; n > 0 {
			path = append(path, strconv.Itoa(n-1))
		}
	}
	s.table = path
	s.entries = append(s.entries, Entry{Key: path, Line: line, Start: start, End: s.pos, Header: true})
	return nil
}

// key reads a dotted key and the white space behind it.
func (s *scanner) key() ([]string, error) {
	var parts []string
	for {
		s.skipSpace()
		start := s.pos
		switch c := s.peek(); c {
		case '"', '\'':
			end := skipString(s.data, start)
			if end-start < 2 {
				return nil, fmt.Errorf("key is not closed")
			}
			part := string(s.data[start+1 : end-1])
			if c == '"' {
				part = unescape(part)
			}
			parts = append(parts, part)
			s.moveTo(end)
		default:
			for s.pos < len(s.data) && isBare(s.data[s.pos]) {
				s.pos++
			}
			if s.pos == start {
				return nil, fmt.Errorf("key expected")
			}
			parts = append(parts, string(s.data[start:s.pos]))
		}
		s.skipSpace()
		if s.peek() != '.' {
			return parts, nil
		}
		s.pos++
	}
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// pair reads "key = value" of the table at path.
func (s *scanner) pair(path []string, depth int) error {
	line := s.line
	parts, err := s.key()
	if err != nil {
		return err
	}
	if s.peek() != '=' {
		return fmt.Errorf("%q expected", "=")
	}
	s.pos++
	s.skipSpace()
	return s.value(extend(path, parts...), line, depth)
}

// extend returns a path of its own, so that no two entries share memory.
func extend(path []string, parts ...string) []string {
	return append(append(make([]string, 0, len(path)+len(parts)), path...), parts...)
}

// value reads one value and adds its entry in front of those of its elements.
func (s *scanner) value(path []string, line, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("values are nested deeper than %d", MaxDepth)
	}
	at := len(s.entries)
	s.entries = append(s.entries, Entry{Key: path, Line: line, Start: s.pos})
	var err error
	switch s.peek() {
	case '"', '\'':
		s.moveTo(skipString(s.data, s.pos))
	case '[':
		err = s.elements(']', func(i int) error {
			return s.value(extend(path, strconv.Itoa(i)), s.line, depth+1)
		})
	case '{':
		err = s.elements('}', func(int) error { return s.pair(path, depth+1) })
	default:
		s.word()
	}
	s.entries[at].End = s.pos
	if err == nil && s.pos == s.entries[at].Start {
		return fmt.Errorf("value expected")
	}
	return err
}

// elements reads what stands between brackets, one element per call of read.
func (s *scanner) elements(closing byte, read func(i int) error) error {
	s.pos++
	for i := 0; ; i++ {
		s.skipBlank()
		if s.peek() == closing {
			s.pos++
			return nil
		}
		if err := read(i); err != nil {
			return err
		}
		s.skipBlank()
		switch s.peek() {
		case ',':
			s.pos++
		case closing:
		default:
			return fmt.Errorf("%q expected", string(closing))
		}
	}
}

// word reads a number, boolean or date. A date may hold one space before its time.
func (s *scanner) word() {
	start := s.pos
	for s.pos < len(s.data) && !strings.ContainsRune(" \t\r\n,]}#", rune(s.data[s.pos])) {
		s.pos++
	}
	isDate := s.pos-start == len("2006-01-02") && s.data[start+4] == '-'
	if isDate && s.pos+1 < len(s.data) && s.data[s.pos] == ' ' && s.data[s.pos+1] >= '0' && s.data[s.pos+1] <= '9' {
		s.pos++
		s.word()
	}
}
