package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/kept-dev/kept/report"
)

// ui prints: data to out, words to err. Colour is used only where it is on, and
// nothing is said by colour alone.
type ui struct {
	out, err io.Writer
	color    bool
	// ascii is set where the locale cannot show arrows.
	ascii bool
	// width is the number of columns of the terminal that out is, and 0 where out
	// is none: what goes into a file is never cut.
	width int
	// job is set in the log of a CI job, whose runner takes some lines for commands.
	job bool
	// gitPrefix is the folder of the worktree in which the user typed the Git
	// command that called a hook: Git runs hooks at the top.
	gitPrefix string
}

func newUI(out, err *os.File) *ui {
	return &ui{out: &dataWriter{file: out}, err: err, color: wantsColor(out), ascii: wantsASCII(), width: columns(out), job: inJob()}
}

// inJob reports whether a runner reads along that takes lines for commands: that
// of GitHub Actions and what imitates it, Azure Pipelines, TeamCity.
func inJob() bool {
	for _, name := range []string{"GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION"} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}

// wantsASCII reports whether the locale names another encoding than UTF-8, as
// LC_ALL=C does. A locale that nobody chose is taken for UTF-8.
func wantsASCII() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(os.Getenv(name)); locale != "" {
			return !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8")
		}
	}
	return false
}

// plain says kept's own signs in ASCII. Text of the repository stays what it is.
var plain = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer("→", "->", "…", "...", "↑", "^", "↓", "v", "−", "-", "±", "+/-", "✓", "ok", "✗", "x", "·", "-", "≥", ">=", "≤", "<=")
})

func columns(f *os.File) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func wantsColor(f *os.File) bool {
	switch {
	case os.Getenv("NO_COLOR") != "":
		return false
	case os.Getenv("CLICOLOR_FORCE") != "" && os.Getenv("CLICOLOR_FORCE") != "0":
		return true
	}
	return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	faint  = "2"
)

func (u *ui) paint(code, s string) string {
	if !u.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// paintIf is paint where there is a code.
func (u *ui) paintIf(code, s string) string {
	if code == "" {
		return s
	}
	return u.paint(code, s)
}

// printf writes data.
func (u *ui) printf(format string, args ...any) { u.write(u.out, fmt.Sprintf(format, args...)) }

// say writes words for people.
func (u *ui) say(format string, args ...any) { u.write(u.err, fmt.Sprintf(format+"\n", args...)) }

// write is the one way to a terminal or a log, for all but documents, which see
// to themselves.
func (u *ui) write(w io.Writer, text string) {
	if u.ascii {
		text = plain().Replace(text)
	}
	if u.job {
		text = report.PlainLog(text)
	}
	io.WriteString(w, text) //nolint:errcheck // a dataWriter remembers it; of words there is nobody left to tell
}

// dataWriter is standard output. It remembers that something did not get there,
// as on a full disk: a command that lost its data is not done.
type dataWriter struct {
	file *os.File
	lost error
}

func (w *dataWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err != nil && w.lost == nil {
		w.lost = fmt.Errorf("write to standard output: %w", err)
	}
	return n, err
}

// lost returns why data of the command did not get out.
func (u *ui) lost() error {
	if w, ok := u.out.(*dataWriter); ok {
		return w.lost
	}
	return nil
}

// json writes v as the command's data.
func (u *ui) json(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := u.out.Write(report.VisibleJSON(b.Bytes()))
	return err
}

// wordsOf returns a writer for what another program says of the repository, whose
// lines come out as harmless as kept's own, without blank ones. A line that is
// drawn anew becomes several. Flush it for what has no line end.
func (u *ui) wordsOf() *wordWriter { return &wordWriter{u: u} }

type wordWriter struct {
	u    *ui
	mu   sync.Mutex
	line []byte
}

// longestLine bounds what a line that never ends takes in memory.
const longestLine = 64 << 10

func (w *wordWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range p {
		if c == '\n' || c == '\r' || len(w.line) == longestLine {
			w.end()
		}
		if c != '\n' && c != '\r' {
			w.line = append(w.line, c)
		}
	}
	return len(p), nil
}

func (w *wordWriter) end() {
	if len(w.line) > 0 {
		w.u.write(w.u.err, cleanCode(string(w.line))+"\n")
	}
	w.line = w.line[:0]
}

func (w *wordWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end()
}

// clean makes text that came from a repository harmless on a terminal: control
// and bidirectional characters are written as escapes.
func clean(s string) string {
	if strings.IndexFunc(s, isHarmful) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case isHarmful(r):
			b.WriteString(strings.Trim(fmt.Sprintf("%+q", r), "'"))
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func isHarmful(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control) || r == 0x2028 || r == 0x2029
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// table aligns rows of cells into columns. The last cell of a row is not padded.
func table(rows [][]string, indent string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row[:max(len(row)-1, 0)] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(indent)
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
