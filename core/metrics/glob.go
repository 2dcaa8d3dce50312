package metrics

import (
	"strings"
	"unicode/utf8"
)

// Glob is a pattern made ready to be matched with many names.
type Glob struct {
	// parts are what stands between the *, one more than there are of them. The
	// first has to stand at the beginning and the last at the end.
	parts []part
	// rank is how specific the pattern is: its characters but for * and ?.
	rank int
	// marks are those of every name that it matches.
	marks marks
}

// part is text without *: the pieces between its ?, one more than there are of them.
type part []string

func isGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// NewGlob reads a pattern: * stands for any text, ? for one character.
func NewGlob(pattern string) *Glob {
	g := &Glob{}
	for text := range strings.SplitSeq(pattern, "*") {
		pieces := strings.Split(text, "?")
		for _, piece := range pieces {
			g.rank += utf8.RuneCountInString(piece)
			g.marks.add(piece)
		}
		g.parts = append(g.parts, pieces)
	}
	return g
}

// Match reports whether the whole of text matches. Each part between two * is
// taken where it comes first: no other place leaves more to what follows.
func (g *Glob) Match(text string) bool {
	first, rest := g.parts[0], g.parts[1:]
	n, ok := first.at(text)
	if !ok || len(rest) == 0 {
		return ok && n == len(text)
	}
	text = text[n:]
	for _, p := range rest[:len(rest)-1] {
		i, n := p.index(text)
		if i < 0 {
			return false
		}
		text = text[i+n:]
	}
	return rest[len(rest)-1].ends(text)
}

// at returns how many bytes of text the part takes at its beginning.
func (p part) at(text string) (int, bool) {
	n := 0
	for i, piece := range p {
		if i > 0 {
			_, size := utf8.DecodeRuneInString(text[n:])
			if size == 0 {
				return 0, false
			}
			n += size
		}
		if !strings.HasPrefix(text[n:], piece) {
			return 0, false
		}
		n += len(piece)
	}
	return n, true
}

// index returns where in text the part comes first and how many bytes it takes
// there, and -1 where it does not.
func (p part) index(text string) (int, int) {
	for from := 0; ; {
		i := strings.Index(text[from:], p[0])
		if i < 0 {
			return -1, 0
		}
		from += i
		if n, ok := p.at(text[from:]); ok {
			return from, n
		}
		_, size := utf8.DecodeRuneInString(text[from:])
		if size == 0 {
			return -1, 0
		}
		from += size
	}
}

// ends reports whether text ends with the part.
func (p part) ends(text string) bool {
	for i := len(p) - 1; ; i-- {
		if !strings.HasSuffix(text, p[i]) {
			return false
		}
		text = text[:len(text)-len(p[i])]
		if i == 0 {
			return true
		}
		_, size := utf8.DecodeLastRuneInString(text)
		if size == 0 {
			return false
		}
		text = text[:len(text)-size]
	}
}

// marks is a set of the bytes and of the pairs of bytes in a text, the latter
// hashed. A pattern whose marks are not all among those of a name does not match
// it: that spares nearly all matching where there are many of both.
type marks struct{ bytes, pairs [4]uint64 }

func marksOf(text string) marks {
	var m marks
	m.add(text)
	return m
}

func (m *marks) add(text string) {
	for i := range len(text) {
		c := text[i]
		m.bytes[c>>6] |= 1 << (c & 63)
		if i > 0 {
			h := byte((uint32(text[i-1])*251 + uint32(c)) * 0x9e3779b1 >> 24)
			m.pairs[h>>6] |= 1 << (h & 63)
		}
	}
}

func (m *marks) in(other *marks) bool {
	missing := uint64(0)
	for i := range m.bytes {
		missing |= m.bytes[i]&^other.bytes[i] | m.pairs[i]&^other.pairs[i]
	}
	return missing == 0
}
