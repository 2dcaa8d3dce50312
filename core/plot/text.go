package plot

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-analyze/charts/chartdraw"
)

// longest is the number of characters of a text that are looked at.
const longest = 200

const ellipsis = "…"

// printable returns a text that shows what it is: control characters, those
// that turn the direction of text or have no width, and bytes that are no UTF-8
// become escapes. A text that is too long ends in an ellipsis.
func printable(s string) string {
	var b strings.Builder
	for n := 0; len(s) > 0; n++ {
		if n == longest {
			b.WriteString(ellipsis)
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		s = s[size:]
	}
	return b.String()
}

// fit returns as much of a printable text as is width wide in the current font.
func fit(r chartdraw.Renderer, s string, width int) string {
	if r.MeasureText(s).Width() <= width {
		return s
	}
	runes := []rune(s)
	low, high := 0, len(runes) // the longest that fits has low characters or more, but less than high
	for low+1 < high {
		mid := (low + high) / 2
		if r.MeasureText(string(runes[:mid])+ellipsis).Width() <= width {
			low = mid
		} else {
			high = mid
		}
	}
	return strings.TrimRight(string(runes[:low]), " ") + ellipsis
}
