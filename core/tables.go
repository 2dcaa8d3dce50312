package core

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/kept-dev/kept/internal/tomlscan"
	"github.com/kept-dev/kept/lockfile"
)

// errByHand reports a table that is written in a way that can't be taken out of
// its file line by line.
var errByHand = errors.New("it is not written as a table of its own: change the file by hand")

// addTable puts a table with texts and booleans at the end of a TOML file. All else
// stays byte for byte as it is.
func addTable(data []byte, key []string, values map[string]any) ([]byte, error) {
	var text bytes.Buffer
	text.Write(data)
	if n := len(data); n > 0 {
		if data[n-1] != '\n' {
			text.WriteByte('\n')
		}
		text.WriteByte('\n')
	}
	fmt.Fprintf(&text, "[%s]\n", quoteKeys(key...))
	names := slices.Sorted(maps.Keys(values))
	// What is looked for first stands first.
	if i := slices.Index(names, "url"); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "url")
	}
	for _, name := range names {
		fmt.Fprintf(&text, "%s = %s\n", quoteKeys(name), lockfile.FormatValue(values[name]))
	}
	return text.Bytes(), changesOnly(data, text.Bytes(), key, values)
}

// removeTable takes a table out of a TOML file, with its comments. It reports
// whether there was one.
func removeTable(data []byte, key []string) ([]byte, bool, error) {
	tree, err := decodeTables(data)
	if err != nil {
		return nil, false, err
	}
	if lookUp(tree, key) == nil {
		return data, false, nil
	}
	entries, err := tomlscan.Scan(data)
	if err != nil {
		return nil, false, err
	}
	first := slices.IndexFunc(entries, func(e tomlscan.Entry) bool { return e.Header && slices.Equal(e.Key, key) })
	if first < 0 {
		return nil, true, errByHand
	}
	end := entries[first].End
	for _, e := range entries[first+1:] {
		if e.Header {
			break
		}
		end = max(end, e.End)
	}
	start := bytes.LastIndexByte(data[:entries[first].Start], '\n') + 1
	if i := bytes.IndexByte(data[end:], '\n'); i >= 0 {
		end += i + 1
	} else {
		end = len(data)
	}
	rest := slices.Concat(bytes.TrimRight(data[:start], "\n"), []byte("\n"))
	if start == 0 || len(bytes.TrimSpace(data[:start])) == 0 {
		rest = nil
	}
	if tail := bytes.TrimLeft(data[end:], "\n"); len(tail) > 0 {
		if rest != nil {
			rest = append(rest, '\n')
		}
		rest = append(rest, tail...)
	}
	return rest, true, changesOnly(data, rest, key, nil)
}

// changesOnly makes sure that an edit of a TOML file made the table at key what
// it should be and changed nothing else.
func changesOnly(before, after []byte, key []string, want map[string]any) error {
	was, err := decodeTables(before)
	if err != nil {
		return err
	}
	is, err := decodeTables(after)
	if err != nil {
		return fmt.Errorf("the file would not be readable any more, change it by hand: %w", err)
	}
	got := lookUp(is, key)
	if want == nil && got != nil || want != nil && !reflect.DeepEqual(got, want) {
		return errByHand
	}
	dropKey(was, key)
	dropKey(is, key)
	if !reflect.DeepEqual(was, is) {
		return errByHand
	}
	return nil
}

func decodeTables(data []byte) (map[string]any, error) {
	if err := tomlscan.Guard(data); err != nil {
		return nil, err
	}
	tree := map[string]any{}
	_, err := toml.Decode(string(data), &tree)
	return tree, err
}

// lookUp returns the table at key, or nil.
func lookUp(tree map[string]any, key []string) map[string]any {
	for _, k := range key {
		tree, _ = tree[k].(map[string]any)
	}
	return tree
}

// dropKey removes the table at key, and those around it that are empty then.
func dropKey(tree map[string]any, key []string) {
	if len(key) > 1 {
		inner, _ := tree[key[0]].(map[string]any)
		if dropKey(inner, key[1:]); len(inner) > 0 {
			return
		}
	}
	if tree != nil {
		delete(tree, key[0])
	}
}

// quoteKeys writes a dotted key.
func quoteKeys(parts ...string) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = part
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			texts[i] = lockfile.FormatValue(part)
		}
	}
	return strings.Join(texts, ".")
}
