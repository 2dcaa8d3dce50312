package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/kept-dev/kept/lockfile"
)

// Bisection is what the recorded values tell.
type Bisection struct {
	Metric    Metric
	Condition Condition
	// Bad is the record that Bad has.
	Bad *Version
	// Transitions are the records at which the condition became true, and those at
	// which it became false again, the largest step first.
	Transitions []Transition
	// Always are records for which the condition is true and none is known before.
	Always []*Version
	// Earlier counts the times that the metric broke before it was good for the
	// last time. It is 0 where Good was given.
	Earlier int
}

// Transition is a record with another verdict than all records before it.
type Transition struct {
	From, To *Version
	Old, New lockfile.Value
	// Back says that the condition was true and became false.
	Back bool
	// Between are the ids of the commits after From and before To that change what
	// the stage reads without a record of their own: To may only have recorded what
	// one of them did. Whoever can ask Git fills it in.
	Between []string
}

// Found returns the one record that broke the metric, and false where there is
// none or more than one.
func (b *Bisection) Found() (Transition, bool) {
	if len(b.Transitions) == 1 && !b.Transitions[0].Back && len(b.Always) == 0 {
		return b.Transitions[0], true
	}
	return Transition{}, false
}

// Monotonic reports whether the condition became true and never false again.
func (b *Bisection) Monotonic() bool {
	return !slices.ContainsFunc(b.Transitions, func(t Transition) bool { return t.Back })
}

// InconclusiveError reports a question that the records do not answer.
type InconclusiveError struct {
	Reason string
	// Shallow says that this clone lacks a part of its history.
	Shallow bool
}

func (e *InconclusiveError) Error() string {
	if e.Shallow {
		return e.Reason + "; this clone is shallow, so there may be older records"
	}
	return e.Reason
}

// Bisect finds in the recorded values where a metric broke. The newest version of
// h is that of the revision bad. Where good is a revision, h begins behind it and
// all of h counts; without one the search ends at the newest versions that were
// not broken. What the records do not tell gives an *InconclusiveError.
func (h *History) Bisect(m Metric, condition Condition, bad, good string) (*Bisection, error) {
	s := newSearch(m, condition)
	b := &Bisection{Metric: m, Condition: condition, Bad: h.Versions[0]}
	if broken, known := s.state(b.Bad); !known || !broken {
		return nil, s.notBroken(bad, b.Bad, known)
	}
	if good == "" {
		s.sinceGood(h, b)
	} else {
		s.allIn(h, b)
	}
	if len(b.Transitions) == 0 {
		return nil, s.noGood(h, b, good)
	}
	slices.SortStableFunc(b.Transitions, func(x, y Transition) int { return cmp.Compare(y.step(), x.step()) })
	return b, nil
}

// search walks over versions whose metric can be compared; the others tell
// nothing and are passed through.
type search struct {
	metric    Metric
	condition Condition
	memo      map[*Version][]*Version
}

func newSearch(m Metric, c Condition) *search {
	return &search{metric: m, condition: c, memo: map[*Version][]*Version{}}
}

func (s *search) state(v *Version) (broken, known bool) { return s.condition.Holds(v.Value(s.metric)) }

// before returns the nearest versions before v with a known state.
func (s *search) before(v *Version) []*Version {
	if found, ok := s.memo[v]; ok {
		return found
	}
	var found []*Version
	seen := map[*Version]bool{}
	queue := slices.Clone(v.Parents)
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		if _, known := s.state(p); known {
			found = append(found, p)
		} else {
			queue = append(queue, p.Parents...)
		}
	}
	s.memo[v] = found
	return found
}

// transition returns how v differs from all versions before it; false where it
// agrees with one of them, or where there is none.
func (s *search) transition(v *Version) (Transition, bool) {
	broken, known := s.state(v)
	before := s.before(v)
	if !known || len(before) == 0 {
		return Transition{}, false
	}
	for _, p := range before {
		if was, _ := s.state(p); was == broken {
			return Transition{}, false
		}
	}
	return Transition{From: before[0], To: v, Old: before[0].Value(s.metric), New: v.Value(s.metric), Back: !broken}, true
}

// allIn takes all transitions of a history.
func (s *search) allIn(h *History, b *Bisection) {
	for _, v := range h.Versions {
		if t, ok := s.transition(v); ok {
			b.Transitions = append(b.Transitions, t)
		}
		if broken, _ := s.state(v); broken && len(s.before(v)) == 0 {
			b.Always = append(b.Always, v)
		}
	}
}

// sinceGood goes back from the bad version through broken ones, up to where they
// broke, and counts what lies behind.
func (s *search) sinceGood(h *History, b *Bisection) {
	seen := map[*Version]bool{b.Bad: true}
	queue := []*Version{b.Bad}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		if t, ok := s.transition(v); ok {
			b.Transitions = append(b.Transitions, t)
			continue
		}
		before := s.before(v)
		if len(before) == 0 {
			b.Always = append(b.Always, v)
		}
		for _, p := range before {
			if broken, _ := s.state(p); broken && !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	for _, v := range h.Versions {
		if t, ok := s.transition(v); ok && !t.Back && !seen[v] {
			b.Earlier++
		}
	}
}

func (s *search) notBroken(bad string, v *Version, known bool) error {
	value := v.Value(s.metric)
	switch {
	case v.Err != nil:
		return &InconclusiveError{Reason: fmt.Sprintf("the lock of %s can't be read: %v", bad, v.Err)}
	case value == nil:
		return &InconclusiveError{Reason: fmt.Sprintf("%s has no value at %s", s.metric, bad)}
	case !known:
		return &InconclusiveError{Reason: fmt.Sprintf("%s is %s at %s, which is not %s and not the contrary", s.metric, lockfile.FormatValue(value), bad, s.condition)}
	}
	return &InconclusiveError{Reason: fmt.Sprintf("%s is %s at %s: not %s, so nothing is broken there", s.metric, lockfile.FormatValue(value), bad, s.condition)}
}

func (s *search) noGood(h *History, b *Bisection, good string) error {
	oldest := b.Bad
	if len(b.Always) > 0 {
		oldest = b.Always[0]
	}
	reason := fmt.Sprintf("%s was never anything but %s since %.10s recorded it first", s.metric, s.condition, oldest.Commit.ID)
	if good != "" {
		reason = fmt.Sprintf("%s is %s at %s already", s.metric, s.condition, good)
	}
	return &InconclusiveError{Reason: reason, Shallow: h.Shallow}
}

// step is by how much the metric moved; one from or to infinity is the largest.
func (t Transition) step() float64 {
	a, _ := lockfile.Float(t.Old)
	b, _ := lockfile.Float(t.New)
	if step := math.Abs(b - a); !math.IsNaN(step) {
		return step
	}
	return math.Inf(1)
}
