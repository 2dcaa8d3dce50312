package tomlscan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestGuardRefusesWhatHurtsTheParser(t *testing.T) {
	for name, doc := range map[string]string{
		"3 M nested arrays":   "x = " + strings.Repeat("[", 3_000_000),
		"nested tables":       "x = " + strings.Repeat("{a=", 65),
		"after a string":      "x = \"\"\"a\"\"\"\"\"\ny = " + strings.Repeat("[", 65),
		"after an escape":     `x = "\""` + "\ny = " + strings.Repeat("[", 65),
		"after a literal":     `x = '\'` + "\ny = " + strings.Repeat("[", 65),
		"after a comment":     "# \" ' \"\"\"\ny = " + strings.Repeat("[", 65),
		"a long dotted key":   strings.Repeat("a.", 3_000_000) + "a = 1",
		"a long table header": "[" + strings.Repeat("a.", 65) + "a]",
		"UTF-16":              "\xff\xfea\x00",
		"Latin-1":             "a = 'caf\xe9'",
		"too many bytes":      strings.Repeat("#\n", MaxSize/2+1),
	} {
		var limit *LimitError
		if err := Guard([]byte(doc)); !errors.As(err, &limit) {
			t.Errorf("%s: Guard = %v, want a LimitError", name, err)
		}
	}
}

func TestGuardAcceptsDeepButReasonable(t *testing.T) {
	for _, doc := range []string{
		"",
		"x = " + strings.Repeat("[", 64) + strings.Repeat("]", 64),
		"x = '" + strings.Repeat("[", 1000) + "'",
		"x = \"\"\"\n" + strings.Repeat("[.", 1000) + "\n\"\"\"",
		"# " + strings.Repeat("[.", 1000),
		"x = [" + strings.Repeat("0.5, ", 1000) + "]",
		"x = \"broken\ny = ]]]",
	} {
		if err := Guard([]byte(doc)); err != nil {
			t.Errorf("Guard(%.40q) = %v", doc, err)
		}
	}
}

func TestGuardNamesTheLine(t *testing.T) {
	err := Guard([]byte("a = 1\nb = \"\"\"\n\n\"\"\"\nc = " + strings.Repeat("[", 65)))
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Line != 5 {
		t.Errorf("Guard = %v, want line 5", err)
	}
}

func TestScan(t *testing.T) {
	doc := "\ufeff# c\r\na = 1 # one\n" + `
"b.c".'d' . e = "x # \" y"
day = 1979-05-27 07:32:00 # when
[t.u]
list = [ 1, [2, 3], # c
  { k = 'v', l.m = true }, ]
text = """
[no]
"""""
[[arr]]
x = 1
[[arr]]
x = 2
[arr.sub]
y = {}
[[arr.in]]
z = nan
`
	var got []string
	entries, err := Scan([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%d %s %s", e.Line, strings.Join(e.Key, "/"), doc[e.Start:e.End]))
	}
	want := []string{
		"2 a 1",
		`4 b.c/d/e "x # \" y"`,
		"5 day 1979-05-27 07:32:00",
		"6 t/u [t.u]",
		"7 t/u/list [ 1, [2, 3], # c\n  { k = 'v', l.m = true }, ]",
		"7 t/u/list/0 1", "7 t/u/list/1 [2, 3]", "7 t/u/list/1/0 2", "7 t/u/list/1/1 3",
		"8 t/u/list/2 { k = 'v', l.m = true }", "8 t/u/list/2/k 'v'", "8 t/u/list/2/l/m true",
		"9 t/u/text \"\"\"\n[no]\n\"\"\"\"\"",
		"12 arr/0 [[arr]]", "13 arr/0/x 1", "14 arr/1 [[arr]]", "15 arr/1/x 2",
		"16 arr/1/sub [arr.sub]", "17 arr/1/sub/y {}",
		"18 arr/1/in/0 [[arr.in]]", "19 arr/1/in/0/z nan",
	}
	if !slices.Equal(got, want) {
		t.Errorf("Scan =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// FuzzScan checks that the scanner finds every key that the parser finds, in
// the parser's order, and that nothing that passes Guard brings either down.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"a = 1\n[b]\nc.d = [1, {e = 2}]\n", "[[a]]\nb = '''x'''\n[[a.c]]\n", "a = \"\\u00e9\\\"\"\n\"\\x41\" = 1",
		"d = 1979-05-27 07:32:00Z\n", "x = {\n a = 1, # c\n}", "x = \"\"\"\"\"\"\"\"\n", "x = '''''a'''''",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Guard(data) != nil {
			return
		}
		var tree map[string]any
		meta, err := toml.Decode(string(data), &tree)
		entries, scanErr := Scan(data)
		if err != nil {
			return
		}
		if scanErr != nil {
			t.Fatalf("parser accepts %q, Scan: %v", data, scanErr)
		}
		found := map[string]bool{}
		for _, e := range entries {
			if e.Start > e.End || e.End > len(data) {
				t.Fatalf("%q: range %d:%d", data, e.Start, e.End)
			}
			found[pathID(withoutIndexes(tree, e.Key))] = true
		}
		for _, key := range meta.Keys() {
			if !found[pathID(key)] {
				t.Fatalf("parser finds %q in %q, Scan only %v", key, data, found)
			}
		}
	})
}

// withoutIndexes drops the parts of a path that are indexes of arrays, which
// the parser's list of keys does not have.
func withoutIndexes(tree any, key []string) []string {
	var path []string
	for _, part := range key {
		switch node := tree.(type) {
		case map[string]any:
			path = append(path, part)
			tree = node[part]
		case []any:
			tree = node[index(part)]
		case []map[string]any:
			tree = node[index(part)]
		}
	}
	return path
}

func index(part string) int {
	var i int
	if _, err := fmt.Sscanf(part, "%d", &i); err != nil {
		panic(err)
	}
	return i
}
