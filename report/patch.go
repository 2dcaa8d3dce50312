package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/sergi/go-diff/diffmatchpatch"

	"github.com/kept-dev/kept/core"
)

// Patch is a file of code that changed, line by line.
type Patch struct {
	// Path is relative to the folder of kept.toml; From is the path that the file
	// had where it was renamed, and empty else.
	Path, From string
	Fate       Fate
	// Note says what the lines do not: that the file is binary, or is not the one
	// that was recorded.
	Note  string
	Hunks []Hunk
}

// Hunk is a run of lines around changes, as in a unified diff.
type Hunk struct {
	// OldStart and NewStart are the first lines, counted from 1, of OldLines and
	// NewLines lines. A side without lines starts at the line before.
	OldStart, OldLines, NewStart, NewLines int
	Lines                                  []Line
}

// Header returns the hunk's place as unified diffs write it: "@@ -1,3 +1,4 @@".
func (h Hunk) Header() string {
	return fmt.Sprintf("@@ -%d,%d +%d,%d @@", h.OldStart, h.OldLines, h.NewStart, h.NewLines)
}

// Line is a line of a hunk without its end.
type Line struct {
	// Op is ' ' for a line of both sides, '-' for one of the old and '+' for one
	// of the new side, and '\\' for the remark that the line before has no end.
	Op   byte
	Text string
}

// hunkContext is the number of unchanged lines that are shown around changes.
const hunkContext = 3

// NewPatch compares both sides of a file.
func NewPatch(f core.CodeFile) Patch {
	p := Patch{Path: f.Path, From: f.From, Fate: sidesFate(f.Old != nil, f.New != nil)}
	if f.From != "" {
		p.Fate = Renamed
	}
	switch {
	case f.Opaque:
		p.Note = "binary or very large: not shown"
		return p
	case f.Unrecorded:
		p.Note = "edited after the run: these lines are not what was recorded"
	}
	p.Hunks = hunks(lines(string(f.Old), string(f.New)))
	return p
}

// lines compares two texts line by line.
func lines(old, new string) []Line {
	dmp := diffmatchpatch.New()
	dmp.DiffTimeout = 2 * time.Second
	a, b, all := dmp.DiffLinesToRunes(old, new)
	var result []Line
	for _, d := range dmp.DiffCharsToLines(dmp.DiffMainRunes(a, b, false), all) {
		op := map[diffmatchpatch.Operation]byte{diffmatchpatch.DiffDelete: '-', diffmatchpatch.DiffInsert: '+', diffmatchpatch.DiffEqual: ' '}[d.Type]
		for text := range strings.Lines(d.Text) {
			line, ended := strings.CutSuffix(text, "\n")
			result = append(result, Line{op, line})
			if !ended {
				result = append(result, Line{'\\', "no newline at the end of the file"})
			}
		}
	}
	return result
}

// hunks groups lines around the changes.
func hunks(all []Line) []Hunk {
	shown := make([]bool, len(all))
	for i, line := range all {
		if line.Op == '-' || line.Op == '+' {
			for k := max(i-hunkContext, 0); k <= min(i+hunkContext, len(all)-1); k++ {
				shown[k] = true
			}
		}
	}
	var result []Hunk
	var old, new int // lines of each side so far
	for i, line := range all {
		if shown[i] {
			if i == 0 || !shown[i-1] {
				result = append(result, Hunk{OldStart: old + 1, NewStart: new + 1})
			}
			result[len(result)-1].add(line)
		}
		if line.Op == ' ' || line.Op == '-' {
			old++
		}
		if line.Op == ' ' || line.Op == '+' {
			new++
		}
	}
	for i := range result {
		if h := &result[i]; h.OldLines == 0 {
			h.OldStart--
		} else if h.NewLines == 0 {
			h.NewStart--
		}
	}
	return result
}

func (h *Hunk) add(line Line) {
	h.Lines = append(h.Lines, line)
	if line.Op == ' ' || line.Op == '-' {
		h.OldLines++
	}
	if line.Op == ' ' || line.Op == '+' {
		h.NewLines++
	}
}
