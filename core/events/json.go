package events

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kept-dev/kept/internal/lazy"
)

// The functions below cut JSON that encoding/json has found valid, and leave
// its strings with escapes to encoding/json. Decoding into a struct takes four
// times as long, matters for a file of a million lines, and takes "NAME" for
// "name".

// members calls visit for each member of an object. Keys come unquoted, values raw.
func members(object []byte, visit func(key string, value []byte) error) error {
	var key []byte
	return elements(object, func(text []byte) error {
		if key == nil {
			key = text
			return nil
		}
		name, err := unquote(key)
		if err != nil {
			return err
		}
		key = nil
		return visit(name, text)
	})
}

// elements calls visit for each element of a list, and for keys and values of an object in turn.
func elements(list []byte, visit func(element []byte) error) error {
	for rest := list[1:]; ; {
		switch rest[0] {
		case ' ', '\t', '\r', '\n', ',', ':':
			rest = rest[1:]
		case ']', '}':
			return nil
		default:
			end := length(rest)
			if err := visit(rest[:end]); err != nil {
				return err
			}
			rest = rest[end:]
		}
	}
}

// length returns the length of the value at the start of text.
func length(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			depth++
			continue
		case ']', '}':
			if depth == 0 {
				return i
			}
			depth--
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(text)
}

var (
	errString = errors.New("not a string")
	// escapes matches what is no half of a surrogate pair, and halfPair, in what is left, one that is.
	escapes  = lazy.Regexp(`\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	halfPair = lazy.Regexp(`\\u[dD][89a-fA-F]`)
)

// unquote reads a string. Half a surrogate pair, which encoding/json would
// replace by another character, is refused.
func unquote(raw []byte) (string, error) {
	if raw[0] != '"' {
		return "", fmt.Errorf("%.60s: %w", raw, errString)
	}
	for _, c := range raw {
		if c != '\\' {
			continue
		}
		if halfPair().Match(escapes().ReplaceAll(raw, nil)) {
			return "", fmt.Errorf("%.60s: %w of Unicode", raw, errString)
		}
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	return string(raw[1 : len(raw)-1]), nil
}
