package lockfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const seriesHeader = "kept history 1\n"

// ErrSeries reports bytes that are not a series in its canonical form.
var ErrSeries = errors.New("not a series of a metric")

// Point is the value of a metric at a step: an int64 or a float64.
type Point struct {
	Step  int64
	Value Value
}

// MarshalSeries returns the canonical text of a metric's history: the line
// "kept history 1", then a line "<step> <value>" per point, sorted by step.
// Points of one step stay in the order in which they were logged. The digest of
// this text is what Stage.History names.
//
// It panics on a value that is no number.
func MarshalSeries(points []Point) []byte {
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b Point) int { return cmp.Compare(a.Step, b.Step) })
	b := []byte(seriesHeader)
	for _, p := range sorted {
		if err := checkMetric(p.Value); err != nil {
			panic(fmt.Sprintf("lockfile: step %d: %v", p.Step, err))
		}
		b = strconv.AppendInt(b, p.Step, 10)
		b = append(b, ' ')
		b = append(appendInline(b, p.Value), '\n')
	}
	return b
}

// ParseSeries reads what MarshalSeries wrote. Other spellings of the same
// numbers, unsorted steps and a missing last line break give ErrSeries: a
// series has one digest.
func ParseSeries(data []byte) ([]Point, error) {
	body, ok := bytes.CutPrefix(data, []byte(seriesHeader))
	if !ok {
		return nil, fmt.Errorf("line 1: %w: it does not begin with the line %q", ErrSeries, strings.TrimSpace(seriesHeader))
	}
	points := make([]Point, 0, bytes.Count(body, []byte("\n")))
	for line := 2; len(body) > 0; line++ {
		text, rest, ok := bytes.Cut(body, []byte("\n"))
		if !ok {
			return nil, fmt.Errorf("line %d: %w: the last line is cut off", line, ErrSeries)
		}
		p, ok := parsePoint(string(text))
		if !ok {
			return nil, fmt.Errorf("line %d: %w: %.80q is not a step and a number in canonical form", line, ErrSeries, text)
		}
		if n := len(points); n > 0 && points[n-1].Step > p.Step {
			return nil, fmt.Errorf("line %d: %w: step %d follows step %d", line, ErrSeries, p.Step, points[n-1].Step)
		}
		points, body = append(points, p), rest
	}
	return points, nil
}

func parsePoint(line string) (Point, bool) {
	stepText, valueText, _ := strings.Cut(line, " ")
	step, err := strconv.ParseInt(stepText, 10, 64)
	if err != nil || strconv.FormatInt(step, 10) != stepText {
		return Point{}, false
	}
	if i, err := strconv.ParseInt(valueText, 10, 64); err == nil {
		return Point{step, i}, strconv.FormatInt(i, 10) == valueText
	}
	f, err := strconv.ParseFloat(valueText, 64)
	return Point{step, f}, err == nil && string(appendFloat(nil, f)) == valueText
}
