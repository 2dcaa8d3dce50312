package core

import (
	"slices"
	"testing"
	"time"
)

// Runs are listed by their ids, and a small stage takes less than a second.
func TestRunIDsSortByTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	var ids []string
	for range 50 {
		ids = append(ids, newRunID(at))
		at = at.Add(37 * time.Millisecond)
	}
	if !slices.IsSorted(ids) {
		t.Errorf("not in order: %q", ids)
	}
}
