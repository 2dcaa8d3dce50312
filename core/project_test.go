package core

import (
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/lockfile"
)

// A lock that Git is just writing is not a bad one.
func TestLockThatGrows(t *testing.T) {
	want := lockfile.New().Marshal()
	half := want[:len(want)/2]
	for _, c := range []struct {
		name  string
		reads [][]byte
		ok    bool
	}{
		{"grows", [][]byte{nil, half, want}, true},
		{"stays empty", [][]byte{nil, nil}, false},
		{"stays cut", [][]byte{nil, half, half}, false},
	} {
		reads := c.reads
		_, digest, err := readSettled(func() ([]byte, error) {
			data := reads[0]
			reads = reads[1:]
			return data, nil
		})
		if (err == nil) != c.ok || c.ok && digest != cas.Sum(want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(reads) > 0 {
			t.Errorf("%s: %d reads are left", c.name, len(reads))
		}
	}
}
