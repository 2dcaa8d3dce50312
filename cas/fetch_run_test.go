package cas

import (
	"testing"

	"github.com/kept-dev/kept/cas/pack"
)

// The groups of one request are read from the first byte to the last, in whatever order they
// are needed: one without bytes, such as an empty file's, comes before the one that begins there.
func TestRunIsInOrder(t *testing.T) {
	at := func(offset int64, stored uint32) *arriving {
		return &arriving{Group: pack.Group{Offset: offset, Stored: stored, Plain: stored}}
	}
	needed := []*arriving{at(16, 10), at(16, 0), at(40, 5), at(26, 14), at(40, 0)}
	end := int64(16)
	for i, g := range nextRun(needed) {
		if g.Offset < end {
			t.Errorf("group %d begins at %d, and the one before it ends at %d", i, g.Offset, end)
		}
		end = g.end()
	}
	if end != 45 {
		t.Errorf("the run ends at %d, want 45", end)
	}
}
