package plot

import (
	"cmp"
	"slices"
)

// run is a piece of a line without a gap, in shares of the frame.
type run struct {
	x, y []float64
	// low and high are the extremes of each column of a thinned line; nil otherwise.
	low, high []float64
}

// point is a point of a line in shares of the frame; in a gap, y has no meaning.
type point struct {
	x, y float64
	gap  bool
}

// trace returns the runs of a line. A line with more points than fit is thinned
// to so many columns; the work and the result are bounded whatever the gaps are.
func (l Line) trace(f frame, fit, columns int) []run {
	points, drawn := l.points(f)
	if drawn > fit {
		return thin(points, columns)
	}
	var runs []run
	gap := true
	for _, p := range points {
		if !p.gap {
			if gap {
				runs = append(runs, run{})
			}
			r := &runs[len(runs)-1]
			r.x, r.y = append(r.x, p.x), append(r.y, p.y)
		}
		gap = p.gap
	}
	return runs
}

// points returns a line's points in the order of X, and how many have a place.
// What has no finite X has no place, not even for a gap.
func (l Line) points(f frame) (points []point, drawn int) {
	points = make([]point, 0, len(l.X))
	for i, x := range l.X {
		switch {
		case !finite(x):
		case !finite(l.Y[i]):
			points = append(points, point{x: f.x.share(x), gap: true})
		default:
			points = append(points, point{x: f.x.share(x), y: f.y.share(l.Y[i])})
			drawn++
		}
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
	return points, drawn
}

// thin gathers sorted points into columns: their mean, lowest and highest. A
// column whose points are all missing is a gap; one without points is not.
func thin(points []point, columns int) []run {
	var runs []run
	gap := true
	for len(points) > 0 {
		column := int(points[0].x * float64(columns))
		n := 0
		for n < len(points) && int(points[n].x*float64(columns)) == column {
			n++
		}
		x, y, low, high, ok := gather(points[:n])
		points = points[n:]
		if ok {
			if gap {
				runs = append(runs, run{})
			}
			r := &runs[len(runs)-1]
			r.x, r.y = append(r.x, x), append(r.y, y)
			r.low, r.high = append(r.low, low), append(r.high, high)
		}
		gap = !ok
	}
	return runs
}

func gather(points []point) (x, y, low, high float64, ok bool) {
	n := 0.0
	for _, p := range points {
		if p.gap {
			continue
		}
		if n == 0 {
			low, high = p.y, p.y
		}
		x, y, low, high = x+p.x, y+p.y, min(low, p.y), max(high, p.y)
		n++
	}
	return x / n, y / n, low, high, n > 0
}
