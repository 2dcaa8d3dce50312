package values

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Nearest returns up to three of the candidates that somebody who typed name
// may have meant, the likeliest first: those within a few typing mistakes, and
// dotted keys of which name is the beginning or the end. The order does not
// depend on that of the candidates.
func Nearest(name string, candidates []string) []string {
	type match struct {
		name     string
		distance int
	}
	var matches []match
	lower := strings.ToLower(name)
	for _, candidate := range candidates {
		c := strings.ToLower(candidate)
		if strings.HasSuffix(c, "."+lower) || strings.HasPrefix(c, lower+".") {
			matches = append(matches, match{candidate, 1})
		} else if limit := max(1, len(lower)/3); abs(len(lower)-len(c)) <= limit {
			if d := distance(lower, c); d <= limit {
				matches = append(matches, match{candidate, d})
			}
		}
	}
	slices.SortFunc(matches, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, m := range slices.Compact(matches) {
		if len(names) < 3 {
			names = append(names, m.name)
		}
	}
	return names
}

func abs(n int) int { return max(n, -n) }

// distance counts the bytes to insert, delete, replace, or swap with their
// neighbour to get from a to b (optimal string alignment).
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// didYouMean is the end of an error about an unknown name; empty where nothing is near.
func didYouMean(near []string) string {
	if len(near) == 0 {
		return ""
	}
	quoted := make([]string, len(near))
	for i, name := range near {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return "; did you mean " + strings.Join(quoted, " or ") + "?"
}
