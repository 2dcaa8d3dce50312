package metrics

import (
	"math"
	"testing"
)

// The p-values are those of scipy.stats.ttest_ind(base, head, equal_var=False).
func TestWelchAgreesWithScipy(t *testing.T) {
	for _, test := range []struct {
		base, head []float64
		p          float64
	}{
		{[]float64{0.829, 0.833, 0.831, 0.828, 0.834}, []float64{0.826, 0.832, 0.829, 0.831, 0.825}, 0.215053632967737},
		{[]float64{0.8, 0.81, 0.79}, []float64{0.7, 0.71, 0.69}, 0.000255216749441925},
		{[]float64{1.0, 2.0}, []float64{2.0, 4.0}, 0.34988559277094},
		{[]float64{1.0, 2.0}, []float64{1.5, 1.5}, 1},
		{[]float64{27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4}, []float64{27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 30.5, 24.4}, 0.0080719381721949},
		{[]float64{0.1, 0.2, 0.3, 0.4}, []float64{100.0, 200.0}, 0.205151042658151},
		{[]float64{-0.5, -0.25, 0.0}, []float64{0.0, 0.25, 0.5, 0.75}, 0.0346475532882857},
		{[]float64{1e-09, 2e-09, 3e-09}, []float64{2e-09, 3e-09, 4e-09}, 0.28786413472669},
		{[]float64{1000000.0, 1000000.5}, []float64{1000001.0, 1000001.5, 1000002.0}, 0.0494162568625775},
		{[]float64{0.9, 0.9, 0.9}, []float64{0.8, 0.81}, 0.0334754167131483},
		{[]float64{3.0, 5.0, 7.0}, []float64{7.0, 3.0, 5.0}, 1},
		{[]float64{0.9999, 0.99991, 0.99992, 0.99993}, []float64{0.99, 0.991, 0.989, 0.99}, 0.000152543996764653},
	} {
		n := compareRuns(test.base, test.head)
		if n == nil || math.Abs(n.P-test.p) > 1e-9*test.p {
			t.Errorf("%v and %v: got %+v, want p = %v", test.base, test.head, n, test.p)
		}
		if n.Within != (test.p >= 0.05) {
			t.Errorf("%v and %v: within %v at p = %v", test.base, test.head, n.Within, n.P)
		}
	}
}

func TestMoments(t *testing.T) {
	// The mean of three 0.1 is not 0.1 in binary, and they vary by nothing.
	if mean, sd := moments([]float64{0.1, 0.1, 0.1}); mean != 0.1 || sd != 0 {
		t.Errorf("got %v ± %v", mean, sd)
	}
	if mean, sd := moments([]float64{1, 2, 3}); math.Abs(mean-2) > 1e-15 || math.Abs(sd-1) > 1e-15 {
		t.Errorf("got %v ± %v", mean, sd)
	}
}
