// Package tomlscan reads the text of TOML documents around the TOML parser:
// before it, to refuse documents that would hurt it, and after it, to find the
// lines and byte ranges that it does not report.
//
//	err := tomlscan.Guard(data)          // untrusted bytes: size and nesting
//	_, err = toml.Decode(text, &tree)    // the parser decides what is valid
//	entries, err := tomlscan.Scan(data)  // where each key and value is written
package tomlscan

import (
	"fmt"
	"unicode/utf8"
)

const (
	// MaxSize is the largest document in bytes that Guard accepts.
	MaxSize = 8 << 20
	// MaxDepth is the deepest nesting of brackets, and the longest dotted key,
	// that Guard accepts.
	MaxDepth = 64
)

// LimitError reports a document that is not handed to the parser.
type LimitError struct {
	// Line is where the limit was passed, counted from 1; 0 for the whole document.
	Line   int
	Reason string
}

func (e *LimitError) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

// Guard refuses, with a *LimitError, documents that would cost the parser more
// than they are worth: more than MaxSize bytes, bytes that are not UTF-8, values
// nested deeper than MaxDepth, or keys with more than MaxDepth dots.
//
// The parser recurses once per bracket, and a Go program does not survive the
// overflow of its stack: three million "[" are a crash that nothing can
// recover from. Dotted keys cost it the square of their length.
//
// Guard accepts any other text, valid or not. It keeps in step with the parser
// up to the first mistake, and there the parser stops.
func Guard(data []byte) error {
	if len(data) > MaxSize {
		return &LimitError{Reason: fmt.Sprintf("%d bytes are more than the limit of %d", len(data), MaxSize)}
	}
	if !utf8.Valid(data) {
		return &LimitError{Line: invalidLine(data), Reason: "text is not UTF-8"}
	}
	line, depth, dots := 1, 0, 0
	for i := 0; i < len(data); {
		switch data[i] {
		case '"', '\'':
			end := skipString(data, i)
			for _, c := range data[i:end] {
				if c == '\n' {
					line++
				}
			}
			i = end
			continue
		case '#':
			for i < len(data) && data[i] != '\n' {
				i++
			}
			continue
		case '\n':
			line++
			dots = 0
		case '=', ',':
			dots = 0
		case '.':
			if dots++; dots > MaxDepth {
				return &LimitError{Line: line, Reason: fmt.Sprintf("a key has more than %d parts", MaxDepth)}
			}
		case '[', '{':
			dots = 0
			if depth++; depth > MaxDepth {
				return &LimitError{Line: line, Reason: fmt.Sprintf("values are nested deeper than %d", MaxDepth)}
			}
		case ']', '}':
			depth = max(depth-1, 0)
		}
		i++
	}
	return nil
}

// invalidLine returns the line of the first byte that is not UTF-8.
func invalidLine(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[size:]
	}
	return line
}

// skipString returns the offset behind the string that starts at data[i]. A
// string that does not end on its line, or at all, ends where the parser gives up.
func skipString(data []byte, i int) int {
	quote := data[i]
	if i+2 < len(data) && data[i+1] == quote && data[i+2] == quote {
		return skipMultiline(data, i+3, quote)
	}
	for i++; i < len(data) && data[i] != '\n'; i++ {
		switch {
		case data[i] == '\\' && quote == '"':
			i++
		case data[i] == quote:
			return i + 1
		}
	}
	return min(i, len(data))
}

// skipMultiline is skipString behind the three opening quotes.
func skipMultiline(data []byte, i int, quote byte) int {
	for ; i < len(data); i++ {
		switch {
		case data[i] == '\\' && quote == '"':
			i++
		case data[i] == quote && i+2 < len(data) && data[i+1] == quote && data[i+2] == quote:
			// One or two quotes may stand before the closing three: """a""""" is a"".
			i += 3
			for extra := 0; extra < 2 && i < len(data) && data[i] == quote; extra++ {
				i++
			}
			return i
		}
	}
	return len(data)
}

// unescape decodes the escapes of a basic string. Broken escapes stay as they
// are: the parser has refused them before.
func unescape(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'b', 't', 'n', 'f', 'r', 'e':
			out = append(out, map[byte]byte{'b': 8, 't': 9, 'n': 10, 'f': 12, 'r': 13, 'e': 27}[c])
		case 'x', 'u', 'U':
			digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			var r rune
			n := min(digits, len(s)-i-1)
			for _, h := range []byte(s[i+1 : i+1+n]) {
				r = r<<4 | rune(hexDigit(h))
			}
			out = utf8.AppendRune(out, r)
			i += n
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func hexDigit(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}
