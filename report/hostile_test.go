package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	renderer "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"

	"github.com/kept-dev/kept/lockfile"
)

// hostile are texts that mean something in one of the formats, or in what shows them.
var hostile = []string{
	// Markdown and what GitHub and GitLab make of text
	"@team", "me@example.org", "#1", "GH-1", "owner/repo#1", "5f8e0c1b2a3d4e5f60718293a4b5c6d7e8f90a1b", "!1", "~label", "%milestone", "&epic",
	"http://example.org", "www.example.org", "xmpp:a@example.org", "<https://example.org>", "$x$", "$`x`$", "$$x$$", "```math", ":tada:", "[^1]", "[^1]: note",
	"[x](y)", "[x]: y", "[x][y]", "![](https://example.org/a.png)", "![x]", "**b** _i_ ~~s~~ ==m==", "# h", "- a", "1. a", "> q", "---", "===", "| a | b |", "|", "||", `a\|b`, `\`, `a\`, `\\|`,
	"`", "``", "a`b", "`a`", "`` ` ``", "```\ncode\n```", strings.Repeat("`", 300), "~~~", "    code", "\tcode", "a  \nb", "/close", "[[_TOC_]]", "{+a+}", "[ ]",
	// markup
	"<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "</details>", "</summary><b>", "</code>", "</td></tr></table>", "<!--", "-->", "--!>", "]]>", "<![CDATA[x", "<?php ?>", "<!doctype html>",
	`" onmouseover="alert(1)`, `' x='`, "&lt;b&gt;", "&amp;", "&#60;", "</style>", "</title>", "<svg/onload=alert(1)>", "javascript:alert(1)", "{{.}}", "<%= 1 %>",
	// CI logs
	"::error::x", "\n::error::x", "::set-output name=a::b", "\r::stop-commands::x", " ::add-mask::a", "##[group]", "a ##[error]b", "##vso[task.complete]x", "%0A::error::x", "a,line=1", "a::b", "%25", "%3A%2C",
	// terminals
	"\x1b[31mred\x1b[0m", "\x1b]8;;http://example.org\x1b\\x\x1b]8;;\x1b\\", "\x1b]0;title\a", "\u009b31m", "\a\b\x7f",
	// characters
	"\u202egpj.exe", "\u2066a\u2069", "a\u200bb", "\ufeffa", "\x00", "a\nb", "a\r\nb", "a\u0085b", "a\u2028b\u2029c", "\u3164", "\u0338", "Z\u0300\u0301\u0302\u0303\u0304\u0305", "\ufffe", "\uffff", "\U0010ffff",
	" a", "a ", "  ", "a  b", "\t", "\u00a0", "\xff\xfe", "\xed\xa0\x80", "🏳️‍🌈", "ÄÖ", "مرحبا",
	// JSON, OpenMetrics
	`"`, `\"`, `","x":"y`, `\u0000`, "}]", "\"} 1\n", "# EOF\nkept_evil 1", "# EOF", `a",evil="b`, `\n`,
	strings.Repeat("a", 10_000), strings.Repeat("| ", 5_000), strings.Repeat("\u202e", 10_000), strings.Repeat("a\n", 3_000),
}

// fill puts a text into every string that a value holds, and a number into each
// of them so that they differ.
func fill(v reflect.Value, s string, n *int) {
	switch v.Kind() {
	case reflect.String:
		*n++
		v.SetString(s + strconv.Itoa(*n) + s)
	case reflect.Interface:
		switch inner := v.Elem(); inner.Kind() {
		case reflect.String:
			*n++
			v.Set(reflect.ValueOf(s + strconv.Itoa(*n) + s))
		case reflect.Pointer, reflect.Slice:
			fill(inner, s, n)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), s, n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), s, n)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), s, n)
		}
	case reflect.Map:
		if v.Len() > 0 {
			panic("a review with a map: teach fill")
		}
	}
}

// filled returns two reviews, one with a gate and one without, and options that
// say s wherever they can.
func filled(s string) ([]*Review, Options) {
	n := 0
	reviews := []*Review{worked(), second()}
	fill(reflect.ValueOf(reviews), s, &n)
	o := Options{Limit: SummaryLimit, Line: func(string, string, string) int { return 7 }, Draw: func([]Curve) ([]byte, error) { return []byte("<svg>" + s + "</svg>"), nil }}
	fill(reflect.ValueOf(&o), s, &n)
	return reviews, o
}

func TestFillReachesEveryString(t *testing.T) {
	var empty func(path string, v reflect.Value)
	empty = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if v.String() == "" {
				t.Errorf("%s has no text", path)
			}
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				empty(path, v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				empty(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				empty(path, v.Index(i))
			}
		}
	}
	reviews, o := filled("x")
	empty("Review", reflect.ValueOf(reviews))
	empty("Options", reflect.ValueOf(o))
	// What the worked example does not have would not be tested.
	some := reviews[0]
	for name, n := range map[string]int{"stages": len(some.Stages), "curves": len(some.Curves), "metrics": len(some.Metrics), "findings": len(some.Verdict.Findings), "unused": len(some.Verdict.Unused)} {
		if n == 0 {
			t.Errorf("the worked example has no %s", name)
		}
	}
}

// TestHostile compares each document with the one of harmless texts: there must
// be the same elements, cases, samples and commands in both.
func TestHostile(t *testing.T) {
	harmless := map[string]string{}
	for _, f := range formats {
		reviews, o := filled("x")
		harmless[f.name] = text(t, f.write, reviews, o)
	}
	for _, s := range hostile {
		checkHostile(t, s, harmless)
	}
}

func checkHostile(t *testing.T, s string, harmless map[string]string) {
	t.Helper()
	reviews, o := filled(s)
	name := clip(s, 60)
	for _, f := range formats {
		got, want := text(t, f.write, reviews, o), harmless[f.name]
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && r != '\ufe0f' && !hasGlyph(r) }); i >= 0 {
			t.Errorf("%s of %q: %q is not visible", f.name, name, got[i:min(i+20, len(got))])
		}
		if f.name != "github.txt" {
			if commands := runnerCommands(got); len(commands) > 0 {
				t.Errorf("%s of %q has workflow commands: %q", f.name, name, commands)
			}
		}
		var err error
		switch f.name {
		case "md":
			err = sameMarkdown(got, want)
		case "html":
			err = sameHTML(got, want)
		case "github.txt":
			err = sameCommands(got, want)
		case "junit.xml":
			err = sameXML(got, want)
		case "openmetrics.txt":
			err = sameSamples(got, want)
		case "json":
			err = exactJSON(got, reviews[0])
		default:
			t.Fatalf("format %s: teach TestHostile", f.name)
		}
		if err != nil {
			t.Errorf("%s of %q: %v", f.name, name, err)
		}
	}
}

// plainText is what Markdown may show outside of code: words, numbers and the
// signs of the writer. There is none in it that a platform acts on.
var plainText = regexp.MustCompile(`^[\pL\pM\pN\s|·,.:;!?()%+=–−…↳↑↓±'’-]*$`)

func sameMarkdown(got, want string) error {
	gotTree, wantTree := renderMarkdown(got), renderMarkdown(want)
	if err := plainOutsideCode(gotTree); err != nil {
		return err
	}
	return sameTree(gotTree, wantTree, true)
}

// linked is what platforms make links of all the same: addresses and commit ids.
var linked = regexp.MustCompile(`(?i)www\.|\b[0-9a-f]{7,}\b`)

// plainOutsideCode looks at the text nodes. Signs of verdicts and sparklines are the writer's.
func plainOutsideCode(n *html.Node) error {
	if n.Type == html.ElementNode && (n.Data == "code" || n.Data == "pre") {
		return nil
	}
	if n.Type == html.TextNode {
		text := strings.Map(func(r rune) rune {
			if strings.ContainsRune("✅🟡🟠⚠\ufe0f❌▁▂▃▄▅▆▇█", r) {
				return -1
			}
			return r
		}, n.Data)
		if !plainText.MatchString(text) || linked.MatchString(text) {
			return fmt.Errorf("text outside of code: %q", n.Data)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if err := plainOutsideCode(c); err != nil {
			return err
		}
	}
	return nil
}

func renderMarkdown(source string) *html.Node {
	md := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(renderer.WithUnsafe()))
	var b strings.Builder
	if err := md.Convert([]byte(source), &b); err != nil {
		panic(err)
	}
	return parseHTML(b.String())
}

func parseHTML(source string) *html.Node {
	tree, err := html.Parse(strings.NewReader(source))
	if err != nil {
		panic(err)
	}
	return tree
}

func sameHTML(got, want string) error { return sameTree(parseHTML(got), parseHTML(want), false) }

// sameTree compares elements and attributes. In Markdown the number of code
// spans depends on the text; in neither do texts and the picture's data count.
func sameTree(got, want *html.Node, markdown bool) error {
	a, b := skeleton(got, markdown), skeleton(want, markdown)
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return fmt.Errorf("another structure from line %d on:\n%s\nwant\n%s", i, strings.Join(a[max(i-3, 0):min(i+5, len(a))], "\n"), strings.Join(b[max(i-3, 0):min(i+5, len(b))], "\n"))
		}
	}
	return nil
}

func skeleton(n *html.Node, markdown bool) []string {
	var lines []string
	var walk func(n *html.Node, depth int)
	walk = func(n *html.Node, depth int) {
		switch {
		case n.Type == html.ElementNode && (!markdown || n.Data != "code"):
			line := strings.Repeat(" ", depth) + n.Data
			for _, a := range n.Attr {
				if a.Key == "alt" || a.Key == "src" && strings.HasPrefix(a.Val, "data:image/svg+xml;base64,") {
					a.Val = "…"
				}
				line += " " + a.Key + "=" + a.Val
			}
			lines = append(lines, line)
		case n.Type == html.CommentNode && (!markdown || !strings.HasPrefix(n.Data, " kept:report key=")):
			lines = append(lines, "comment "+n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, depth+1)
		}
	}
	walk(n, 0)
	return lines
}

var oldCommand = regexp.MustCompile(`##[A-Za-z]*\[`)

// runnerCommands returns the lines that GitHub's runner takes for commands, in
// either of its syntaxes, and those that Azure's does. A line ends at CR, LF or both.
func runnerCommands(log string) []string {
	var commands []string
	for _, line := range strings.FieldsFunc(log, func(r rune) bool { return r == '\n' || r == '\r' }) {
		trimmed := strings.TrimLeftFunc(line, unicode.IsSpace)
		if strings.HasPrefix(trimmed, "::") && strings.Contains(trimmed[2:], "::") || oldCommand.MatchString(line) {
			commands = append(commands, line)
		}
	}
	return commands
}

var commandLine = regexp.MustCompile(`^::(error|warning|notice) file=([^,:\r]+),line=\d+,title=([^,:\r]+)::([^\r]+)$`)

func sameCommands(got, want string) error {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(a) != len(b) || a[len(a)-1] != "" {
		return fmt.Errorf("%d lines, want %d", len(a), len(b))
	}
	for i := range len(a) - 1 {
		x, y := commandLine.FindStringSubmatch(a[i]), commandLine.FindStringSubmatch(b[i])
		if x == nil || y == nil || x[1] != y[1] {
			return fmt.Errorf("command %.200q, want %.200q", a[i], b[i])
		}
	}
	return nil
}

func sameXML(got, want string) error {
	a, err := xmlElements(got)
	if err != nil {
		return err
	}
	b, err := xmlElements(want)
	if err != nil {
		return err
	}
	if !slices.Equal(a, b) {
		return fmt.Errorf("elements %q, want %q", a, b)
	}
	return nil
}

func xmlElements(source string) ([]string, error) {
	var elements []string
	decoder := xml.NewDecoder(strings.NewReader(source))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return elements, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			line := token.Name.Local
			for _, a := range token.Attr {
				line += " " + a.Name.Local
			}
			elements = append(elements, line)
		case xml.Comment, xml.Directive:
			return nil, fmt.Errorf("token %v", token)
		}
	}
}

var sampleLine = regexp.MustCompile(`^(kept_[a-z_]+)\{experiment="((?:[^"\\\n]|\\[\\"n])*)",stage="((?:[^"\\\n]|\\[\\"n])*)",name="((?:[^"\\\n]|\\[\\"n])*)"\} (NaN|[+-]Inf|-?[0-9.e+-]+)$`)

func sameSamples(got, want string) error {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(a) != len(b) || !strings.HasSuffix(got, "\n# EOF\n") || strings.Count("\n"+got, "\n# EOF") != 1 {
		return fmt.Errorf("%d lines, want %d, and one end", len(a), len(b))
	}
	seen := map[string]bool{}
	for i, line := range a {
		if strings.HasPrefix(line, "#") || line == "" {
			if line != b[i] {
				return fmt.Errorf("line %q, want %q", line, b[i])
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			return fmt.Errorf("no sample: %.300q", line)
		}
		series := line[:strings.LastIndexByte(line, ' ')]
		if seen[series] {
			return fmt.Errorf("twice: %.300q", series)
		}
		seen[series] = true
	}
	return nil
}

// exactJSON checks that what is read back is what was put in.
func exactJSON(got string, r *Review) error {
	var document struct {
		Version     int
		Experiments []struct {
			Experiment string
			Verdict    struct {
				Findings []struct{ Stage, Key, Reason string }
			}
			Stages []struct {
				Name     string
				Sections []struct {
					Rows []struct {
						Name string
						New  any
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(got), &document); err != nil {
		return err
	}
	e := document.Experiments[0]
	data, _ := e.Stages[0].Sections[0].Rows[0].New.(map[string]any)
	path, _ := data["path"].(string)
	pairs := [][2]string{{e.Experiment, r.Experiment}, {e.Stages[0].Name, r.Stages[0].Name}, {path, r.Stages[0].Sections[0].Rows[0].NewEntry.(*lockfile.Artifact).Path},
		{e.Verdict.Findings[0].Stage, r.Verdict.Findings[0].Stage}, {e.Verdict.Findings[0].Key, r.Verdict.Findings[0].Key}, {e.Verdict.Findings[0].Reason, r.Verdict.Findings[0].Reason}}
	for _, p := range pairs {
		if want := strings.ToValidUTF8(p[1], "\ufffd"); p[0] != want && utf8.ValidString(p[1]) {
			return fmt.Errorf("text %.100q, want %.100q", p[0], want)
		}
	}
	return nil
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	reviews, o := filled("x")
	want := text(f, Markdown, reviews, o)
	f.Fuzz(func(t *testing.T, s string) {
		reviews, o := filled(s)
		if err := sameMarkdown(text(t, Markdown, reviews, o), want); err != nil {
			t.Error(err)
		}
	})
}

func FuzzAnnotations(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	reviews, o := filled("x")
	want := text(f, Annotations, reviews, o)
	f.Fuzz(func(t *testing.T, s string) {
		reviews, o := filled(s)
		if err := sameCommands(text(t, Annotations, reviews, o), want); err != nil {
			t.Error(err)
		}
	})
}
