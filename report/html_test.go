package report

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func attributeOf(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// The page says what it may load, and needs no more: nothing from elsewhere, no
// script, no style but the one whose hash it names.
func TestHTMLPolicy(t *testing.T) {
	o := options()
	o.Draw = func([]Curve) ([]byte, error) { return []byte("<svg><script>alert(1)</script></svg>"), nil }
	tree := parseHTML(text(t, HTML, []*Review{worked(), second()}, o))
	styles := elements(tree, "style")
	if len(styles) != 1 {
		t.Fatalf("%d style sheets", len(styles))
	}
	hash := sha256.Sum256([]byte(content(styles[0])))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"
	policy := ""
	for _, m := range elements(tree, "meta") {
		if attributeOf(m, "http-equiv") == "Content-Security-Policy" {
			policy = attributeOf(m, "content")
		}
	}
	if policy != want {
		t.Errorf("policy %q, want %q", policy, want)
	}
	if strings.ContainsAny(style, "<\r") || strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		t.Error("the style sheet ends early or loads something")
	}
	for _, name := range []string{"script", "link", "iframe", "object", "embed", "form", "base", "a"} {
		if n := len(elements(tree, name)); n > 0 {
			t.Errorf("%d elements %s", n, name)
		}
	}
	images := elements(tree, "img")
	if len(images) != 1 || !strings.HasPrefix(attributeOf(images[0], "src"), "data:image/svg+xml;base64,") || attributeOf(images[0], "alt") == "" {
		t.Errorf("images %v", images)
	}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || a.Key == "href" {
				t.Errorf("attribute %s of %s", a.Key, n.Data)
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(tree)
}

func TestHTMLTable(t *testing.T) {
	tree := parseHTML(text(t, HTML, []*Review{worked()}, options()))
	if h := content(elements(tree, "h1")[0]); h != "Gate failed" {
		t.Errorf("heading %q", h)
	}
	rows := cells(elements(tree, "table")[0])
	want := []string{"evaluate.recall ↑", "0.8125", "0.7911", "−0.0214 (−2.6 %) worse", "failed0.7911 is below min 0.8"}
	if !slices.Equal(rows[1], want) {
		t.Errorf("row %q, want %q", rows[1], want)
	}
	// All bars stay inside their box.
	for _, r := range elements(tree, "rect") {
		if x := attributeOf(r, "x"); strings.HasPrefix(x, "-") || strings.Contains(x+attributeOf(r, "width"), "N") {
			t.Errorf("bar at %q, %q wide", x, attributeOf(r, "width"))
		}
	}
	if plain := text(t, HTML, []*Review{second()}, options()); strings.Contains(plain, "<th>gate</th>") {
		t.Error("a plain diff has a column for the gate")
	}
}

func TestHTMLWithoutPictures(t *testing.T) {
	o := options()
	o.Draw = func([]Curve) ([]byte, error) { return nil, errors.New("nothing to draw") }
	for _, o := range []Options{o, options()} {
		if page := text(t, HTML, []*Review{worked()}, o); strings.Contains(page, "<figure>") || strings.Contains(page, `class="curves"`) {
			t.Error("a curve that could not be drawn leaves an empty frame")
		}
	}
}

// A class without a rule, or a rule without an element, is a typing error.
func TestHTMLClasses(t *testing.T) {
	o := options()
	o.Draw = func([]Curve) ([]byte, error) { return []byte("<svg/>"), nil }
	tree := parseHTML(text(t, HTML, []*Review{worked(), second()}, o))
	used := map[string]bool{}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		for _, class := range strings.Fields(attributeOf(n, "class")) {
			used[class] = true
			if !regexp.MustCompile(`\.` + class + `\b`).MatchString(style) {
				t.Errorf("class %q is not in the style sheet", class)
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(tree)
	for _, m := range regexp.MustCompile(`\.([a-z]+)[ ,.:{]`).FindAllStringSubmatch(style, -1) {
		if !used[m[1]] {
			t.Errorf("rule for %q, which no element has", m[1])
		}
	}
}
