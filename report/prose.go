package report

import (
	"strings"
	"unicode"
)

// code puts a name, a path or a value into a code span. Its fence is longer than
// any run of backticks in it, but for runs that are longer than the parsers of
// both platforms look for (80): those are escapes. A pipe would end a table's cell, and parsers
// disagree about a backslash before it, so it stands between two spans, as an
// entity. What can't be seen is an escape, see visible; what is long is clipped.
func code(s string) string {
	if s == "" {
		return "`\"\"`"
	}
	var spans []string
	for i, text := range strings.Split(shown(s), "|") {
		if i > 0 {
			spans = append(spans, "&#124;")
		}
		if text != "" {
			spans = append(spans, codeSpan(text))
		}
	}
	return strings.Join(spans, "")
}

func codeSpan(text string) string {
	const longest = 40
	if strings.Contains(text, strings.Repeat("`", longest)) {
		text = strings.ReplaceAll(text, "`", `\x60`)
	}
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	outer := func(b byte) bool { return text[0] == b || text[len(text)-1] == b }
	// A renderer takes one space off both ends, where there is one at each.
	if outer('`') || text[0] == ' ' && text[len(text)-1] == ' ' && strings.Trim(text, " ") != "" {
		text = " " + text + " "
	}
	return fence + text + fence
}

// prose writes a sentence: plain words and punctuation as they are, and what
// could be anything else in code spans.
func prose(s string) string {
	var out, special []string
	flush := func(punctuation string) {
		if len(special) > 0 {
			out = append(out, code(strings.Join(special, " "))+punctuation)
			special = nil
		}
	}
	for _, word := range strings.Fields(sentence(s)) {
		if isPlainWord(word) {
			flush("")
			out = append(out, word)
			continue
		}
		inner := strings.TrimRight(word, sentenceMarks)
		if inner == "" {
			inner = word
		}
		special = append(special, inner)
		if inner != word {
			flush(word[len(inner):])
		}
	}
	flush("")
	return strings.Join(out, " ")
}

// sentenceMarks end words. Behind a code span and before a space they mean nothing else.
const sentenceMarks = ".,;:!?)"

// isPlainWord tells words of letters, and short numbers, with the punctuation of
// a sentence. What a platform could take for a commit id is none, nor is the
// beginning of an address.
func isPlainWord(word string) bool {
	word = strings.TrimPrefix(word, "(")
	word = strings.TrimRight(word, sentenceMarks)
	if strings.EqualFold(word, "www") || len(word) >= 7 && strings.Trim(word, "0123456789abcdefABCDEF") == "" {
		return false
	}
	if word != "" && len(word) <= 6 && strings.Trim(word, "0123456789") == "" {
		return true
	}
	letters := 0
	for i, r := range word {
		switch {
		case unicode.IsLetter(r) || letters > 0 && unicode.Is(unicode.M, r):
			letters++
		case strings.ContainsRune("-'’", r) && letters > 0 && i+len(string(r)) < len(word):
			letters = 0
		default:
			return false
		}
	}
	return letters > 0
}
