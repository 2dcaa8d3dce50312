package environment

import "strings"

// token is one word or operator of a shell command line.
type token struct {
	text string // the word without its quotes, or the operator
	op   bool
	// literal is false where only a shell could tell the word's value: it
	// holds a variable, a command substitution, a glob or a tilde.
	literal bool
	// bare is the length of the unquoted text in front: `A="b"` is an
	// assignment, `"A=b"` is not.
	bare int
}

// splitter cuts a command line the way a POSIX shell does, without expanding anything.
type splitter struct {
	rest    string
	windows bool // a backslash separates folders and quotes nothing
	tokens  []token

	word    strings.Builder
	inWord  bool
	quoted  bool
	literal bool
	bare    int
}

// split cuts a shell command line into words and operators. It reports false
// for what it cannot cut with certainty: open quotes, open substitutions and
// here-documents.
func split(command string, windows bool) ([]token, bool) {
	s := splitter{rest: command, windows: windows, literal: true}
	for s.rest != "" {
		if !s.next() {
			return nil, false
		}
	}
	s.endWord()
	return s.tokens, true
}

// next consumes one character or quoted part.
func (s *splitter) next() bool {
	c := s.rest[0]
	switch c {
	case ' ', '\t', '\r':
		s.endWord()
	case '\n':
		s.endWord()
		s.tokens = append(s.tokens, token{text: ";", op: true})
	case '\'':
		return s.single()
	case '"':
		return s.double()
	case '\\':
		if !s.windows {
			return s.escape()
		}
		s.add(c)
	case '$', '`':
		return s.substitution()
	case '*', '?', '[', '{':
		s.literal = false
		s.add(c)
	case '~':
		// A tilde names a home folder at the start of a word and after '=' and ':'.
		if text := s.word.String(); text == "" || strings.HasSuffix(text, "=") || strings.HasSuffix(text, ":") {
			s.literal = false
		}
		s.add(c)
	case '#':
		if !s.inWord {
			s.comment()
			return true
		}
		s.add(c)
	case '&', '|', ';', '(', ')', '<', '>':
		return s.operator()
	default:
		s.add(c)
	}
	s.rest = s.rest[1:]
	return true
}

func (s *splitter) add(c byte) {
	s.inWord = true
	s.word.WriteByte(c)
	if !s.quoted {
		s.bare = s.word.Len()
	}
}

func (s *splitter) endWord() {
	if s.inWord {
		s.tokens = append(s.tokens, token{text: s.word.String(), literal: s.literal, bare: s.bare})
	}
	s.word.Reset()
	s.inWord, s.quoted, s.literal, s.bare = false, false, true, 0
}

// single reads '…', in which every character stands for itself.
func (s *splitter) single() bool {
	end := strings.IndexByte(s.rest[1:], '\'')
	if end < 0 {
		return false
	}
	s.inWord, s.quoted = true, true
	s.word.WriteString(s.rest[1 : 1+end])
	s.rest = s.rest[end+2:]
	return true
}

// double reads "…", in which a backslash quotes only what would be special there.
func (s *splitter) double() bool {
	s.inWord, s.quoted = true, true
	s.rest = s.rest[1:]
	for s.rest != "" {
		switch c := s.rest[0]; {
		case c == '"':
			s.rest = s.rest[1:]
			return true
		case c == '\\' && len(s.rest) > 1 && strings.IndexByte("$`\"\\", s.rest[1]) >= 0:
			s.add(s.rest[1])
			s.rest = s.rest[2:]
		case c == '\\' && strings.HasPrefix(s.rest, "\\\n"):
			s.rest = s.rest[2:]
		case c == '$' || c == '`':
			if !s.substitution() {
				return false
			}
		default:
			s.add(c)
			s.rest = s.rest[1:]
		}
	}
	return false
}

func (s *splitter) escape() bool {
	switch {
	case len(s.rest) < 2:
		return false
	case s.rest[1] == '\n': // a continued line
	default:
		s.inWord, s.quoted = true, true
		s.add(s.rest[1])
	}
	s.rest = s.rest[2:]
	return true
}

// substitution steps over $NAME, ${…}, $(…) and `…`; the word is no longer literal.
func (s *splitter) substitution() bool {
	s.inWord, s.literal, s.quoted = true, false, true
	s.word.WriteByte('$')
	opening, closing := "`", byte('`')
	switch {
	case strings.HasPrefix(s.rest, "$("):
		opening, closing = "$(", ')'
	case strings.HasPrefix(s.rest, "${"):
		opening, closing = "${", '}'
	case strings.HasPrefix(s.rest, "$'"):
		return false // bash's own quotes, with escapes that other shells do not know
	case s.rest[0] == '$':
		s.rest = s.rest[1:]
		return true
	}
	end := matching(s.rest[len(opening):], closing)
	if end == 0 {
		return false
	}
	s.rest = s.rest[len(opening)+end:]
	return true
}

// matching returns the length of text up to and including the closing
// character, skipping quotes and nested brackets, and 0 where it is missing.
func matching(text string, closing byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == closing && depth == 0:
			return i + 1
		case closing == '`':
		case c == '(' && closing == ')', c == '{' && closing == '}':
			depth++
		case c == closing:
			depth--
		case c == '\'' || c == '"' || c == '`':
			end := i + 1
			for end < len(text) && text[end] != c {
				if text[end] == '\\' && c != '\'' {
					end++
				}
				end++
			}
			i = end
		}
	}
	return 0
}

func (s *splitter) comment() {
	end := strings.IndexByte(s.rest, '\n')
	if end < 0 {
		end = len(s.rest)
	}
	s.rest = s.rest[end:]
}

// operators of the shell, the longest first.
var operators = []string{"<<", "&>>", "&&", "||", ";;", "|&", ">>", "<&", ">&", "&>", "<>", ">|", "&", "|", ";", "(", ")", "<", ">"}

func (s *splitter) operator() bool {
	for _, op := range operators {
		if !strings.HasPrefix(s.rest, op) {
			continue
		}
		if op == "<<" {
			return false // the lines of a here-document are data, not commands
		}
		s.endWord()
		s.tokens = append(s.tokens, token{text: op, op: true})
		s.rest = s.rest[len(op):]
		return true
	}
	return false
}
