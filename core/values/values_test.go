package values

import (
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/lockfile"
)

type values = map[string]lockfile.Value

func TestParseIsTheSameInEveryFormat(t *testing.T) {
	want := values{
		"seed": int64(42), "rate": 0.5, "whole": 1.0, "name": "tf-idf", "fast": true,
		"tfidf.ngram_max": int64(2),
		"layers":          []lockfile.Value{int64(64), int64(32)},
		"grid":            []lockfile.Value{[]lockfile.Value{int64(1), 2.5}, []lockfile.Value{}},
		"blocks.0.size":   int64(8),
		"blocks.1.size":   int64(16),
		"mixed.0":         int64(1),
		"mixed.1.a":       "b",
		"empty":           []lockfile.Value{},
		`dots."a.b"`:      int64(1),
		"dots.val/loss":   int64(2),
		`dots.""`:         int64(3),
	}
	for name, data := range map[string]string{
		"params.toml": `
seed = 42
rate = 0.5
whole = 1.0
name = "tf-idf"
fast = true
layers = [64, 32]
grid = [[1, 2.5], []]
empty = []
mixed = [1, {a = "b"}]
none = {}
[tfidf]
ngram_max = 2
[[blocks]]
size = 8
[[blocks]]
size = 16
[dots]
"a.b" = 1
"val/loss" = 2
"" = 3
`,
		"params.YAML": `
seed: 42
rate: 0.5
whole: 1.0
name: tf-idf
fast: true
tfidf: {ngram_max: 2}
layers:
  - 64
  - 32
grid: [[1, 2.5], []]
empty: []
mixed: [1, {a: b}]
none: {}
blocks:
  - size: 8
  - size: 16
dots:
  a.b: 1
  val/loss: 2
  "": 3
`,
		"metrics.json": "\ufeff" + `{
  "seed": 42, "rate": 0.5, "whole": 1.0, "name": "tf-idf", "fast": true,
  "tfidf": {"ngram_max": 2}, "layers": [64, 32], "grid": [[1, 2.5], []], "empty": [],
  "mixed": [1, {"a": "b"}], "none": {},
  "blocks": [{"size": 8}, {"size": 16}],
  "dots": {"a.b": 1, "val/loss": 2, "": 3}
}
`,
	} {
		got, err := Parse(name, []byte(data))
		if err != nil {
			t.Errorf("Parse(%s): %v", name, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%s) =\n%v\nwant\n%v", name, got, want)
		}
	}
}

func TestParseScalars(t *testing.T) {
	tests := []struct {
		name, text string
		want       lockfile.Value
	}{
		{"a.toml", "v = 1979-05-27T07:32:00.5-07:00", "1979-05-27T07:32:00.5-07:00"},
		{"a.toml", "v = 1979-05-27 07:32:00Z", "1979-05-27T07:32:00Z"},
		{"a.toml", "v = 1979-05-27 07:32:00", "1979-05-27T07:32:00"},
		{"a.toml", "v = 1979-05-27", "1979-05-27"},
		{"a.toml", "v = 07:32:00.25", "07:32:00.25"},
		{"a.toml", "v = inf", math.Inf(1)},
		{"a.toml", "v = 0x10", int64(16)},
		{"a.json", `{"v": -0.0}`, math.Copysign(0, -1)},
		{"a.json", `{"v": 1e3}`, 1000.0},
		{"a.json", `{"v": 9223372036854775807}`, int64(math.MaxInt64)},
		{"a.json", `{"v": "NaN \u00e9"}`, "NaN é"},
		{"a.json", `{"v": null}`, nil},
		{"a.yaml", "v: -.inf", math.Inf(-1)},
		{"a.yaml", "v:", nil},
		{"a.yaml", "v: ~", nil},
		// What other readers of YAML make of the same text is in docs/spec/experiment.md.
		{"a.yaml", "v: no", "no"},
		{"a.yaml", "v: on", "on"},
		{"a.yaml", "v: True", true},
		{"a.yaml", "v: 010", int64(8)},
		{"a.yaml", "v: 0o10", int64(8)},
		{"a.yaml", "v: 1e-3", 0.001},
		{"a.yaml", "v: 1_000", int64(1000)},
		{"a.yaml", "v: 12:30", "12:30"},
		{"a.yaml", "v: 1.10.0", "1.10.0"},
		{"a.yaml", "v: '1'", "1"},
		{"a.yaml", "v: !!float 1", 1.0},
		{"a.yaml", "v: !!str 1", "1"},
		{"a.yaml", "v: |\n  a\n  b\n", "a\nb\n"},
		{"a.yaml", "v: 2001-12-14", "2001-12-14"},
		{"a.yaml", "v: 2001-12-14 21:59:43.1", "2001-12-14T21:59:43.1"},
		{"a.yaml", "v: 2001-12-14T21:59:43-05:00", "2001-12-14T21:59:43-05:00"},
		{"a.yml", "v: 1 # one", int64(1)},
	}
	for _, test := range tests {
		got, err := Parse(test.name, []byte(test.text))
		if err != nil {
			t.Errorf("Parse(%q): %v", test.text, err)
		} else if v, ok := got["v"]; !ok || !same(v, test.want) || len(got) != 1 {
			t.Errorf("Parse(%q) = %#v, want %#v", test.text, got, test.want)
		}
	}
}

func TestParseNaNEverywhereButJSON(t *testing.T) {
	for name, text := range map[string]string{"a.toml": "v = nan", "a.yaml": "v: .nan"} {
		got, err := Parse(name, []byte(text))
		if f, ok := got["v"].(float64); err != nil || !ok || !math.IsNaN(f) {
			t.Errorf("Parse(%q) = %v, %v, want NaN", text, got, err)
		}
	}
}

func TestParseYAMLAnchors(t *testing.T) {
	got, err := Parse("p.yaml", []byte(`
base: &base {lr: 0.1, steps: 10}
other: &other {lr: 0.9, warmup: 5}
copy: *base
train:
  <<: [*base, *other]
  steps: 20
rate: &rate 3
again: *rate
`))
	want := values{
		"base.lr": 0.1, "base.steps": int64(10), "other.lr": 0.9, "other.warmup": int64(5),
		"copy.lr": 0.1, "copy.steps": int64(10),
		"train.lr": 0.1, "train.steps": int64(20), "train.warmup": int64(5),
		"rate": int64(3), "again": int64(3),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Parse = %v, %v\nwant %v", got, err, want)
	}
}

func TestParseEmptyFiles(t *testing.T) {
	for name, data := range map[string]string{
		"a.toml": "# nothing\n", "b.toml": "", "a.yaml": "", "b.yaml": "# nothing\n", "c.yaml": "---\n", "d.yaml": "{}",
		"a.json": "", "b.json": " \n", "c.json": "{}", "d.json": "null",
	} {
		if got, err := Parse(name, []byte(data)); err != nil || len(got) != 0 {
			t.Errorf("Parse(%s, %q) = %v, %v, want no values", name, data, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for _, names := range []string{"ba", "cb", "dc", "ed", "fe", "gf", "hg", "ih"} {
		n, of := names[:1], names[1:]
		bomb += n + ": &" + n + " [" + strings.Repeat("*"+of+", ", 9) + "*" + of + "]\n"
	}
	tests := []struct {
		name, data string
		line       int
		text       string
	}{
		{"a.ini", "a = 1", 0, "does not end in"},
		{"a.toml", "a = 1\na = 2", 2, "already been defined"},
		{"a.toml", "a = 1\nb = ", 2, "not valid TOML"},
		{"a.toml", "a = 1\nb = 99999999999999999999", 2, "out of range"},
		{"a.toml", "a = 1\n\nx = " + strings.Repeat("[", 100000), 3, "nested deeper"},
		{"a.toml", "[" + strings.Repeat("a.", 40) + "b]\n" + strings.Repeat("a.", 40) + "b = 1", 0, "nested deeper"},
		{"a.json", "{\n\"a\": 1,\n\"a\": 2}", 3, `"a" is defined twice`},
		{"a.json", "{\n\"m\": {\n\"loss\": NaN}}", 3, `key "m.loss": JSON cannot say NaN`},
		{"a.json", "{\"m\": [1,\n-Infinity]}", 2, `key "m.1": JSON cannot say -Infinity`},
		{"a.json", "{\"m\": Infinity}", 1, "JSON cannot say Infinity"},
		{"a.json", "{\"a\": 1,}", 1, "not valid JSON"},
		{"a.json", "{\"a\": 1\n\"b\": 2}", 2, "not valid JSON"},
		{"a.json", "{\"a\": [1,\n", 2, "ends in the middle"},
		{"a.json", "{\"a\": 1", 1, "ends in the middle"},
		{"a.json", "{} {}", 1, "text after the end"},
		{"a.json", "{}]", 1, "text after the end"},
		{"a.json", "[1]", 1, "top level is not a table"},
		{"a.json", "{\"a\": 9223372036854775808}", 1, "64 bits"},
		{"a.json", "{\"a\": 1e999}", 1, "64-bit float"},
		{"a.json", "{\"a\": [1,\n null]}", 2, `list "a" has a null`},
		{"a.json", "{\"a\":\n\"\xff\"}", 2, "not UTF-8"},
		{"a.json", `{"a": ` + strings.Repeat("[", 200000), 1, "nested deeper"},
		{"a.yaml", "a: 1\nb: 2\na: 3", 3, `"a" is defined twice`},
		{"a.yaml", "1: a\n'1': b", 2, `"1" is defined twice`},
		{"a.yaml", "a: 1\n---\na: 2", 2, "second document"},
		{"a.yaml", "- 1", 1, "top level is not a table"},
		{"a.yaml", "a: 1\nb: [1,", 0, "not valid YAML"},
		{"a.yaml", "a: 1\nb: *c", 0, "unknown anchor"},
		{"a.yaml", "a: &a\n  b: *a", 0, "contains itself"},
		{"a.yaml", "a: 1\nb: !!python/object:x {}", 2, "tag !!python/object:x is not supported"},
		{"a.yaml", "b: !!binary aGk=", 1, "tag !!binary is not supported"},
		{"a.yaml", "a: 1\n? [x]\n: 1", 2, "key is not a text"},
		{"a.yaml", "~: 1", 1, "key is not a text"},
		{"a.yaml", "a: {<<: 3}", 1, "does not name a mapping"},
		{"a.yaml", "a: 18446744073709551615", 1, "64 bits"},
		{"a.yaml", "a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), 1, "nested deeper"},
		{"a.yaml", strings.Repeat("[", 1_000_000), 0, "depth"},
		{"a.yaml", bomb, 0, "more than 262144 values"},
		{"a.toml", strings.Repeat("#\n", MaxSize), 0, "limit"},
		{"a.toml", "a = [" + strings.Repeat("1,", 1_000_000) + "]", 0, "more than 262144 values"},
		{"a.yaml", "a: [" + strings.Repeat("1,", 1_000_000) + "]", 0, "more than 262144 values"},
		{"a.json", "{\"a\":\n[" + strings.Repeat("1,", 1_000_000) + "1]}", 2, "more than 262144 values"},
	}
	for _, test := range tests {
		_, err := Parse(test.name, []byte(test.data))
		var file *FileError
		if !errors.As(err, &file) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("Parse(%s, %.60q) = %v, want %q", test.name, test.data, err, test.text)
			continue
		}
		if test.line != 0 && file.Line != test.line {
			t.Errorf("Parse(%s, %.60q) = %v, want line %d", test.name, test.data, err, test.line)
		}
	}
}

func TestFileErrorNamesFileAndLine(t *testing.T) {
	_, err := Parse("conf/params.toml", []byte("a = 1\nb = \n"))
	if err == nil || !strings.HasPrefix(err.Error(), "conf/params.toml:2: not valid TOML: ") {
		t.Errorf("error is %q", err)
	}
}

func TestPart(t *testing.T) {
	all := values{"train.lr": 0.1, "train.net.size": int64(3), "trainer": int64(1), `train."a.b".c`: int64(4)}
	tests := []struct {
		part string
		want []string
	}{
		{"train", []string{`train."a.b".c`, "train.lr", "train.net.size"}},
		{"train.net", []string{"train.net.size"}},
		{"train.lr", []string{"train.lr"}},
		{`train."a.b"`, []string{`train."a.b".c`}},
	}
	for _, test := range tests {
		got, err := Part(all, test.part)
		if keys := slices.Sorted(maps.Keys(got)); err != nil || !slices.Equal(keys, test.want) {
			t.Errorf("Part(%q) = %v, %v, want %v", test.part, keys, err, test.want)
		}
	}
}

func TestPartThatIsMissing(t *testing.T) {
	_, err := Part(values{"train.lr": 0.1, "evaluate.k": int64(1)}, "trian")
	var part *PartError
	if !errors.As(err, &part) || part.Part != "trian" || !slices.Equal(part.Near, []string{"train"}) {
		t.Errorf("Part = %v", err)
	}
}

func TestParamsDropsNulls(t *testing.T) {
	got := Params(values{"max_depth": nil, "seed": int64(1)})
	if want := (values{"seed": int64(1)}); !reflect.DeepEqual(got, want) {
		t.Errorf("Params = %v, want %v", got, want)
	}
}

func TestMetrics(t *testing.T) {
	got, err := Metrics(values{
		"f1": 0.5, "n": int64(3), "recall": []lockfile.Value{0.1, []lockfile.Value{0.2}}, "none": []lockfile.Value{},
	})
	want := values{"f1": 0.5, "n": int64(3), "recall.0": 0.1, "recall.1.0": 0.2}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Metrics = %v, %v, want %v", got, err, want)
	}
}

func TestMetricsRefusesWhatIsNoNumber(t *testing.T) {
	for _, test := range []struct {
		value lockfile.Value
		text  string
	}{
		{"2024-01-01", `metric "m.x" is a string`},
		{true, `metric "m.x" is a boolean`},
		{nil, `metric "m.x" is null`},
		{[]lockfile.Value{1.0, "a"}, `metric "m.x.1" is a string`},
	} {
		_, err := Metrics(values{"m.x": test.value, "a": 1.0})
		if err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("Metrics with %v = %v, want %q", test.value, err, test.text)
		}
	}
}

func TestJoinKeyIsUnambiguous(t *testing.T) {
	paths := [][]string{
		{"a", "b"}, {"a.b"}, {`"a`, `b"`}, {`a".b"`}, {""}, {"", ""}, {"."}, {`"a.b"`}, {`a\`, "b"}, {" a"}, {"a\nb"}, {"a=b"},
		{"a", `"b`}, {"a", "b", ""},
	}
	seen := map[string][]string{}
	for _, path := range paths {
		key := JoinKey(path...)
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q are both %s", path, other, key)
		}
		seen[key] = path
		if len(path) > 1 && parentKey(key) != JoinKey(path[:len(path)-1]...) {
			t.Errorf("parent of %s is %s", key, parentKey(key))
		}
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"tfidf.ngram_max", "tfidf.ngram_min", "model.lr", "model.layers", "seed"}
	tests := []struct {
		name string
		want []string
	}{
		{"tfidf.ngram_mx", []string{"tfidf.ngram_max", "tfidf.ngram_min"}},
		{"ngram_max", []string{"tfidf.ngram_max"}},
		{"sede", []string{"seed"}},
		{"SEED", []string{"seed"}},
		{"lr", []string{"model.lr"}},
		{"model", []string{"model.layers", "model.lr"}},
		{"zzz", nil},
		{"", nil},
	}
	for _, test := range tests {
		if got := Nearest(test.name, candidates); !slices.Equal(got, test.want) {
			t.Errorf("Nearest(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}

func fuzzParse(f *testing.F, name string, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := Parse(name, data)
		if err != nil {
			var file *FileError
			if !errors.As(err, &file) || file.Name != name {
				t.Fatalf("error %v is not a FileError of %s", err, name)
			}
			return
		}
		second, err := Parse(name, data)
		if err != nil || !maps.EqualFunc(first, second, same) {
			t.Fatalf("%q gives %v, then %v (%v)", data, first, second, err)
		}
		for _, value := range Params(first) {
			lockfile.FormatValue(value) // panics on what a lock cannot hold
		}
	})
}

func FuzzParseTOML(f *testing.F) {
	fuzzParse(f, "p.toml", "a = 1\n[b]\nc = [1.5, {d = 'x'}]", "a.b = 2024-01-01", "[[a]]\n[[a]]\nb = nan")
}

func FuzzParseYAML(f *testing.F) {
	fuzzParse(f, "p.yaml", "a: 1\nb: {c: [1.5, {d: x}]}", "a: &a {b: 1}\nc: {<<: *a}", "a: |\n b\n", "- 1", "? a\n: !!float 1", "a: 2001-01-01 1:2:3")
}

func FuzzParseJSON(f *testing.F) {
	fuzzParse(f, "p.json", `{"a": 1, "b": {"c": [1.5, {"d": "x"}]}}`, `{"a": NaN}`, `{"a": [null]}`, `{"\u00e9": -0.1e-7}`)
}
