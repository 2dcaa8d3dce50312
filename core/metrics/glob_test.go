package metrics

import (
	"regexp"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true},
		{"*", "a.b", true},
		{"a*", "ba", false},
		{"*a*b", "xaxbxab", true},
		{"*a*b", "xaxbxa", false},
		{"a?c", "aéc", true},
		{"a??c", "aéc", false},
		{"*é", "ééé", true},
		{"?", "", false},
		{"**", "x", true},
		{"a*b*c", "a.b.b.c", true},
		{"", "", true},
	} {
		if got := NewGlob(test.pattern).Match(test.text); got != test.want {
			t.Errorf("match(%q, %q) = %v", test.pattern, test.text, got)
		}
	}
}

// TestMatchAll compares with regular expressions: all short patterns with all
// short texts, and what a pattern is sorted out by.
func TestMatchAll(t *testing.T) {
	patterns, texts := words("aé*?", 5), words("aéb", 5)
	for _, pattern := range patterns {
		g := NewGlob(pattern)
		oracle := regexp.MustCompile("^" + strings.NewReplacer("*", ".*", "?", ".").Replace(pattern) + "$")
		for _, text := range texts {
			want := oracle.MatchString(text)
			if got := g.Match(text); got != want {
				t.Errorf("match(%q, %q) = %v", pattern, text, got)
			}
			if m := marksOf(text); want && !g.marks.in(&m) {
				t.Errorf("%q matches %q and its marks say no", pattern, text)
			}
		}
	}
}

// words returns all words of up to so many letters.
func words(letters string, most int) []string {
	all := []string{""}
	for from := 0; most > 0; most-- {
		end := len(all)
		for _, word := range all[from:end] {
			for _, letter := range letters {
				all = append(all, word+string(letter))
			}
		}
		from = end
	}
	return all
}
