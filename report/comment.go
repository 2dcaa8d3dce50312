package report

import (
	"fmt"
	"slices"
	"strings"
)

// comment is the document before it is cut: what always stays, and tables whose
// rows may go.
type comment struct {
	head, foot string
	parts      []*part
	// dropped counts the experiments that found no room.
	dropped int
	whole   string
}

// part is one experiment.
type part struct {
	head   string
	tables []*rowTable
}

// rowTable is a table of which the last rows may be left out.
type rowTable struct {
	// rank is what the table gives way to: the highest is cut first.
	rank int
	// noun is what a row is.
	noun        string
	open, close string
	rows        []string
	// keep is how many rows are shown, floor how many stay while anything else can go.
	keep, floor int
	whole       string
}

func (t *rowTable) text() string {
	switch {
	case len(t.rows) == 0:
		return ""
	case t.keep == 0:
		return t.note()
	}
	return t.open + strings.Join(t.rows[:t.keep], "") + t.note() + t.close
}

// note says what was left out.
func (t *rowTable) note() string {
	if t.keep == len(t.rows) {
		return ""
	}
	more := "more "
	if t.keep == 0 {
		more = ""
	}
	return fmt.Sprintf("\n… and %s: %s\n\n", plural(len(t.rows)-t.keep, more+t.noun), t.whole)
}

// shrink leaves out rows, but for the first floor, until the table is shorter by
// at least excess bytes, and returns by how much it became shorter.
func (t *rowTable) shrink(excess, floor int) int {
	before := len(t.text())
	size := before
	for t.keep > floor && before-size < excess {
		noteBefore := len(t.note())
		t.keep--
		size += len(t.note()) - noteBefore - len(t.rows[t.keep])
		if t.keep == 0 {
			size = len(t.text())
		}
	}
	return before - size
}

func (p *part) size() int {
	n := len(p.head)
	for _, t := range p.tables {
		n += len(t.text())
	}
	return n
}

// fit cuts rows from the least important table on, of the last experiment
// first. Then whole experiments go, the best ones, and then the rows of the
// worst one that failed.
func (d *comment) fit(limit int) {
	size := len(d.text())
	for rank := rankLast; rank >= 0 && size > limit; rank-- {
		for _, p := range slices.Backward(d.parts) {
			for _, t := range p.tables {
				if t.rank == rank && size > limit {
					size -= t.shrink(size-limit, t.floor)
				}
			}
		}
	}
	for size > limit && len(d.parts) > 1 {
		last := len(d.parts) - 1
		size -= d.parts[last].size() + len(d.note())
		d.parts = d.parts[:last]
		d.dropped++
		size += len(d.note())
	}
	if size > limit && len(d.parts) > 0 {
		for _, t := range slices.Backward(d.parts[0].tables) {
			size -= t.shrink(size-limit, 0)
		}
	}
}

func (d *comment) note() string {
	if d.dropped == 0 {
		return ""
	}
	return fmt.Sprintf("… and %s: %s\n\n", plural(d.dropped, "more experiment"), d.whole)
}

func (d *comment) text() string {
	var b strings.Builder
	b.WriteString(d.head)
	for _, p := range d.parts {
		b.WriteString(p.head)
		for _, t := range p.tables {
			b.WriteString(t.text())
		}
	}
	b.WriteString(d.note())
	b.WriteString(d.foot)
	return b.String()
}
