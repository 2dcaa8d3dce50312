package oci

import "strings"

// challenge is one way in which a server wants to be told who calls.
type challenge struct {
	// scheme is in small letters, as are the names of the parameters.
	scheme string
	params map[string]string
}

// choose returns the challenge that is answered: a token in place of a password where
// there is the choice. It is the zero one where there is none that is known.
func choose(headers []string) challenge {
	var basic challenge
	for _, header := range headers {
		for _, c := range parseChallenges(header) {
			switch {
			case c.scheme == "bearer":
				return c
			case c.scheme == "basic" && basic.scheme == "":
				basic = c
			}
		}
	}
	return basic
}

// parseChallenges reads a WWW-Authenticate header (RFC 9110, 11.6.1), which may have
// several challenges with commas between them, as their parameters have. What it can't
// read it leaves out.
func parseChallenges(header string) []challenge {
	var all []challenge
	for rest := header; ; {
		word, after := cutToken(strings.TrimLeft(rest, " \t,"))
		if word == "" {
			return all
		}
		rest = strings.TrimLeft(after, " \t")
		if len(all) == 0 || !strings.HasPrefix(rest, "=") {
			all = append(all, challenge{strings.ToLower(word), map[string]string{}})
			continue
		}
		value, after, ok := cutValue(strings.TrimLeft(rest[1:], " \t"))
		if !ok {
			// Such as the padding of a token68, which no scheme that is known has.
			_, rest, _ = strings.Cut(rest, ",")
			continue
		}
		all[len(all)-1].params[strings.ToLower(word)] = value
		rest = after
	}
}

// cutToken returns the token that text begins with, which may be empty, and what follows.
func cutToken(text string) (token, rest string) {
	end := strings.IndexFunc(text, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}

// cutValue returns the value that text begins with, with or without quotes, and what follows.
func cutValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		value, rest = cutToken(text)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return b.String(), text[i+1:], true
		case text[i] == '\\' && i+1 < len(text):
			i++
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}
