package lockfile

import (
	"errors"
	"math"
	"reflect"
	"testing"
)

func TestSeries(t *testing.T) {
	points := []Point{{2, 0.25}, {0, int64(1)}, {1, 1.0}, {0, 0.5}, {-1, math.Inf(-1)}, {3, 1e-7}}
	want := "kept history 1\n-1 -inf\n0 1\n0 0.5\n1 1.0\n2 0.25\n3 1e-07\n"
	data := MarshalSeries(points)
	if string(data) != want {
		t.Fatalf("MarshalSeries gives %q, want %q", data, want)
	}
	if points[0].Step != 2 {
		t.Error("MarshalSeries sorted the caller's points")
	}
	got, err := ParseSeries(data)
	if err != nil {
		t.Fatal(err)
	}
	sorted := []Point{{-1, math.Inf(-1)}, {0, int64(1)}, {0, 0.5}, {1, 1.0}, {2, 0.25}, {3, 1e-7}}
	if !reflect.DeepEqual(got, sorted) {
		t.Errorf("ParseSeries gives %v, want %v", got, sorted)
	}
}

func TestParseSeriesRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":            "",
		"other header":       "kept history 2\n",
		"header cut off":     "kept history 1",
		"last line cut off":  "kept history 1\n1 0.5",
		"unsorted":           "kept history 1\n2 0.5\n1 0.5\n",
		"step with zero":     "kept history 1\n01 0.5\n",
		"step with plus":     "kept history 1\n+1 0.5\n",
		"step too large":     "kept history 1\n9223372036854775808 0.5\n",
		"step a float":       "kept history 1\n1.0 0.5\n",
		"long spelling":      "kept history 1\n1 0.50\n",
		"other exponent":     "kept history 1\n1 1e-7\n",
		"hexadecimal":        "kept history 1\n1 0x1p-2\n",
		"other nan":          "kept history 1\n1 NaN\n",
		"large integer":      "kept history 1\n1 9223372036854775808\n",
		"no value":           "kept history 1\n1\n",
		"empty line":         "kept history 1\n\n",
		"two spaces":         "kept history 1\n1  0.5\n",
		"CRLF":               "kept history 1\r\n1 0.5\r\n",
		"trailing space":     "kept history 1\n1 0.5 \n",
		"three columns":      "kept history 1\n1 0.5 7\n",
		"beyond float64":     "kept history 1\n1 1e400\n",
		"text":               "kept history 1\n1 \"x\"\n",
		"integer minus zero": "kept history 1\n1 -0\n",
	} {
		if points, err := ParseSeries([]byte(text)); !errors.Is(err, ErrSeries) {
			t.Errorf("%s: ParseSeries gives %v, %v; want ErrSeries", name, points, err)
		}
	}
}
