package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How much of a text is shown. The JSON has all of it.
const (
	maxName   = 160 // runes of a name, a path or a value
	maxReason = 400 // runes of a sentence
)

// visible returns s as something that can be seen and does nothing: what has no
// glyph of its own (control, bidirectional, zero-width and unassigned
// characters, bytes that are not UTF-8, spaces that a page would swallow) is
// written as an escape. So is the second # of "##[", because a CI runner takes
// that for a command wherever in a line it is. The escapes are for reading:
// nothing parses them back.
func visible(s string) string { return visibleBut(s, false) }

// visibleLine is visible for a line of code: its spaces are as they are, its tabs
// four of them. With whatever sign before it, it is no command for a CI runner.
func visibleLine(s string) string {
	return PlainLog(visibleBut(strings.ReplaceAll(clip(s, maxReason), "\t", "    "), true))
}

func visibleBut(s string, spaces bool) string {
	var b strings.Builder
	marks := 1 << 10 // a mark that has nothing to stand on would stand on what comes before
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r > unicode.MaxASCII && unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == ' ' && spaces:
			b.WriteByte(' ')
		case r == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' '), r == '#' && i > 0 && s[i-1] == '#' && opensCommand(s[i+1:]):
			fmt.Fprintf(&b, `\x%02x`, r)
		case !hasGlyph(r) || marks > 3:
			b.WriteString(escape(r))
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// opensCommand tells "[" of ##[group] and "vso[" of ##vso[task…].
func opensCommand(s string) bool {
	return strings.HasPrefix(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), "[")
}

func hasGlyph(r rune) bool {
	if r < unicode.MaxASCII {
		return r >= ' '
	}
	const brailleBlank = 0x2800
	return unicode.IsPrint(r) && r != brailleBlank && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func escape(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < utf8.RuneSelf:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// clip returns the beginning and the end of a text with more than most runes.
func clip(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	head, tail := 0, len(s)
	for range most * 2 / 3 {
		_, n := utf8.DecodeRuneInString(s[head:])
		head += n
	}
	for range most - most*2/3 - 1 {
		_, n := utf8.DecodeLastRuneInString(s[:tail])
		tail -= n
	}
	return s[:head] + "…" + s[tail:]
}

// shown is how names and values appear in documents for people. Escapes may
// make a text twice as long, and no longer.
func shown(s string) string { return clip(visible(clip(s, maxName)), 2*maxName) }

// sentence is how reasons do.
func sentence(s string) string { return clip(visible(clip(s, maxReason)), 2*maxReason) }

// markup escapes text for HTML and XML, in content and in quoted attributes.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace

// PlainLog makes the lines of a text harmless in the log of a CI job: none of
// them is a workflow command. A line that starts with "::", after anything that
// cannot be seen, and "##[" anywhere get an escape in their midst.
func PlainLog(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		line := text
		if end := strings.IndexAny(text, "\r\n"); end >= 0 {
			line = text[:end+1]
		}
		text = text[len(line):]
		rest := strings.TrimLeftFunc(line, func(r rune) bool { return r == ' ' || !hasGlyph(r) })
		b.WriteString(line[:len(line)-len(rest)])
		if strings.HasPrefix(rest, "::") {
			b.WriteString(`\x3a`)
			rest = rest[1:]
		}
		for i := range len(rest) {
			if rest[i] == '#' && i > 0 && rest[i-1] == '#' && opensCommand(rest[i+1:]) {
				b.WriteString(`\x23`)
				continue
			}
			b.WriteByte(rest[i])
		}
	}
	return b.String()
}
