package cas_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas"
)

func rootText(lines ...string) []byte {
	return cas.EndRoot([]byte(strings.Join(lines, "\n") + "\n"))
}

func TestRootIsReadInOneFormOnly(t *testing.T) {
	d := cas.Sum([]byte("x"))
	object := "object " + d.String() + " file"
	packLine := func(n int, rest string) string { return fmt.Sprintf("pack %064x %s", n, rest) }
	for name, c := range map[string]struct {
		b  []byte
		ok bool
	}{
		"no pack":             {rootText("kept root 1", object), false},
		"a pack":              {rootText("kept root 1", object, packLine(1, "1000 68")), true},
		"folder":              {rootText("kept root 1", "object "+d.String()+" folder", packLine(1, "1000 68"), packLine(2, "172 84")), true},
		"empty":               {nil, false},
		"another version":     {rootText("kept root 2", object), false},
		"another object":      {rootText("kept root 1", "object "+cas.Sum(nil).String()+" file"), false},
		"another kind":        {rootText("kept root 1", "object "+d.String()+" link"), false},
		"no object":           {rootText("kept root 1"), false},
		"not in order":        {rootText("kept root 1", object, packLine(2, "1000 68"), packLine(1, "1000 68")), false},
		"twice":               {rootText("kept root 1", object, packLine(1, "1000 68"), packLine(1, "1000 68")), false},
		"a leading zero":      {rootText("kept root 1", object, packLine(1, "01000 68")), false},
		"a sign":              {rootText("kept root 1", object, packLine(1, "+1000 68")), false},
		"a negative size":     {rootText("kept root 1", object, packLine(1, "-1000 68")), false},
		"a huge pack":         {rootText("kept root 1", object, packLine(1, "9223372036854775807 68")), false},
		"a huge table":        {rootText("kept root 1", object, packLine(1, "1000000000 900000000")), false},
		"more table than all": {rootText("kept root 1", object, packLine(1, "100 68")), false},
		"upper case":          {rootText("kept root 1", object, "pack "+strings.Repeat("A", 64)+" 1000 68"), false},
		"a path":              {rootText("kept root 1", object, "pack ../../"+strings.Repeat("a", 58)+" 1000 68"), false},
		"two spaces":          {rootText("kept root 1", object, packLine(1, "1000  68")), false},
		"an empty line":       {rootText("kept root 1", object, ""), false},
		"CRLF":                {rootText("kept root 1\r", object+"\r"), false},
		"no end":              {[]byte("kept root 1\n" + object + "\n"), false},
		"bytes behind":        {append(rootText("kept root 1", object), '\n'), false},
		"another end":         {bytes.Replace(rootText("kept root 1", object), []byte("end "), []byte("end 0"), 1), false},
		"very long":           {rootText("kept root 1", object, strings.Repeat("x", 17<<20)), false},
	} {
		again, err := cas.ParseRoot(c.b, d)
		if (err == nil) != c.ok || c.ok && !bytes.Equal(again, c.b) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRoot(f *testing.F) {
	d := cas.Sum([]byte("x"))
	f.Add([]byte("kept root 1\nobject " + d.String() + " file\n"))
	f.Add(fmt.Appendf(nil, "kept root 1\nobject %s folder\npack %064x 1000 68\npack %064x 172 84\n", d, 1, 2))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range [][]byte{body, cas.EndRoot(body)} {
			if again, err := cas.ParseRoot(b, d); err == nil && !bytes.Equal(again, b) {
				t.Fatalf("%q is read, and written as %q", b, again)
			}
		}
	})
}
