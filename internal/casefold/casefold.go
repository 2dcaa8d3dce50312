// Package casefold maps names that some file system takes for one to one string.
//
//	fold:  decompose → fold each code point → compose
//
// That is Unicode's canonical caseless match (The Unicode Standard, section 3.13,
// D145). golang.org/x/text/cases does the same for all but Cherokee, which it leaves
// as it is; but with it come the tables of all languages, at every start of the program.
package casefold

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns the same string for two that differ in case or in their Unicode
// normalisation form only.
func Fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	// Decomposed before and composed after: folding a composed letter can leave one
	// that is not, and the letters that fold to several are fewer when decomposed.
	s = norm.NFD.String(s)
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		several := expand(r)
		if several == "" {
			b.WriteRune(represent(r))
		}
		for _, r := range several {
			b.WriteRune(represent(r))
		}
	}
	return norm.NFC.String(b.String())
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// represent returns the same code point for all that differ in case only. Which
// one is of no matter, but that it is no combining mark, which composing would
// move, and that it is lower case in ASCII, as [Fold] has it there.
func represent(r rune) rune {
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	switch {
	case 'A' <= least && least <= 'Z':
		return least + 'a' - 'A'
	case least == '\u0345': // the iota below a letter
		return 'ι'
	}
	return least
}

// expand returns what a code point folds to that folds to several: those with
// status F in Unicode's CaseFolding.txt, without the ones that decompose.
func expand(r rune) string {
	switch r {
	case 'ß', 'ẞ':
		return "ss"
	case 'ŉ':
		return "ʼn"
	case 'և':
		return "եւ"
	case 'ẚ':
		return "aʾ"
	case 'ﬀ':
		return "ff"
	case 'ﬁ':
		return "fi"
	case 'ﬂ':
		return "fl"
	case 'ﬃ':
		return "ffi"
	case 'ﬄ':
		return "ffl"
	case 'ﬅ', 'ﬆ':
		return "st"
	case 'ﬓ':
		return "մն"
	case 'ﬔ':
		return "մե"
	case 'ﬕ':
		return "մի"
	case 'ﬖ':
		return "վն"
	case 'ﬗ':
		return "մխ"
	}
	return ""
}
