package lockfile

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

const (
	// MaxSize is the largest lock in bytes that is read: about 100,000 entries.
	MaxSize = 16 << 20
	// MaxDepth is the number of keys and array levels that may lead to a value.
	// The format itself needs 6; deep keys cost the reader time by their square.
	MaxDepth = 16
)

// normalize drops a byte order mark and turns CRLF into LF, which is what
// editors and core.autocrlf add to a lock.
func normalize(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.Contains(data, []byte("\r\n")) {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	}
	return data
}

// checkConflicts refuses data with a line that begins like a conflict marker:
// seven or more of one of <, =, > and |. Git's marker size can be configured
// upwards, and no line of a lock needs to begin like that.
func checkConflicts(data []byte) error {
	whole := data
	for line := 1; len(data) > 0; line++ {
		if strings.IndexByte("<=>|", data[0]) >= 0 && len(data) >= 7 &&
			bytes.Count(data[:7], data[:1]) == 7 {
			return &ConflictError{Line: line, Names: conflictNames(whole)}
		}
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	return nil
}

// checkText refuses what the TOML library must not see: it recurses per
// bracket, so that a few megabytes of "[" end the process, and it takes the
// depth of dotted keys as it comes.
//
// This scan and the library must agree on where strings end, or brackets could
// hide from it. That is why it refuses by itself every string that is not
// closed as TOML 1.0 says.
func checkText(data []byte) error {
	if !utf8.Valid(data) {
		return &Error{Line: lineOfInvalid(data), Err: refuse(ErrSyntax, "not valid TOML: not UTF-8")}
	}
	s := scanner{data: data, line: 1}
	depth, parts := 0, 1
	for s.pos < len(data) {
		switch data[s.pos] {
		case '"', '\'':
			line := s.line
			if !s.skipString() {
				return &Error{Line: line, Err: refuse(ErrSyntax, "not valid TOML: a string is not closed")}
			}
			continue
		case '#':
			s.skipComment()
			continue
		case '\n':
			s.line++
			parts = 1
		case '[', '{':
			depth++
			parts = 1
		case ']', '}':
			depth--
			parts = 1
		case '=', ',':
			parts = 1
		case '.':
			parts++
		}
		if depth > MaxDepth || parts > MaxDepth {
			return &Error{Line: s.line, Err: refuse(ErrLimit, "nested more than %d levels deep", MaxDepth)}
		}
		s.pos++
	}
	return nil
}

func lineOfInvalid(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[n:]
	}
	return line
}

// Line returns the line, counted from 1, on which a lock defines a key:
// Line(data, "stage", "train") is the header of a stage's block, and
// Line(data, "stage", "train", "metrics", "accuracy") the line of a metric. For
// a table without a header of its own it is the first line below it, for a key
// inside an inline table that table's line. It returns 0 where data has no such
// key. The data need not be a valid lock.
func Line(data []byte, key ...string) int {
	var exact, below, around int
	s := scanner{data: bytes.TrimPrefix(data, []byte("\ufeff")), line: 1}
	s.eachKey(func(path []string, header bool, line int) bool {
		switch n := commonPrefix(path, key); {
		case n == len(key) && n == len(path):
			exact = line
		case n == len(key) && below == 0:
			below = line
		case n == len(path) && !header:
			around = line
		}
		return exact == 0
	})
	return cmp.Or(exact, below, around)
}

func commonPrefix(a, b []string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// scanner walks over TOML text that may be broken; it never fails, at worst it
// misreads one line.
type scanner struct {
	data []byte
	pos  int
	line int
}

// eachKey calls visit with the full path and the line of every table header
// and of every key outside of inline tables, until visit returns false.
func (s *scanner) eachKey(visit func(path []string, header bool, line int) bool) {
	var table []string
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\r':
			s.pos++
		case '\n':
			s.pos++
			s.line++
		case '#':
			s.skipComment()
		case '[':
			line := s.line
			s.pos++
			if s.pos < len(s.data) && s.data[s.pos] == '[' {
				s.pos++
			}
			if path, ok := s.key(']'); ok {
				table = path
				if !visit(table, true, line) {
					return
				}
			}
			s.skipValue()
		default:
			line := s.line
			path, ok := s.key('=')
			if ok && !visit(slices.Concat(table, path), false, line) {
				return
			}
			s.skipValue()
		}
	}
}

// key reads a dotted key up to and including the byte end, which must be on the same line.
func (s *scanner) key(end byte) (path []string, ok bool) {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == end:
			s.pos++
			return path, len(path) > 0
		case c == ' ' || c == '\t' || c == '.':
			s.pos++
		case c == '"' || c == '\'':
			start := s.pos
			if !s.skipString() {
				return nil, false
			}
			part, ok := unquote(s.data[start:s.pos])
			if !ok {
				return nil, false
			}
			path = append(path, part)
		case isBareKeyByte(c):
			start := s.pos
			for s.pos < len(s.data) && isBareKeyByte(s.data[s.pos]) {
				s.pos++
			}
			path = append(path, string(s.data[start:s.pos]))
		default:
			return nil, false
		}
	}
	return nil, false
}

// unquote returns the text of a quoted key.
func unquote(quoted []byte) (string, bool) {
	inner := quoted[1 : len(quoted)-1]
	if quoted[0] == '\'' || !bytes.ContainsRune(inner, '\\') {
		return string(inner), true
	}
	var key struct{ K string }
	err := toml.Unmarshal(slices.Concat([]byte("K = "), quoted), &key)
	return key.K, err == nil
}

// skipValue moves behind the line break that ends a value or header, which is
// the first one outside of strings, comments and brackets.
func (s *scanner) skipValue() {
	for depth := 0; s.pos < len(s.data); {
		switch s.data[s.pos] {
		case '"', '\'':
			if !s.skipString() {
				return
			}
			continue
		case '#':
			s.skipComment()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '\n':
			s.line++
			if depth <= 0 {
				s.pos++
				return
			}
		}
		s.pos++
	}
}

func (s *scanner) skipComment() {
	for s.pos < len(s.data) && s.data[s.pos] != '\n' {
		s.pos++
	}
}

// skipString moves from an opening quote behind the closing one. It reports
// false for a string that is not closed as TOML says.
func (s *scanner) skipString() bool {
	quote := s.data[s.pos]
	rest := s.data[s.pos:]
	long := len(rest) >= 3 && rest[1] == quote && rest[2] == quote
	if long {
		s.pos += 3
	} else {
		s.pos++
	}
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '\n' && !long:
			return false
		case c == '\n':
			s.line++
			s.pos++
		case c == '\\' && quote == '"':
			s.pos++
			// What is escaped is skipped, but a line break is left to be counted.
			if s.pos < len(s.data) && s.data[s.pos] != '\n' {
				s.pos++
			}
		case c == quote && !long:
			s.pos++
			return true
		case c == quote:
			start := s.pos
			for s.pos < len(s.data) && s.data[s.pos] == quote {
				s.pos++
			}
			// Up to two quotes may precede the three that close the string.
			if run := s.pos - start; run >= 3 {
				return run <= 5
			}
		default:
			s.pos++
		}
	}
	return false
}

func isBareKeyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
