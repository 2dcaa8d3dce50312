package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// table is what one group measured: a row per thing, a column per contender.
type table struct {
	title string
	// subject is the column whose ratios are shown.
	subject string
	// columns are in the order in which they are printed.
	columns []string
	// peers are the columns of which the smallest figure is the one to beat.
	peers map[string]bool
	rows  []*row
	notes []string
}

// physical is the column of what the machine can do at best.
const physical = "physical"

func newTable(title string, contenders []contender) *table {
	t := &table{title: title, subject: "kept", peers: map[string]bool{}}
	for _, c := range contenders {
		t.columns = append(t.columns, c.name)
		if c.peer {
			t.peers[c.name] = true
		}
	}
	return t
}

// row is one thing that is measured.
type row struct {
	name    string
	format  func(float64) string
	samples map[string][]sample
	limits  []limit
}

// sample is a figure in seconds or bytes; cost is set where it is a time.
type sample struct {
	value float64
	cost  cost
}

// limit is a target: the subject's median is at most this many times another figure.
type limit struct {
	most float64
	// than names it: a column, best, or anything where of is set.
	than string
	// of returns it.
	of func() float64
}

func (l limit) String() string {
	if l.most == 1 && l.of != nil {
		return "<= " + l.than
	}
	return fmt.Sprintf("<= %gx %s", l.most, l.than)
}

// best is the fastest or smallest of the peers.
const best = "best peer"

func (t *table) row(name string, format func(float64) string, limits ...limit) *row {
	r := &row{name: name, format: format, samples: map[string][]sample{}, limits: limits}
	t.rows = append(t.rows, r)
	return r
}

func (r *row) add(column string, s sample) { r.samples[column] = append(r.samples[column], s) }

// median returns a column's median, NaN where there is none.
func (r *row) median(column string, of func(sample) float64) float64 {
	var values []float64
	for _, s := range r.samples[column] {
		values = append(values, of(s))
	}
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}

func value(s sample) float64 { return s.value }

// best returns the peer with the smallest median.
func (t *table) best(r *row) (name string, least float64) {
	least = math.NaN()
	for _, column := range t.columns {
		if v := r.median(column, value); t.peers[column] && !math.IsNaN(v) && !(v >= least) {
			name, least = column, v
		}
	}
	return name, least
}

// figure is what a limit is a multiple of.
func (t *table) figure(r *row, l limit) float64 {
	if l.of != nil {
		return l.of()
	}
	if l.than == best {
		_, v := t.best(r)
		return v
	}
	return r.median(l.than, value)
}

// verdict says whether the subject keeps to the limits of a row.
func (t *table) verdict(r *row) string {
	if len(r.limits) == 0 {
		return ""
	}
	verdict := "yes"
	for _, l := range r.limits {
		switch ratio := r.median(t.subject, value) / t.figure(r, l); {
		case math.IsNaN(ratio):
			return "not measured"
		case ratio > l.most:
			verdict = "**no**"
		}
	}
	return verdict
}

// print writes the table in Markdown, then how far the samples are apart.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n", t.title)
	header := append([]string{""}, t.columns...)
	if len(t.peers) > 0 {
		header = append(header, t.subject+" / "+best)
	}
	if slices.Contains(t.columns, physical) {
		header = append(header, t.subject+" / "+physical)
	}
	printRow(w, append(header, "target", "holds"))
	printRow(w, slices.Repeat([]string{"---"}, len(header)+2))
	for _, r := range t.rows {
		printRow(w, t.cells(r))
	}
	t.printSpread(w)
	if len(t.notes) > 0 {
		fmt.Fprintf(w, "\n- %s\n", strings.Join(t.notes, "\n- "))
	}
}

func printRow(w io.Writer, cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }

func (t *table) cells(r *row) []string {
	cells := []string{r.name}
	for _, column := range t.columns {
		cell := ""
		if v := r.median(column, value); !math.IsNaN(v) {
			cell = r.format(v)
			if cpu := r.median(column, func(s sample) float64 { return s.cost.cpu.Seconds() }); cpu > 0 {
				cell += " (CPU " + seconds(cpu) + ")"
			}
		}
		cells = append(cells, cell)
	}
	own := r.median(t.subject, value)
	if len(t.peers) > 0 {
		name, least := t.best(r)
		cells = append(cells, ratio(own/least, name))
	}
	if slices.Contains(t.columns, physical) {
		cells = append(cells, ratio(own/r.median(physical, value), ""))
	}
	var targets []string
	for _, l := range r.limits {
		targets = append(targets, l.String())
	}
	return append(cells, strings.Join(targets, ", "), t.verdict(r))
}

func ratio(v float64, name string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	text := fmt.Sprintf("%.2fx", v)
	if v < 0.1 {
		text = fmt.Sprintf("%.3fx", v)
	}
	if name != "" {
		text += " (" + name + ")"
	}
	return text
}

// printSpread writes the smallest and largest sample of each time, the largest
// memory, and how busy others kept the processors.
func (t *table) printSpread(w io.Writer) {
	var lines [][]string
	var shares []float64
	count := map[int]bool{}
	for _, r := range t.rows {
		line, timed := []string{r.name}, false
		for _, column := range t.columns {
			cell := ""
			if list := r.samples[column]; len(list) > 0 && list[0].cost.wall > 0 {
				timed = true
				var memory int64
				low, high := math.Inf(1), 0.0
				for _, s := range list {
					low, high, memory = min(low, s.value), max(high, s.value), max(memory, s.cost.memory)
					shares = append(shares, s.cost.others.Seconds()/s.cost.wall.Seconds())
				}
				count[len(list)] = true
				cell = fmt.Sprintf("%s to %s, %d MB", r.format(low), r.format(high), memory/1e6)
			}
			line = append(line, cell)
		}
		if timed {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return
	}
	slices.Sort(shares)
	fmt.Fprintf(w, "\nFastest and slowest of %s samples, and the largest resident set of a process. Other programs took %.2f processors (median; 9 of 10 samples at most %.2f).\n\n",
		join(count), shares[len(shares)/2], shares[len(shares)*9/10])
	printRow(w, append([]string{""}, t.columns...))
	printRow(w, slices.Repeat([]string{"---"}, len(t.columns)+1))
	for _, line := range lines {
		printRow(w, line)
	}
}

func join(numbers map[int]bool) string {
	var words []string
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		words = append(words, fmt.Sprint(n))
	}
	return strings.Join(words, " or ")
}

// seconds formats a time with three digits.
func seconds(v float64) string {
	switch {
	case v < 1e-3:
		return fmt.Sprintf("%.3g µs", v*1e6)
	case v < 1:
		return fmt.Sprintf("%.3g ms", v*1e3)
	case v < 100:
		return fmt.Sprintf("%.3g s", v)
	default:
		return time.Duration(v * float64(time.Second)).Round(time.Second).String()
	}
}

// megabytes formats a size, MB being 1e6 bytes.
func megabytes(v float64) string {
	if math.Abs(v) < 10e6 {
		return fmt.Sprintf("%.2f MB", v/1e6)
	}
	return fmt.Sprintf("%.0f MB", v/1e6)
}
