package metrics

import (
	"math"
	"slices"
	"testing"

	"github.com/kept-dev/kept/lockfile"
)

func TestTexts(t *testing.T) {
	for _, test := range []struct {
		values []lockfile.Value
		want   []string
	}{
		{[]lockfile.Value{0.34568528123113873}, []string{"0.345685"}},
		{[]lockfile.Value{0.34568528123113873, 0.3183339452085196}, []string{"0.345685", "0.318334"}},
		{[]lockfile.Value{0.904, 0.888}, []string{"0.904", "0.888"}},
		{[]lockfile.Value{0.1234561, 0.1234562}, []string{"0.1234561", "0.1234562"}},
		{[]lockfile.Value{0.1, math.Nextafter(0.1, 1)}, []string{"0.1", "0.10000000000000002"}},
		{[]lockfile.Value{12.0, int64(12)}, []string{"12.0", "12"}},
		{[]lockfile.Value{int64(123456789), nil}, []string{"123456789", ""}},
		{[]lockfile.Value{123456789.0}, []string{"123456789.0"}},
		{[]lockfile.Value{math.NaN(), math.Inf(1), math.Inf(-1)}, []string{"nan", "inf", "-inf"}},
		{[]lockfile.Value{0.5, 0.5}, []string{"0.5", "0.5"}},
		{[]lockfile.Value{math.MaxFloat64, math.SmallestNonzeroFloat64}, []string{"1.79769e+308", "5e-324"}},
	} {
		if got := Texts(test.values...); !slices.Equal(got, test.want) {
			t.Errorf("Texts(%v) = %q, want %q", test.values, got, test.want)
		}
	}
}
