package casefold

import (
	"math/rand/v2"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

func TestFold(t *testing.T) {
	for _, same := range [][]string{
		{"", ""},
		{"readme.md", "README.MD", "ReadMe.md"},
		{"straße", "STRASSE", "STRAẞE", "strasse", "stra\u017fse"},
		{"caf\u00e9", "cafe\u0301", "CAFE\u0301", "CAF\u00c9"},
		{"\u212a", "K", "k"}, // the Kelvin sign
		{"\u212b", "\u00c5", "a\u030a"},
		{"ﬁle", "FILE", "file"},
		{"Σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφοσ"},
		{"\u1fb3", "\u1fbc", "\u03b1\u03b9", "ΑΙ", "\u03b1\u0345"},
		{"\u1fb7", "\u03b1\u0342\u03b9"},
		{"Ꭰ", "ꭰ"},
		{"և", "եւ", "ԵՒ"},
		{"\xff", "\ufffd"},
	} {
		for _, s := range same {
			if got, want := Fold(s), Fold(same[0]); got != want {
				t.Errorf("Fold(%+q) = %+q, want %+q as for %+q", s, got, want, same[0])
			}
		}
	}
	for _, other := range [][2]string{
		{"a", "b"},
		{"ı", "i"}, // only Turkish has a capital I without a dot for it
		{"İ", "i"},
		{"αί", "άι"},
		{"e", "é"},
	} {
		if a, b := Fold(other[0]), Fold(other[1]); a == b {
			t.Errorf("Fold(%+q) = Fold(%+q) = %+q, want different ones", other[0], other[1], a)
		}
	}
}

var caser = cases.Fold()

// reference is what x/text makes of a string.
func reference(s string) string { return norm.NFC.String(caser.String(norm.NFD.String(s))) }

// TestFoldEachCodePoint compares which code points are one name with x/text, which
// has no case for Cherokee.
func TestFoldEachCodePoint(t *testing.T) {
	if unicode.Version != cases.UnicodeVersion {
		t.Logf("Go has Unicode %s, x/text has %s", unicode.Version, cases.UnicodeVersion)
	}
	ours, theirs := map[string]string{}, map[string]string{}
	for r := rune(0); r < 0x20000; r++ { // no letter above has a case
		if !utf8.ValidRune(r) || unicode.Is(unicode.Cherokee, r) {
			continue
		}
		s := string(r)
		got, want := Fold(s), reference(s)
		if other, ok := theirs[want]; ok && Fold(other) != got {
			t.Errorf("Fold(%+q) = %+q, want %+q as for %+q", s, got, Fold(other), other)
		}
		if other, ok := ours[got]; ok && reference(other) != want {
			t.Errorf("Fold(%+q) = Fold(%+q) = %+q, want different ones", s, other, got)
		}
		ours[got], theirs[want] = s, s
	}
}

// TestFoldStrings joins letters whose case is special and marks, and looks whether
// names are one where they are for x/text.
func TestFoldStrings(t *testing.T) {
	letters := []rune("sSſßẞkKKåÅÅιΙ\u0345\u1fbeαΑάᾳᾼᾷσςΣıiIİfFﬁﬃŉʼnẚaʾևեւեѣꙋდᲓ\u0300\u0301\u0308\u0342\u0313\u0307")
	random := rand.New(rand.NewPCG(1, 2))
	ours, theirs := map[string]string{}, map[string]string{}
	for range 50_000 {
		runes := make([]rune, 1+random.IntN(4))
		for i := range runes {
			runes[i] = letters[random.IntN(len(letters))]
		}
		s := string(runes)
		got, want := Fold(s), reference(s)
		if Fold(got) != got {
			t.Fatalf("Fold(%+q) = %+q, which folds to %+q", s, got, Fold(got))
		}
		if other, ok := theirs[want]; ok && Fold(other) != got {
			t.Fatalf("Fold(%+q) = %+q, want %+q as for %+q", s, got, Fold(other), other)
		}
		if other, ok := ours[got]; ok && reference(other) != want {
			t.Fatalf("Fold(%+q) = Fold(%+q) = %+q, want different ones", s, other, got)
		}
		ours[got], theirs[want] = s, s
	}
}
