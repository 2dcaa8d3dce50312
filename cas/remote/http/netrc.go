package http

import (
	"strings"
	"unicode"
)

// machine is an entry of a netrc.
type machine struct{ host, login, password string }

// parseNetrc reads the entries of a netrc that name a machine. The default one is left out: it
// would go to any host. What it does not know it skips, as all programs do.
func parseNetrc(text string) []machine {
	var all []machine
	var now *machine
	s := netrcWords{text}
	for {
		word, ok := s.next()
		if !ok {
			return all
		}
		var to *string
		switch word {
		case "machine":
			all = append(all, machine{})
			now = &all[len(all)-1]
			to = &now.host
		case "default":
			now = nil
			continue
		case "macdef":
			s.skipMacro()
			continue
		case "login", "user", "password", "passwd", "account":
			to = new(string)
			if now != nil {
				to = map[byte]*string{'l': &now.login, 'u': &now.login, 'p': &now.password, 'a': to}[word[0]]
			}
		default:
			continue
		}
		if *to, ok = s.next(); !ok {
			return all
		}
	}
}

type netrcWords struct{ rest string }

// next returns the next word. In quotes it may have spaces, and a backslash before a
// quote. A "#" begins a comment where a word could begin.
func (s *netrcWords) next() (string, bool) {
	for {
		s.rest = strings.TrimLeftFunc(s.rest, unicode.IsSpace)
		if !strings.HasPrefix(s.rest, "#") {
			break
		}
		_, s.rest, _ = strings.Cut(s.rest, "\n")
	}
	if s.rest == "" {
		return "", false
	}
	if quoted, ok := strings.CutPrefix(s.rest, `"`); ok {
		return s.quoted(quoted), true
	}
	end := strings.IndexFunc(s.rest, unicode.IsSpace)
	if end < 0 {
		end = len(s.rest)
	}
	word := s.rest[:end]
	s.rest = s.rest[end:]
	return word, true
}

func (s *netrcWords) quoted(text string) string {
	var word strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			s.rest = text[i+1:]
			return word.String()
		case c == '\\' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
		default:
			word.WriteByte(c)
		}
	}
	s.rest = ""
	return word.String()
}

// skipMacro skips to behind the next empty line.
func (s *netrcWords) skipMacro() {
	for line := range strings.Lines(s.rest) {
		s.rest = s.rest[len(line):]
		if strings.TrimSpace(line) == "" {
			return
		}
	}
}
