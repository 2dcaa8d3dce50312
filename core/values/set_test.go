package values

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestSetKeepsEverythingElse(t *testing.T) {
	before := map[string]string{
		"p.toml": "# mine\r\ntitle = 'a'   # b\r\n[tfidf] # c\r\nngram_max  =  2 # up to 3\r\nlr = 0.1\r\n",
		"p.yaml": "# mine\ntitle: 'a'   # b\ntfidf:\n    ngram_max:  2 # up to 3\n    lr: 0.1\n",
		"p.json": "{ \"title\" : \"a\",\n\n  \"tfidf\": {\"ngram_max\":2 , \"lr\": 0.1}}\n",
	}
	for name, data := range before {
		got, err := Set(name, []byte(data), "tfidf.ngram_max", "3")
		want := strings.Replace(data, "2", "3", 1)
		if err != nil || string(got) != want {
			t.Errorf("Set(%s) = %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestSet(t *testing.T) {
	tests := []struct{ name, data, key, text, want string }{
		// Numbers keep their type where the text allows.
		{"p.toml", "a = 1", "a", "2.5", "a = 2.5"},
		{"p.toml", "a = 0.1", "a", "1", "a = 1.0"},
		{"p.toml", "a = 0.1", "a", "1e-5", "a = 1e-05"},
		{"p.toml", "a = 0.10", "a", "0.1", "a = 0.10"},
		{"p.toml", "a = 1", "a", "nan", "a = nan"},
		{"p.yaml", "a: 1", "a", "-inf", "a: -.inf"},
		{"p.yaml", "a: 1", "a", "1e-5", "a: 1.0e-05"},
		{"p.json", `{"a":1}`, "a", "+7", `{"a":7}`},
		// Booleans and nulls.
		{"p.toml", "a = true", "a", "False", "a = false"},
		{"p.yaml", "a: yes", "a", "no", "a: no"},
		{"p.yaml", "a: yes", "a", "true", "a: true"},
		{"p.yaml", "a: yes", "a", "maybe", "a: maybe"},
		{"p.yaml", "a: 3", "a", "null", "a: null"},
		{"p.yaml", "a: null # none", "a", "3", "a: 3 # none"},
		{"p.yaml", "a:\nb: 1", "a", "3", "a: 3\nb: 1"},
		{"p.yaml", "a: ~", "a", "gini", "a: gini"},
		{"p.json", `{"a":null}`, "a", "[1, 2]", `{"a":[1, 2]}`},
		// Strings are quoted as they were, and as much as they need.
		{"p.toml", `a = "x"`, "a", `it's "b" \`, `a = "it's \"b\" \\"`},
		{"p.toml", `a = 'x'`, "a", "3", `a = '3'`},
		{"p.toml", `a = 'x'`, "a", "it's", `a = "it's"`},
		{"p.toml", "a = \"\"\"\nx\"\"\"\nb = 1", "a", "y", "a = \"y\"\nb = 1"},
		{"p.toml", "a = \"x\"", "a", "l1\nl2", `a = "l1\nl2"`},
		{"p.yaml", "a: x", "a", "models/b-1.bin", "a: models/b-1.bin"},
		{"p.yaml", "a: x", "a", "no", `a: "no"`},
		{"p.yaml", "a: x", "a", "3", `a: "3"`},
		{"p.yaml", "a: x", "a", "b: c # d", `a: "b: c # d"`},
		{"p.yaml", "a: x", "a", "null", `a: "null"`},
		{"p.yaml", "a: x", "a", "", `a: ""`},
		{"p.yaml", `a: "x" # c`, "a", "3", `a: "3" # c`},
		{"p.yaml", `a: 'it''s' # c`, "a", "he's", `a: 'he''s' # c`},
		{"p.yaml", `a: 'x'`, "a", "l1\nl2", `a: "l1\nl2"`},
		{"p.yaml", "a: [x, {b: y}]", "a.1.b", "z, w", `a: [x, {b: "z, w"}]`},
		{"p.json", `{"a": "x"}`, "a", "<é>\n", `{"a": "<é>\n"}`},
		// Lists.
		{"p.toml", "a = [ 1,\n 2 ] # c", "a", "[3, 4]", "a = [3, 4] # c"},
		{"p.yaml", "a: [1, 'x', # c ]\n  [2]] # d", "a", "[3, b]", "a: [3, b] # d"},
		{"p.yaml", "a: []", "a", "[1]", "a: [1]"},
		{"p.json", `{"a": [1, [2]], "b": 1}`, "a", `["x"]`, `{"a": ["x"], "b": 1}`},
		// Dates.
		{"p.toml", "a = 2024-01-01 # c", "a", "2024-12-31", "a = 2024-12-31 # c"},
		{"p.yaml", "a: 2024-01-01", "a", "2024-12-31", "a: 2024-12-31"},
		// Places that are hard to find.
		{"p.toml", "[[a]]\nb = 1\n[[a]]\nb = 1\n", "a.1.b", "2", "[[a]]\nb = 1\n[[a]]\nb = 2\n"},
		{"p.toml", "a = {b = 1, c.\"d.e\" = 2}", `a.c."d.e"`, "3", "a = {b = 1, c.\"d.e\" = 3}"},
		{"p.toml", "\ufeffa = 1", "a", "2", "\ufeffa = 2"},
		{"p.yaml", "\ufeffa: 1", "a", "2", "\ufeffa: 2"},
		{"p.json", "\ufeff{\"a\": 1}", "a", "2", "\ufeff{\"a\": 2}"},
		{"p.yaml", "é: {ü: ä, b: 1}", "é.b", "2", "é: {ü: ä, b: 2}"},
		{"p.yaml", "x: \"\u2028\"\r\na: 1\r\n", "a", "2", "x: \"\u2028\"\r\na: 2\r\n"},
		{"p.yaml", "a: !!int 1", "a", "2", "a: !!int 2"},
		{"p.yaml", "a: &x 1\nb: 2", "a", "2", "a: &x 2\nb: 2"},
		{"p.yaml", "a: &x 1\nb: *x", "b", "2", "a: &x 1\nb: 2"},
		{"p.yaml", "a:\n  - b: 1\n  - b: 1", "a.1.b", "2", "a:\n  - b: 1\n  - b: 2"},
	}
	for _, test := range tests {
		got, err := Set(test.name, []byte(test.data), test.key, test.text)
		if err != nil || string(got) != test.want {
			t.Errorf("Set(%q, %s=%s) = %q, %v, want %q", test.data, test.key, test.text, got, err, test.want)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	tests := []struct{ name, data, key, text, want string }{
		{"p.toml", "a = 1", "a", "x", "p.toml: set \"a\" to \"x\": value is a number"},
		{"p.yaml", "b: 1\na: 1", "a", "x", "p.yaml:2: set"},
		{"p.toml", "a = 1", "a", "0x10", "value is a number"},
		{"p.toml", "a = 1", "a", "null", "value is a number"},
		{"p.toml", "a = 1", "a", "99999999999999999999", "64 bits"},
		{"p.toml", "a = 1", "a", "1e999", "64-bit float"},
		{"p.toml", "a = true", "a", "yes", "true or false"},
		{"p.toml", "a = [1]", "a", "1", "value is a list"},
		{"p.toml", "a = [1]", "a", "[1]\nb = 2", "value is a list"},
		{"p.json", `{"a": [1]}`, "a", `[1], "b": 2`, "value is a list"},
		{"p.toml", "a = 2024-01-01", "a", "soon", "value is a date"},
		{"p.toml", "a = 'x'", "a", "\xff", "not UTF-8"},
		{"p.json", `{"a": 1.5}`, "a", "nan", "JSON cannot say nan"},
		{"p.yaml", "a: |\n  x\n", "a", "y", "several lines"},
		{"p.yaml", "a: x\n  y\n", "a", "z", "several lines"},
		{"p.yaml", "a:\n  - 1\n", "a", "[2]", "several lines"},
		{"p.yaml", "a: &x 1\nb: *x", "a", "2", `"b" would change with it`},
		{"p.yaml", "a: &x {c: 1}\nb: {<<: *x}", "b.c", "2", `"a.c" would change with it`},
		{"p.yaml", "a: !!int 1", "a", "2.5", "not be readable"},
	}
	for _, test := range tests {
		got, err := Set(test.name, []byte(test.data), test.key, test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Set(%q, %s=%s) = %q, %v, want error %q", test.data, test.key, test.text, got, err, test.want)
		}
	}
}

func TestSetNeedsAKeyThatIsThere(t *testing.T) {
	_, err := Set("p.toml", []byte("[tfidf]\nngram_max = 2\nngram_min = 1\nlr = 1\n"), "ngram_max", "3")
	var unknown *UnknownKeyError
	if !errors.As(err, &unknown) || unknown.Key != "ngram_max" || !slices.Equal(unknown.Near, []string{"tfidf.ngram_max"}) {
		t.Errorf("Set = %v", err)
	}
	want := `p.toml has no value "ngram_max"; did you mean "tfidf.ngram_max"?`
	if err == nil || err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
}

// FuzzSet checks the promise of Set: where it succeeds, one key has changed,
// all others have not, and so have all bytes outside of one range.
func FuzzSet(f *testing.F) {
	for _, seed := range []struct{ format, data, text string }{
		{"toml", "a = 1 # c\n[b]\nc = 'x'\nd = [1, 2]\n", "3"},
		{"yaml", "a: &x 1\nb: {c: 'x', d: [1, \"2\"]}\ne: *x\nf:\n", "no"},
		{"json", `{"a": 1, "b": {"c": "x", "d": [1, null]}}`, "[1]"},
		{"yaml", "a: |\n x\nb: ! 'y'\n", "z: #"},
		{"toml", "a = 2024-01-01 10:00:00\n[[b]]\nc = \"\"\"\nx\"\"\"\n", "2024-01-02"},
	} {
		f.Add(seed.format, []byte(seed.data), seed.text)
	}
	f.Fuzz(func(t *testing.T, format string, data []byte, text string) {
		name := "p." + format
		before, err := Parse(name, data)
		if err != nil {
			return
		}
		keys := slices.Sorted(maps.Keys(before))
		for _, key := range keys[:min(len(keys), 5)] {
			edited, err := Set(name, data, key, text)
			if err != nil {
				continue
			}
			after, err := Parse(name, edited)
			if err != nil {
				t.Fatalf("Set(%q, %s=%q) = %q: %v", data, key, text, edited, err)
			}
			for other, value := range before {
				if got, ok := after[other]; other != key && (!ok || !same(got, value)) {
					t.Fatalf("Set(%q, %s=%q) = %q changes %s", data, key, text, edited, other)
				}
			}
			if len(after) != len(before) {
				t.Fatalf("Set(%q, %s=%q) = %q has other keys", data, key, text, edited)
			}
			again, err := Set(name, edited, key, text)
			if err == nil && !bytes.Equal(again, edited) {
				t.Fatalf("Set(%q, %s=%q) twice = %q", edited, key, text, again)
			}
		}
	})
}
