package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
)

func TestParseRefusesWhatIsTooLarge(t *testing.T) {
	fill := func(size int) []byte {
		data := append(New().Marshal(), '#')
		return append(data, bytes.Repeat([]byte{' '}, size-len(data))...)
	}
	if _, err := Parse(fill(MaxSize)); err != nil {
		t.Errorf("%d bytes: %v", MaxSize, err)
	}
	if _, err := Parse(fill(MaxSize + 1)); !errors.Is(err, ErrLimit) {
		t.Errorf("%d bytes: error %v, want ErrLimit", MaxSize+1, err)
	}
}

// Every text here overflows the stack, and so ends the process, where the TOML
// library reads it.
func TestParseSurvivesNesting(t *testing.T) {
	deep := strings.Repeat("[", 3_000_000)
	for name, text := range map[string]string{
		"arrays":                       "x = " + deep,
		"arrays on lines":              "x = " + strings.Repeat("[\n", 3_000_000),
		"inline tables":                "x = " + strings.Repeat("{a=", 3_000_000),
		"behind a string":              `x = ["]", ` + deep,
		"behind a raw string":          `x = ['\', ` + deep,
		"behind quotes in a string":    `x = ["""a"""", ` + deep,
		"behind six quotes":            `x = ["""\"""""""", ` + deep,
		"behind seven raw quotes":      `x = ['''''''', ` + deep,
		"behind an escaped line break": "x = [\"\"\"\\\n\"\"\", " + deep,
		"behind a comment":             "# \"\"\"\nx = " + deep,
		"behind a key in quotes":       `"a'b" = ` + deep,
		"behind CRLF":                  "y = 1 # '''\r\nx = " + deep,
		"dotted key":                   strings.Repeat("a.", 3_000_000) + "a = 1",
		"dotted key in quotes":         strings.Repeat(`"a".`, 3_000_000) + "a = 1",
		"dotted key with spaces":       strings.Repeat(`a . `, 3_000_000) + "a = 1",
		"header":                       "[" + strings.Repeat("a.", 3_000_000) + "a]",
		"dotted key in inline table":   "x = {" + strings.Repeat("a.", 3_000_000) + "a = 1}",
	} {
		_, err := Parse([]byte("version = 1\n" + text + "\n"))
		if !errors.Is(err, ErrLimit) && !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: error %v, want ErrLimit or ErrSyntax", name, err)
		}
	}
}

func TestErrorsAreTyped(t *testing.T) {
	var at *Error
	_, err := Parse([]byte("version = 1\n[artifact.m]\npath = '/m'\nhash = '" + cas.Sum(nil).String() + "'\nsize = 1\n"))
	if !errors.As(err, &at) || at.Line != 3 || at.Key != "artifact.m.path" || !errors.Is(err, cas.ErrPath) {
		t.Errorf("bad path gives %#v", err)
	}
	var version *VersionError
	_, err = Parse([]byte("version = 7\n"))
	if !errors.As(err, &version) || version.Version != 7 || !errors.Is(err, ErrVersion) {
		t.Errorf("newer version gives %#v", err)
	}
	var conflict *ConflictError
	_, err = Parse([]byte("version = 1\r\n\r\n<<<<<<< ours\r\n"))
	if !errors.As(err, &conflict) || conflict.Line != 3 {
		t.Errorf("conflict gives %#v", err)
	}
	spliced := bytes.Replace(fiftyLines(t), []byte("0.8242"), []byte("0.9"), 1)
	var splice *SplicedError
	_, err = Parse(spliced)
	if !errors.As(err, &splice) || splice.Stage != "train" || splice.Line != 5 {
		t.Errorf("spliced block gives %#v", err)
	}
}

func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("é1", 1<<20)
	for _, text := range []string{"x = " + long, "'" + long + "' = 1979-05-27", "[artifact.'" + long + "']", "[artifact.m]\nhash = '" + long + "'"} {
		_, err := Parse([]byte("version = 1\n" + text + "\n"))
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.20s…: error %.2000v", text, err)
		}
	}
}

// A change of any line of a stage's block must be noticed, and of the result most of all.
func TestEveryLineOfABlockIsGuarded(t *testing.T) {
	lines := strings.SplitAfter(string(fiftyLines(t)), "\n")
	guarded := 0
	for i, line := range lines {
		key, value, ok := strings.Cut(line, " = ")
		if !ok || i < 3 {
			continue
		}
		changed := strings.Map(func(r rune) rune {
			if r >= '1' && r <= '8' {
				return r + 1
			}
			return r
		}, value)
		if changed == value {
			changed = `"x` + value[1:]
		}
		for name, text := range map[string]string{"changed": key + " = " + changed, "removed": ""} {
			data := strings.Join(lines[:i], "") + text + strings.Join(lines[i+1:], "")
			if _, err := Parse([]byte(data)); err == nil {
				t.Errorf("line %d was %s and nobody noticed: %s", i+1, name, line)
			}
		}
		guarded++
	}
	if guarded < 15 {
		t.Fatalf("only %d lines were tried", guarded)
	}
}

func TestLine(t *testing.T) {
	data := []byte(`# [stage.train]
version = 1
text = """
[stage.train]
"""
list = [
  "[stage.train]",
  1,
]

[ stage . "train" ] # header
"command" = "a"

[stage.train.metrics]
'a.b' = 1
"c\u0064" = 2

[stage.eval.artifact.report]
path = "r"
[[future]]
x = 1
[inline]
table = {a = {b = 1}}
`)
	for _, test := range []struct {
		key  string
		want int
	}{
		{"version", 2},
		{"text", 3},
		{"list", 6},
		{"stage train", 11},
		{"stage train command", 12},
		{"stage train metrics", 14},
		{"stage train metrics a.b", 15},
		{"stage train metrics cd", 16},
		{"stage eval", 18},
		{"stage eval artifact report path", 19},
		{"future", 20},
		{"future x", 21},
		{"inline table a b", 23},
		{"stage", 11},
		{"stage train metrics missing", 0},
		{"stage other", 0},
		{"missing", 0},
	} {
		if got := Line(data, strings.Split(test.key, " ")...); got != test.want {
			t.Errorf("Line(%s) = %d, want %d", test.key, got, test.want)
		}
		crlf := bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
		if got := Line(crlf, strings.Split(test.key, " ")...); got != test.want {
			t.Errorf("with CRLF, Line(%s) = %d, want %d", test.key, got, test.want)
		}
	}
	broken := []byte("<<<<<<< ours\n[stage.a\n'''\n\"x\ny = [1\n\n")
	if got := Line(broken, "stage", "train"); got != 0 {
		t.Errorf("Line of broken text = %d", got)
	}
}

func TestMarshalSetsResults(t *testing.T) {
	lock := New()
	lock.Stages["train"] = &Stage{Command: "python train.py", Metrics: map[string]Value{"loss": 0.5}}
	data := lock.Marshal()
	stage := lock.Stages["train"]
	if stage.Result.IsZero() || stage.Result != stage.Digest("train") {
		t.Errorf("result is %v, want the digest %v", stage.Result, stage.Digest("train"))
	}
	if stage.Digest("train") == stage.Digest("eval") {
		t.Error("two stages of other names have one digest")
	}
	if _, err := Parse(data); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	ok := func() *Lock {
		lock, err := Parse(fiftyLines(t))
		if err != nil {
			t.Fatal(err)
		}
		return lock
	}
	if err := ok().Check(); err != nil {
		t.Error(err)
	}
	digest := cas.Sum(nil)
	for name, spoil := range map[string]func(*Lock){
		"int":            func(l *Lock) { l.Stages["train"].Params["x"] = 1 },
		"nil value":      func(l *Lock) { l.Stages["train"].Params["x"] = nil },
		"nested int":     func(l *Lock) { l.Stages["train"].Params["x"] = []Value{int32(1)} },
		"typed slice":    func(l *Lock) { l.Stages["train"].Params["x"] = []string{"a"} },
		"not UTF-8":      func(l *Lock) { l.Stages["train"].Params["x"] = "\xff" },
		"key not UTF-8":  func(l *Lock) { l.Stages["train"].Params["\xff"] = "x" },
		"text metric":    func(l *Lock) { l.Stages["train"].Metrics["x"] = "0.5" },
		"nil stage":      func(l *Lock) { l.Stages["eval"] = nil },
		"nil artifact":   func(l *Lock) { l.Artifacts["m"] = nil },
		"nil input":      func(l *Lock) { l.Stages["train"].Inputs["m"] = nil },
		"stage name":     func(l *Lock) { l.Stages["a b"] = &Stage{} },
		"no hash":        func(l *Lock) { l.Artifacts["m"] = &Artifact{Path: "m"} },
		"no history":     func(l *Lock) { l.Stages["train"].History["x"] = cas.Digest{} },
		"negative size":  func(l *Lock) { l.Artifacts["m"] = &Artifact{Path: "m", Hash: digest, Size: -1} },
		"path":           func(l *Lock) { l.Artifacts["m"] = &Artifact{Path: "../m", Hash: digest} },
		"same path":      func(l *Lock) { l.Artifacts["m"] = &Artifact{Path: "models/model.pkl", Hash: digest} },
		"unknown struct": func(l *Lock) { l.Unknown = map[string]any{"x": struct{}{}} },
	} {
		lock := ok()
		spoil(lock)
		if err := lock.Check(); err == nil {
			t.Errorf("%s: Check finds nothing wrong", name)
		}
	}
}

func TestFormatValue(t *testing.T) {
	for _, test := range []struct {
		value Value
		want  string
	}{
		{int64(1), "1"},
		{1.0, "1.0"},
		{1e21, "1e+21"},
		{0.1, "0.1"},
		{"a\"b", `"a\"b"`},
		{true, "true"},
		{[]Value{int64(1), []Value{"x", 2.5}, []Value{}}, `[1, ["x", 2.5], []]`},
	} {
		if got := FormatValue(test.value); got != test.want {
			t.Errorf("FormatValue(%#v) = %s, want %s", test.value, got, test.want)
		}
		if !EqualValues(test.value, test.value) {
			t.Errorf("%#v does not equal itself", test.value)
		}
	}
	if EqualValues(int64(1), 1.0) || EqualValues("1", int64(1)) || EqualValues(0.1, 0.2) {
		t.Error("values that are written differently are equal")
	}
}

// The thorough reader must see what the fast one sees; the vectors in canonical
// form are read by the fast one where it can.
func TestFastReaderReadsOrdinaryLocks(t *testing.T) {
	for _, data := range [][]byte{fiftyLines(t), New().Marshal(), bigLock(100, true).Marshal()} {
		lock, ok := parseCanonical(data)
		if !ok {
			t.Errorf("the fast reader gave up on\n%s", data)
			continue
		}
		slow, err := parseTOML(data)
		if err != nil {
			t.Fatal(err)
		}
		if changes := Diff(lock, slow); len(changes) > 0 {
			t.Errorf("readers differ: %+v", changes)
		}
	}
}

func ExampleParse() {
	lock := New()
	lock.Stages["train"] = &Stage{
		Command: "python train.py",
		Metrics: map[string]Value{"accuracy": 0.8242},
	}
	data := lock.Marshal()

	again, err := Parse(data)
	if err != nil {
		panic(err)
	}
	fmt.Println(FormatValue(again.Stages["train"].Metrics["accuracy"]))
	// Output: 0.8242
}

func TestParseUnspliced(t *testing.T) {
	lock := New()
	lock.Stages["good"] = &Stage{Command: "a"}
	lock.Stages["bad"] = &Stage{Command: "b"}
	data := bytes.Replace(lock.Marshal(), []byte(`command = "b"`), []byte(`command = "c"`), 1)
	got, spliced, err := ParseUnspliced(data)
	if err != nil || !slices.Equal(spliced, []string{"bad"}) || len(got.Stages) != 1 || got.Stages["good"] == nil {
		t.Errorf("ParseUnspliced = %v, %q, %v; want stage good alone", got, spliced, err)
	}
	if _, _, err := ParseUnspliced([]byte("<<<<<<< ours\n")); err == nil {
		t.Error("conflict markers were accepted")
	}
}
