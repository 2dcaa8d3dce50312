package events_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/core/events"
	"github.com/kept-dev/kept/lockfile"
)

func TestAppendedEventsAreRead(t *testing.T) {
	dir := t.TempDir()
	for _, e := range []events.Event{
		events.Param{Name: "lr", Value: 0.1},
		events.Param{Name: "depth", Value: int64(3)},
		events.Param{Name: "whole", Value: 3.0},
		events.Param{Name: "name with \"quotes\" & ünïcode", Value: "tab\tand\u2028line"},
		events.Param{Name: "on", Value: true},
		events.Param{Name: "layers", Value: []lockfile.Value{int64(1), 2.5, "three", []lockfile.Value{false}}},
		events.Param{Name: "none", Value: []lockfile.Value{}},
		events.Param{Name: "nan as text", Value: "nan"},
		events.Param{Name: "bound", Value: math.Inf(-1)},
		events.Metric{Name: "loss", Value: 0.53, Step: new(int64(3)), Time: time.UnixMilli(1732362000120)},
		events.Metric{Name: "loss", Value: math.NaN(), Step: new(int64(4))},
		events.Metric{Name: "loss", Value: math.Inf(1), Step: new(int64(5))},
		events.Metric{Name: "rows", Value: int64(math.MaxInt64)},
		events.Artifact{Name: "model", Path: "models/model.pkl"},
		events.Environment{Runtime: "python 3.11.7", Packages: map[string]string{"numpy": "2.1.0"}},
		events.Environment{},
	} {
		if err := events.Append(dir, e); err != nil {
			t.Fatalf("Append(%#v): %v", e, err)
		}
	}
	log, err := events.Read(filepath.Join(dir, events.File))
	if err != nil {
		t.Fatal(err)
	}
	wantParams := map[string]lockfile.Value{
		"lr": 0.1, "depth": int64(3), "whole": 3.0, "name with \"quotes\" & ünïcode": "tab\tand\u2028line", "on": true,
		"layers": []lockfile.Value{int64(1), 2.5, "three", []lockfile.Value{false}}, "none": []lockfile.Value{},
		"nan as text": "nan", "bound": math.Inf(-1),
	}
	if !reflect.DeepEqual(log.Params, wantParams) {
		t.Errorf("Params = %#v\nwant %#v", log.Params, wantParams)
	}
	loss := log.Metrics["loss"]
	if len(loss) != 3 || loss[0] != (events.Point{Step: 3, Value: 0.53, Time: 1732362000.12}) {
		t.Fatalf("loss = %v", loss)
	}
	if nan, ok := loss[1].Value.(float64); !ok || !math.IsNaN(nan) || loss[2].Value != math.Inf(1) {
		t.Errorf("non-finite values = %v", loss[1:])
	}
	if got := log.Metrics["rows"]; !slices.Equal(got, []events.Point{{Step: 0, Value: int64(math.MaxInt64)}}) {
		t.Errorf("rows = %v", got)
	}
	if want := map[string]string{"model": "models/model.pkl"}; !maps.Equal(log.Artifacts, want) {
		t.Errorf("Artifacts = %v, want %v", log.Artifacts, want)
	}
	wantEnv := &events.Environments{Runtimes: []string{"python 3.11.7"}, Packages: map[string][]string{"numpy": {"2.1.0"}}}
	if !reflect.DeepEqual(log.Environment, wantEnv) {
		t.Errorf("Environment = %+v, want %+v", log.Environment, wantEnv)
	}
}

// The bytes are the contract with writers in other languages.
func TestAppendWritesTheDocumentedLines(t *testing.T) {
	dir := t.TempDir()
	for _, e := range []events.Event{
		events.Param{Name: "lr", Value: 1e-5},
		events.Param{Name: "n", Value: 1e6},
		events.Metric{Name: "loss", Value: 1.0, Step: new(int64(-3)), Time: time.UnixMilli(1732362000120)},
		events.Metric{Name: "loss", Value: math.NaN()},
		events.Artifact{Name: "model", Path: "models/model.pkl"},
		events.Environment{Runtime: "python 3.11.7", Packages: map[string]string{"b": "2", "a": "1"}},
	} {
		if err := events.Append(dir, e); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"kind":"param","name":"lr","value":1e-05}
{"kind":"param","name":"n","value":1e+06}
{"kind":"metric","name":"loss","value":1.0,"step":-3,"time":1732362000.120}
{"kind":"metric","name":"loss","value":"nan","type":"float"}
{"kind":"artifact","name":"model","path":"models/model.pkl"}
{"kind":"environment","runtime":"python 3.11.7","packages":{"a":"1","b":"2"}}
`
	if got := content(t, dir); got != want {
		t.Errorf("file =\n%swant\n%s", got, want)
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		e    events.Event
		want error
	}{
		{"an empty name", events.Param{Value: true}, events.ErrName},
		{"a long name", events.Param{Name: strings.Repeat("n", 251), Value: true}, events.ErrName},
		{"a line break in a name", events.Param{Name: "a\nb", Value: true}, events.ErrName},
		{"a name that is not UTF-8", events.Metric{Name: "a\xff", Value: 1.0}, events.ErrName},
		{"a Go int", events.Param{Name: "n", Value: 3}, events.ErrValue},
		{"no value", events.Param{Name: "n"}, events.ErrValue},
		{"nan in a list", events.Param{Name: "n", Value: []lockfile.Value{math.NaN()}}, events.ErrValue},
		{"text that is not UTF-8", events.Param{Name: "n", Value: "\xff"}, events.ErrValue},
		{"a metric that is text", events.Metric{Name: "n", Value: "0.5"}, events.ErrValue},
		{"a metric that is a truth", events.Metric{Name: "n", Value: true}, events.ErrValue},
		{"a path out of the folder", events.Artifact{Name: "n", Path: "../model.pkl"}, cas.ErrPath},
		{"an absolute path", events.Artifact{Name: "n", Path: "/model.pkl"}, cas.ErrPath},
		{"a package without a version", events.Environment{Packages: map[string]string{"numpy": ""}}, events.ErrName},
		{"a line of more than a mebibyte", events.Param{Name: "n", Value: strings.Repeat("x", events.MaxLine)}, events.ErrTooLong},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := events.Append(dir, tc.e); !errors.Is(err, tc.want) {
				t.Errorf("Append = %v, want %v", err, tc.want)
			}
			if _, err := os.Stat(filepath.Join(dir, events.File)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a refused event left a file behind (%v)", err)
			}
		})
	}
}

func TestAppendDoesNotBeginARun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	err := events.Append(dir, events.Param{Name: "n", Value: true})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Append = %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Append made the run's folder (%v)", err)
	}
}

// A line that is as long as allowed is written and read.
func TestLongestLine(t *testing.T) {
	dir := t.TempDir()
	overhead := len(`{"kind":"param","name":"n","value":""}`) + 1
	text := strings.Repeat("x", events.MaxLine-overhead)
	if err := events.Append(dir, events.Param{Name: "n", Value: text}); err != nil {
		t.Fatal(err)
	}
	log, err := events.Read(filepath.Join(dir, events.File))
	if err != nil || log.Params["n"] != text {
		t.Errorf("Read: %v, %d bytes of text, want %d", err, len(fmt.Sprint(log.Params["n"])), len(text))
	}
	if err := events.Append(dir, events.Param{Name: "n", Value: text + "x"}); !errors.Is(err, events.ErrTooLong) {
		t.Errorf("one byte more: %v, want %v", err, events.ErrTooLong)
	}
}

func TestProcessesShareAFile(t *testing.T) {
	dir := t.TempDir()
	const writers, each = 8, 200
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				e := events.Metric{Name: fmt.Sprintf("m%d", w), Value: float64(i), Step: new(int64(i))}
				if err := events.Append(dir, e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	log, err := events.Read(filepath.Join(dir, events.File))
	if err != nil {
		t.Fatal(err)
	}
	for w := range writers {
		points := log.Metrics[fmt.Sprintf("m%d", w)]
		if len(points) != each || points[each-1].Step != each-1 {
			t.Errorf("writer %d: %d points, want %d in order", w, len(points), each)
		}
	}
}

func TestAppendKeepsClearOfATornLine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, `{"kind":"param","name":"a","value":1}`+"\n"+`{"kind":"par`)
	if err := events.Append(dir, events.Param{Name: "b", Value: int64(2)}); err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"param","name":"a","value":1}` + "\n" + `{"kind":"par` + "\n" + `{"kind":"param","name":"b","value":2}` + "\n"
	if got := content(t, dir); got != want {
		t.Errorf("file =\n%s\nwant\n%s", got, want)
	}
}

func TestReadNothing(t *testing.T) {
	log, err := events.Read(filepath.Join(t.TempDir(), events.File))
	if err != nil || len(log.Params)+len(log.Metrics)+len(log.Artifacts) != 0 || log.Environment != nil {
		t.Errorf("Read of a missing file = %+v, %v, want an empty log", log, err)
	}
	if _, ok := log.Last("loss"); ok {
		t.Error("Last found a metric in an empty log")
	}
}

func TestStepsAndLast(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines string
		steps []int64
		last  lockfile.Value
	}{
		{"are counted where none are given", `0.1|0.2|0.3`, []int64{0, 1, 2}, 0.3},
		{"stay as given", `0.1 7|0.2 -1`, []int64{7, -1}, 0.1},
		{"are counted by the points before", `0.1 10|0.2|0.3 11`, []int64{10, 1, 11}, 0.3},
		{"given twice count last", `0.1 5|0.2 5|0.3 4`, []int64{5, 5, 4}, 0.2},
		{"are of integers, too", `1 0|2 1`, []int64{0, 1}, int64(2)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var file strings.Builder
			for _, point := range strings.Split(tc.lines, "|") {
				value, step, given := strings.Cut(point, " ")
				if given {
					step = `,"step":` + step
				}
				fmt.Fprintf(&file, `{"kind":"metric","name":"m","value":%s%s}`+"\n", value, step)
			}
			log, err := events.ReadFrom(strings.NewReader(file.String()))
			if err != nil {
				t.Fatal(err)
			}
			var steps []int64
			for _, p := range log.Metrics["m"] {
				steps = append(steps, p.Step)
			}
			if last, _ := log.Last("m"); !slices.Equal(steps, tc.steps) || last != tc.last {
				t.Errorf("steps %v, last %v; want %v, %v", steps, last, tc.steps, tc.last)
			}
		})
	}
}

func TestReadAccepts(t *testing.T) {
	for _, tc := range []struct{ name, file string }{
		{"the end without LF", `{"kind":"param","name":"a","value":1}`},
		{"CR LF and empty lines", "\r\n" + `{"kind":"param","name":"a","value":1}` + "\r\n\n  \n"},
		{"white space and another order", ` { "value" : 1 , "name" : "a" , "kind" : "param" } ` + "\n"},
		{"unknown keys", `{"kind":"param","name":"a","value":1,"unit":{"x":[1,"}"]},"Value":2}` + "\n"},
		{"unknown kinds", `{"kind":"image","name":1,"value":null}` + "\n" + `{"kind":"param","name":"a","value":1}` + "\n"},
		{"escaped keys and names", `{"kin\u0064":"param","n\u0061me":"\u0061","value":1}` + "\n"},
		{"a value said twice", strings.Repeat(`{"kind":"param","name":"a","value":1}`+"\n", 2)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log, err := events.ReadFrom(strings.NewReader(tc.file))
			if err != nil || !reflect.DeepEqual(log.Params, map[string]lockfile.Value{"a": int64(1)}) {
				t.Errorf("Params = %v, %v; want a = 1", log.Params, err)
			}
		})
	}
}

func TestReadValues(t *testing.T) {
	for _, tc := range []struct {
		members string
		want    lockfile.Value
	}{
		{`"value":1`, int64(1)},
		{`"value":1.0`, 1.0},
		{`"value":1e0`, 1.0},
		{`"value":1,"type":"float"`, 1.0},
		{`"type":"float","value":"inf"`, math.Inf(1)},
		{`"value":"inf"`, "inf"},
		{`"value":-9223372036854775808`, int64(math.MinInt64)},
		{`"value":"\ud83d\ude00 \\ud800 \ufffd"`, "😀 \\ud800 \ufffd"},
	} {
		log, err := events.ReadFrom(strings.NewReader(`{"kind":"param","name":"a",` + tc.members + "}\n"))
		if err != nil || log.Params["a"] != tc.want {
			t.Errorf("%s: %#v, %v; want %#v", tc.members, log.Params["a"], err, tc.want)
		}
	}
}

func TestReadRefusesLines(t *testing.T) {
	for _, tc := range []struct{ name, line string }{
		{"no JSON", `kind=param`},
		{"a list", `["param"]`},
		{"two objects", `{"kind":"param","name":"a","value":1}{"kind":"param","name":"b","value":1}`},
		{"bytes that are not UTF-8", "{\"kind\":\"param\",\"name\":\"a\",\"value\":\"\xff\"}"},
		{"half a surrogate pair", `{"kind":"param","name":"a","value":"\ud83d"}`},
		{"no kind", `{"name":"a","value":1}`},
		{"a kind that is a number", `{"kind":1}`},
		{"a key given twice", `{"kind":"param","name":"a","value":1,"value":2}`},
		{"no name", `{"kind":"param","value":1}`},
		{"an empty name", `{"kind":"param","name":"","value":1}`},
		{"a control character in a name", `{"kind":"param","name":"a\u0085","value":1}`},
		{"no value", `{"kind":"param","name":"a"}`},
		{"null", `{"kind":"param","name":"a","value":null}`},
		{"an object", `{"kind":"param","name":"a","value":{"b":1}}`},
		{"null in a list", `{"kind":"param","name":"a","value":[null]}`},
		{"a list that is too deep", `{"kind":"param","name":"a","value":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`},
		{"an integer of 65 bits", `{"kind":"param","name":"a","value":9223372036854775808}`},
		{"a float that is too large", `{"kind":"param","name":"a","value":1e400}`},
		{"NaN as Python writes it", `{"kind":"metric","name":"a","value":NaN}`},
		{"a float in words", `{"kind":"metric","name":"a","value":"much","type":"float"}`},
		{"an unknown type", `{"kind":"metric","name":"a","value":"1","type":"decimal"}`},
		{"a metric that is text", `{"kind":"metric","name":"a","value":"1"}`},
		{"a metric that is a truth", `{"kind":"metric","name":"a","value":true}`},
		{"half a step", `{"kind":"metric","name":"a","value":1,"step":0.5}`},
		{"a step in words", `{"kind":"metric","name":"a","value":1,"step":"1"}`},
		{"a time in words", `{"kind":"metric","name":"a","value":1,"time":"noon"}`},
		{"no path", `{"kind":"artifact","name":"a"}`},
		{"a path out of the folder", `{"kind":"artifact","name":"a","path":"../../etc/passwd"}`},
		{"packages in a list", `{"kind":"environment","packages":["numpy"]}`},
		{"a package without a version", `{"kind":"environment","packages":{"numpy":null}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := `{"kind":"param","name":"before","value":true}` + "\n"
			log, err := events.ReadFrom(strings.NewReader(before + tc.line + "\n" + `{"kind":"param","name":"after","value":true}` + "\n"))
			var lineError *events.LineError
			if !errors.As(err, &lineError) || lineError.Line != 2 {
				t.Fatalf("error = %v, want a *LineError of line 2", err)
			}
			if want := map[string]lockfile.Value{"before": true}; !maps.Equal(log.Params, want) || log.Environment != nil {
				t.Errorf("log = %+v, want what line 1 says", log)
			}
		})
	}
}

func TestReadTellsTornFromCorrupt(t *testing.T) {
	whole := `{"kind":"param","name":"a","value":1}` + "\n"
	event := `{"kind":"param","name":"b","value":"text"}`
	for cut := 1; cut < len(event); cut++ {
		log, err := events.ReadFrom(strings.NewReader(whole + event[:cut]))
		var torn *events.TornError
		if !errors.As(err, &torn) || torn.Line != 2 || log.Params["a"] != int64(1) {
			t.Fatalf("cut at %d: error %v, want a *TornError of line 2 and the lines before", cut, err)
		}
		var lineError *events.LineError
		if _, err := events.ReadFrom(strings.NewReader(event[:cut] + "\n" + whole)); !errors.As(err, &lineError) || lineError.Line != 1 {
			t.Fatalf("cut at %d and written on: error %v, want a *LineError of line 1", cut, err)
		}
	}
}

func TestReadTellsConflicts(t *testing.T) {
	for _, tc := range []struct {
		first, second string
		want          events.ConflictError
	}{
		{
			`{"kind":"param","name":"a","value":1}`, `{"kind":"param","name":"a","value":1.0}`,
			events.ConflictError{Line: 2, Kind: "param", Name: "a", Old: int64(1), New: 1.0},
		},
		{
			`{"kind":"param","name":"a","value":"x"}`, `{"kind":"param","name":"a","value":true}`,
			events.ConflictError{Line: 2, Kind: "param", Name: "a", Old: "x", New: true},
		},
		{
			`{"kind":"artifact","name":"a","path":"x"}`, `{"kind":"artifact","name":"a","path":"y"}`,
			events.ConflictError{Line: 2, Kind: "artifact", Name: "a", Old: "x", New: "y"},
		},
	} {
		_, err := events.ReadFrom(strings.NewReader(tc.first + "\n" + tc.second + "\n"))
		var got *events.ConflictError
		if !errors.As(err, &got) || *got != tc.want {
			t.Errorf("%s, %s: %v, want %v", tc.first, tc.second, err, &tc.want)
		}
	}
	lists := `{"kind":"param","name":"a","value":[1,%s]}` + "\n"
	if _, err := events.ReadFrom(strings.NewReader(fmt.Sprintf(lists, "2") + fmt.Sprintf(lists, "2.0"))); err == nil {
		t.Error("lists of different values do not conflict")
	}
	nan := strings.Repeat(`{"kind":"param","name":"a","value":"nan","type":"float"}`+"\n", 2)
	if _, err := events.ReadFrom(strings.NewReader(nan)); err != nil {
		t.Errorf("nan conflicts with nan: %v", err)
	}
}

func TestEnvironmentsOfProcessesAreJoined(t *testing.T) {
	log, err := events.ReadFrom(strings.NewReader(`{"kind":"environment","runtime":"python 3.11.7","packages":{"numpy":"2.1.0","scipy":"1.14.0"}}
{"kind":"environment","runtime":"python 3.11.7","packages":{"numpy":"1.26.4","torch":"2.5.1+cu121"}}
{"kind":"environment","runtime":"python 3.10.2"}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &events.Environments{
		Runtimes: []string{"python 3.10.2", "python 3.11.7"},
		Packages: map[string][]string{"numpy": {"1.26.4", "2.1.0"}, "scipy": {"1.14.0"}, "torch": {"2.5.1+cu121"}},
	}
	if !reflect.DeepEqual(log.Environment, want) {
		t.Errorf("Environment = %+v, want %+v", log.Environment, want)
	}
}

// endless gives one byte for ever, as a file that a broken program fills.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestReadIsBounded(t *testing.T) {
	var lineError *events.LineError
	if _, err := events.ReadFrom(endless('x')); !errors.As(err, &lineError) || !errors.Is(err, events.ErrTooLong) {
		t.Errorf("a line without end: %v, want %v", err, events.ErrTooLong)
	}
	line := `{"kind":"param","name":"a","value":1}` + "\n"
	if _, err := events.ReadLimited(strings.NewReader(line+line), 2*len(line)); err != nil {
		t.Errorf("a file of the largest size: %v", err)
	}
	log, err := events.ReadLimited(strings.NewReader(line+line), 2*len(line)-1)
	if !errors.Is(err, events.ErrTooLarge) || log.Params["a"] != int64(1) {
		t.Errorf("a file of one byte more: %v, want %v and what was read before", err, events.ErrTooLarge)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"kind":"param","name":"lr","value":0.1}` + "\n" + `{"kind":"param","name":"s","value":["a",1,true,[2.5]]}`))
	f.Add([]byte(`{"kind":"metric","name":"loss","value":0.53,"step":3,"time":1732362000.12}` + "\n"))
	f.Add([]byte(`{"kind":"metric","name":"loss","value":"nan","type":"float"}` + "\n"))
	f.Add([]byte(`{"kind":"artifact","name":"model","path":"models/model.pkl"}` + "\r\n\n"))
	f.Add([]byte(`{"kind":"environment","runtime":"python 3.11.7","packages":{"numpy":"2.1.0"},"x":{"y":[{}]}}`))
	f.Add([]byte(`{"\u006bind":"param","name":"\ud83d\ude00","value":"\\"}{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		log, err := events.ReadFrom(strings.NewReader(string(data)))
		var line *events.LineError
		var torn *events.TornError
		var conflict *events.ConflictError
		if err != nil && !errors.As(err, &line) && !errors.As(err, &torn) && !errors.As(err, &conflict) {
			t.Fatalf("an error without a line: %v", err)
		}
		// What was read can be logged again and is then read the same.
		dir := t.TempDir()
		for _, e := range eventsOf(log) {
			if err := events.Append(dir, e); err != nil {
				t.Fatalf("Append(%#v): %v", e, err)
			}
		}
		again, err := events.Read(filepath.Join(dir, events.File))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprintf("%#v", *again), fmt.Sprintf("%#v", *log); log.Environment == nil && got != want {
			t.Errorf("read again: %s\nwant %s", got, want)
		}
		if log.Environment != nil && !reflect.DeepEqual(again.Environment, log.Environment) {
			t.Errorf("environment read again: %+v, want %+v", again.Environment, log.Environment)
		}
	})
}

// eventsOf returns events that give the log.
func eventsOf(log *events.Log) []events.Event {
	var list []events.Event
	for name, value := range log.Params {
		list = append(list, events.Param{Name: name, Value: value})
	}
	for name, points := range log.Metrics {
		for i, p := range points {
			log.Metrics[name][i].Time = 0 // written in milliseconds only
			list = append(list, events.Metric{Name: name, Value: p.Value, Step: &p.Step})
		}
	}
	for name, path := range log.Artifacts {
		list = append(list, events.Artifact{Name: name, Path: path})
	}
	if log.Environment != nil {
		list = append(list, events.Environment{})
		for _, runtime := range log.Environment.Runtimes {
			list = append(list, events.Environment{Runtime: runtime})
		}
		for name, versions := range log.Environment.Packages {
			for _, version := range versions {
				list = append(list, events.Environment{Packages: map[string]string{name: version}})
			}
		}
	}
	return list
}

func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	e := events.Metric{Name: "train/loss", Value: 0.5312345, Step: new(int64(3123)), Time: time.UnixMilli(1732362000120)}
	for b.Loop() {
		if err := events.Append(dir, e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadMillion reads the file of a long training.
func BenchmarkReadMillion(b *testing.B) {
	var file strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&file, `{"kind":"metric","name":"train/loss","value":%v,"step":%d,"time":%d.120}`+"\n", 1/float64(i+1), i, 1732362000+i)
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		log, err := events.ReadFrom(strings.NewReader(file.String()))
		if err != nil || len(log.Metrics["train/loss"]) != 1_000_000 {
			b.Fatal(err)
		}
	}
}

func content(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, events.File))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, events.File), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
