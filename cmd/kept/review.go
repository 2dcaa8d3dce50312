package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/kept-dev/kept/lockfile"
	"github.com/kept-dev/kept/report"
)

// printReview writes what changed for people at a terminal.
func (u *ui) printReview(r *report.Review) {
	if len(r.Stages) == 0 {
		u.say("no difference between %s and %s", clean(short(r.Old.Name)), clean(short(r.New.Name)))
		return
	}
	for i, stage := range r.Stages {
		if i > 0 {
			u.printf("\n")
		}
		u.printStage(stage)
	}
	for _, p := range r.Patches {
		u.printPatch(p)
	}
}

func (u *ui) printStage(s report.Stage) {
	title := u.paint(bold, clean(s.Name))
	if s.Name == "" {
		title = u.paint(bold, "kept data")
	}
	u.printf("%s%s\n", title, fateMark(s.Fate))
	for _, section := range s.Sections {
		u.printf("  %s\n%s", section.Title, u.lines(sectionLines(section, s.Fate), "    "))
	}
}

// line is a change in cells.
type line struct {
	name string
	// Either both sides, or one of them and what became of it in mark.
	old, new, mark string
	// verdict is about a number; its colour is code.
	verdict, code string
}

// mostFiles is the number of files of a folder, or packages, that are listed.
const mostFiles = 10

// sectionLines leaves out what became of each thing where it is the same for
// the stage as a whole, which says so once.
func sectionLines(s report.Section, whole report.Fate) []line {
	var all []line
	add := func(indent string, row report.Row) {
		l := newLine(row)
		l.name = indent + l.name
		if whole != report.Changed && row.Fate == whole {
			l.mark = ""
		}
		all = append(all, l)
	}
	for _, row := range s.Rows {
		indent := "  "
		if s.Kind == lockfile.KindEnvironment && len(row.Rows) > 0 {
			indent = "" // the packages are what changed; the digest of their list says nothing more
		} else {
			add("", row)
		}
		for i, inner := range row.Rows {
			if i == mostFiles && len(row.Rows) > mostFiles+1 {
				all = append(all, line{name: indent + fmt.Sprintf("and %d more", len(row.Rows)-mostFiles)})
				break
			}
			add(indent, inner)
		}
	}
	return all
}

func newLine(row report.Row) line {
	l := line{name: clean(row.Name), old: clean(row.Old), new: clean(row.New), mark: fateMark(row.Fate)}
	if row.Fate == report.Changed && l.old == l.new {
		l.old, l.mark = "", "  (changed)" // files of one size
	}
	if row.Fate == report.Renamed {
		l.old, l.new, l.mark = "", clean(row.New), "  (was "+clean(row.Old)+")"
	}
	if row.Delta == nil {
		return l
	}
	l.verdict = report.DeltaText(*row.Delta)
	if word := report.DeltaWord(*row.Delta); word != "" {
		l.verdict += "  " + word
		l.code = map[string]string{"better": green, "worse": red}[word]
	}
	return l
}

func fateMark(f report.Fate) string {
	switch f {
	case report.Added:
		return "  (new)"
	case report.Removed:
		return "  (removed)"
	}
	return ""
}

// sides joins the sides in at most most columns; 0 is no limit.
func (l line) sides(most int) string {
	if l.old == "" || l.new == "" {
		return cut(l.old+l.new, most-utf8.RuneCountInString(l.mark)) + l.mark
	}
	const arrow = " → "
	if text := l.old + arrow + l.new; most <= 0 || utf8.RuneCountInString(text) <= most {
		return text
	}
	half := (most - 3) / 2
	return cut(l.old, half) + arrow + cut(l.new, half)
}

// lines aligns lines into columns that fit the terminal.
func (u *ui) lines(all []line, indent string) string {
	names, sides := 0, 0
	for _, l := range all {
		names = max(names, utf8.RuneCountInString(l.name))
	}
	if u.width > 0 {
		names = min(names, max(u.width/2, 16))
	}
	texts := make([]string, len(all))
	for i, l := range all {
		texts[i] = l.sides(0)
		if u.width > 0 {
			rest := u.width - len(indent) - names - 2
			if l.verdict != "" {
				rest -= utf8.RuneCountInString(l.verdict) + 2
			}
			texts[i] = l.sides(max(rest, 16))
		}
		if l.verdict != "" {
			sides = max(sides, utf8.RuneCountInString(texts[i]))
		}
	}
	var b strings.Builder
	for i, l := range all {
		text := indent
		if l.name != "" {
			text += pad(cutMiddle(l.name, names), names) + "  "
		}
		text += texts[i]
		if l.verdict != "" {
			text = indent + pad(cutMiddle(l.name, names), names) + "  " + pad(texts[i], sides) + "  "
		}
		b.WriteString(strings.TrimRight(text, " "))
		if l.verdict != "" {
			b.WriteString("  " + u.paintIf(l.code, l.verdict))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
}

// cut shortens text to most columns, of which the last says that it did.
func cut(s string, most int) string {
	if most <= 0 || utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:max(most-1, 0)]) + "…"
}

// cutMiddle keeps both ends: of a path the last name tells most.
func cutMiddle(s string, most int) string {
	runes := []rune(s)
	if most <= 0 || len(runes) <= most {
		return s
	}
	tail := (most - 1) * 2 / 3
	return string(runes[:most-1-tail]) + "…" + string(runes[len(runes)-tail:])
}

// printPatch writes the lines of code that changed.
func (u *ui) printPatch(p report.Patch) {
	title := clean(p.Path) + fateMark(p.Fate)
	if p.Fate == report.Renamed {
		title += "  (was " + clean(p.From) + ")"
	}
	u.printf("\n%s\n", u.paint(bold, title))
	if p.Note != "" {
		u.printf("%s\n", u.paint(yellow, p.Note))
	}
	for _, h := range p.Hunks {
		u.printf("%s\n", u.paint(faint, h.Header()))
		for _, l := range h.Lines {
			text := string(l.Op) + cleanCode(l.Text)
			u.printf("%s\n", u.paintIf(map[byte]string{'+': green, '-': red, '\\': faint}[l.Op], text))
		}
	}
}

// cleanCode is clean for a line of code, whose tabs are meant.
func cleanCode(s string) string {
	cells := strings.Split(s, "\t")
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	return strings.Join(cells, "\t")
}
