package main

import (
	"math"
	"testing"
)

func TestSparkline(t *testing.T) {
	for _, test := range []struct {
		numbers []float64
		width   int
		ascii   bool
		want    string
	}{
		{nil, 10, false, ""},
		{[]float64{5}, 10, false, "▅"},
		{[]float64{1, 1}, 10, false, "▅▅"},
		{[]float64{0, 1, 2, 3, 4, 5, 6, 7}, 10, false, "▁▂▃▄▅▆▇█"},
		{[]float64{0, 7}, 10, true, "_#"},
		{[]float64{0, math.NaN(), 1, math.Inf(1)}, 10, false, "▁ █ "},
		{[]float64{0, 9, 1, 9, 2, 9}, 3, false, "███"},
		{[]float64{9, 0, 9, 4, 9, 8}, 3, false, "▁▄█"},
		{[]float64{-math.MaxFloat64, 0, math.MaxFloat64}, 10, false, "▁▅█"},
	} {
		if got := sparkline(test.numbers, test.width, test.ascii); got != test.want {
			t.Errorf("sparkline(%v, %d, %v) = %q, want %q", test.numbers, test.width, test.ascii, got, test.want)
		}
	}
}

func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "a=b": "a=b", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\t=1": `\t=1`, "\x1b[2J": `\x1b[2J`, "\xff": `\xff`,
	} {
		if got := cell(text); got != want {
			t.Errorf("cell(%q) = %q, want %q", text, got, want)
		}
	}
}
