package lockfile

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// parseCanonical reads a lock as Marshal wrote it, in a third of the time that
// the TOML library takes: reading the history of a metric parses thousands of
// locks. It reports false for everything else, also for a lock that must be
// refused, and leaves that to the library.
//
// It may guess, because it does not trust itself: what it read must marshal to
// exactly the bytes that it was given.
func parseCanonical(data []byte) (*Lock, bool) {
	tree, ok := readCanonical(data)
	if !ok {
		return nil, false
	}
	lock, err := decodeLock(tree)
	if err != nil || lock.checkPlaces() != nil || !bytes.Equal(lock.Marshal(), data) {
		return nil, false
	}
	return lock, true
}

// readCanonical reads headers and keys with scalar values, one a line. Arrays
// and escapes, which are rare in locks, are left to the library.
func readCanonical(data []byte) (map[string]any, bool) {
	data, ok := bytes.CutPrefix(data, []byte(comment))
	if !ok || !utf8.Valid(data) {
		return nil, false
	}
	tree := map[string]any{}
	table := tree
	path := make([]string, 0, 8)
	for len(data) > 0 {
		var line []byte
		line, data, ok = bytes.Cut(data, []byte("\n"))
		switch {
		case !ok:
			return nil, false
		case len(line) == 0:
			continue
		case line[0] != '[':
			if !readMember(table, line) {
				return nil, false
			}
			continue
		}
		if path, ok = readPath(path[:0], line[1:]); !ok {
			return nil, false
		}
		if table, ok = descend(tree, path); !ok {
			return nil, false
		}
	}
	return tree, true
}

func descend(table map[string]any, path []string) (map[string]any, bool) {
	for _, key := range path {
		next, present := table[key]
		if !present {
			next = make(map[string]any, 4)
			table[key] = next
		}
		var ok bool
		if table, ok = next.(map[string]any); !ok {
			return nil, false
		}
	}
	return table, true
}

func readMember(table map[string]any, line []byte) bool {
	key, rest, ok := readKey(line)
	if !ok {
		return false
	}
	text, ok := bytes.CutPrefix(rest, []byte(" = "))
	if !ok || len(text) == 0 {
		return false
	}
	value, ok := readScalar(text)
	table[key] = value
	return ok
}

// readPath reads the keys of a header up to its closing bracket, which ends the line.
func readPath(path []string, text []byte) ([]string, bool) {
	for {
		key, rest, ok := readKey(text)
		if !ok || len(rest) == 0 {
			return nil, false
		}
		path = append(path, key)
		if rest[0] == ']' {
			return path, len(rest) == 1
		}
		if rest[0] != '.' {
			return nil, false
		}
		text = rest[1:]
	}
}

func readKey(text []byte) (key string, rest []byte, ok bool) {
	if len(text) > 0 && text[0] == '"' {
		end := bytes.IndexByte(text[1:], '"') + 1
		inner := text[1:max(end, 1)]
		return string(inner), text[end+1:], end > 0 && bytes.IndexByte(inner, '\\') < 0
	}
	n := 0
	for n < len(text) && isBareKeyByte(text[n]) {
		n++
	}
	return string(text[:n]), text[n:], n > 0
}

func readScalar(text []byte) (any, bool) {
	switch c := text[0]; {
	case c == '"':
		s, rest, ok := readKey(text)
		return s, ok && len(rest) == 0
	case c == 't' || c == 'f':
		return c == 't', string(text) == "true" || string(text) == "false"
	case c != '-' && c != 'i' && c != 'n' && (c < '0' || c > '9'):
		return nil, false
	}
	if i, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(string(text), 64)
	return f, err == nil
}
