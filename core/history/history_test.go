package history

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/lockfile"
)

var accuracy = Metric{"train", "accuracy"}

// graph makes a history of lines "NAME VALUE PARENT...", the newest first. The
// value "-" is a lock without the metric, "?" one that can't be read.
func graph(t *testing.T, text string) (*History, map[string]*Version) {
	t.Helper()
	h := &History{}
	named := map[string]*Version{}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range slices.Backward(lines) {
		fields := strings.Fields(line)
		v := &Version{Commit: Commit{ID: fields[0]}, Lock: lockfile.New()}
		switch fields[1] {
		case "?":
			v.Lock, v.Err = nil, &lockfile.ConflictError{Line: 1}
		case "-":
		default:
			var n float64
			if _, err := fmt.Sscan(fields[1], &n); err != nil {
				t.Fatal(err)
			}
			v.Lock.Stages["train"] = &lockfile.Stage{Metrics: map[string]lockfile.Value{"accuracy": n}}
		}
		for _, parent := range fields[2:] {
			v.Parents = append(v.Parents, named[parent])
		}
		named[fields[0]] = v
		h.Versions = slices.Insert(h.Versions, 0, v)
	}
	return h, named
}

func TestSetsAndSetter(t *testing.T) {
	for _, test := range []struct{ name, graph, sets, setter string }{
		{"linear", "c 2 b\nb 2 a\na 1", "b a", "b"},
		{"there and back", "c 1 b\nb 2 a\na 1", "c b a", "c"},
		{"a merge takes the first side", "m 2 b c\nc 3 a\nb 2 a\na 1", "c b a", "b"},
		{"a merge takes the second side", "m 3 b c\nc 3 a\nb 2 a\na 1", "c b a", "c"},
		{"a merge of its own", "m 4 b c\nc 3 a\nb 2 a\na 1", "m c b a", "m"},
		{"unreadable in between", "c 1 b\nb ? a\na 1", "a", "a"},
		{"unreadable twice, then new", "d 2 c\nc ? b\nb ? a\na 1", "d a", "d"},
		{"unreadable from the start", "b 1 a\na ?", "b", "b"},
		{"removed and back", "c 1 b\nb - a\na 1", "c b a", "c"},
		{"nan stays nan", "b nan a\na nan", "a", "a"},
	} {
		h, _ := graph(t, test.graph)
		var sets []string
		for _, v := range h.Versions {
			if v.Sets(accuracy) {
				sets = append(sets, v.Commit.ID)
			}
		}
		if got := strings.Join(sets, " "); got != test.sets {
			t.Errorf("%s: set by %q, want %q", test.name, got, test.sets)
		}
		if got := h.Versions[0].setter(accuracy).Commit.ID; got != test.setter {
			t.Errorf("%s: blamed %q, want %q", test.name, got, test.setter)
		}
	}
}

func TestTransitions(t *testing.T) {
	condition := Condition{"<", 0.8}
	for _, test := range []struct{ name, graph, since, all string }{
		{"once", "c .7 b\nb .7 a\na .9", "a>b", "a>b"},
		{"never good", "b .7 a\na .6", "always a", "always a"},
		{"broken twice", "d .7 c\nc .9 b\nb .7 a\na .9", "c>d earlier 1", "c>d b<c a>b"},
		{"not comparable in between", "d .7 c\nc - b\nb ? a\na .9", "a>d", "a>d"},
		{"nan tells nothing", "c .7 b\nb nan a\na .9", "a>c", "a>c"},
		{"a merge takes the broken side", "m .7 b c\nc .7 a\nb .9 a\na .9", "a>c", "a>c"},
		{"both sides", "m .7 b c\nc .6 a\nb .7 a\na .9", "a>b a>c", "a>c a>b"},
		{"the merge itself", "m .7 b c\nc .9 a\nb .9 a\na .9", "b>m", "b>m"},
		{"one line has no good record", "m .7 b c\nc .6\nb .7 a\na .9", "a>b always c", "a>b always c"},
	} {
		for _, mode := range []string{"since", "all"} {
			h, _ := graph(t, test.graph)
			s := newSearch(accuracy, condition)
			b := &Bisection{Metric: accuracy, Bad: h.Versions[0]}
			want := test.since
			if mode == "since" {
				s.sinceGood(h, b)
			} else {
				s.allIn(h, b)
				want = test.all
			}
			var got []string
			for _, x := range b.Transitions {
				sign := map[bool]string{false: ">", true: "<"}[x.Back]
				got = append(got, x.From.Commit.ID+sign+x.To.Commit.ID)
			}
			if len(b.Always) > 0 {
				got = append(got, "always "+b.Always[0].Commit.ID)
			}
			if b.Earlier > 0 {
				got = append(got, fmt.Sprint("earlier ", b.Earlier))
			}
			if text := strings.Join(got, " "); text != want {
				t.Errorf("%s, %s: got %q, want %q", test.name, mode, text, want)
			}
		}
	}
}

func TestFind(t *testing.T) {
	all := []Metric{{"eval", "f1"}, {"train", "accuracy"}, {"train", "f1"}, {"train", "val.loss"}}
	for word, want := range map[string]string{
		"train.accuracy": "train.accuracy", "accuracy": "train.accuracy", "loss": "train.val.loss", "val.loss": "train.val.loss",
		"*.f1": "eval.f1 train.f1", "train.*": "train.accuracy train.f1 train.val.loss", "f?": "eval.f1 train.f1", "*": "eval.f1 train.accuracy train.f1 train.val.loss",
	} {
		got, err := Find(all, word)
		if text := strings.Join(namesOf(got), " "); text != want || err != nil {
			t.Errorf("Find(%q) = %q, %v, want %q", word, text, err, want)
		}
	}
	var several *AmbiguousMetricError
	if _, err := Find(all, "f1"); !errors.As(err, &several) || len(several.Candidates) != 2 {
		t.Errorf("got %v, want both candidates", err)
	}
	for _, word := range []string{"accuracies", "nothing*", "", "train", "(", "a.b"} {
		var unknown *UnknownMetricError
		if _, err := Find(all, word); !errors.As(err, &unknown) {
			t.Errorf("Find(%q): got %v, want an *UnknownMetricError", word, err)
		}
	}
}

func TestCondition(t *testing.T) {
	for _, test := range []struct {
		text, name   string
		value        lockfile.Value
		holds, known bool
	}{
		{"accuracy < 0.8", "accuracy", 0.7, true, true},
		{"accuracy<0.8", "accuracy", 0.8, false, true},
		{"<= 0.8", "", 0.8, true, true},
		{"n > 5", "n", int64(6), true, true},
		{">= 1e3", "", 1000.0, true, true},
		{"== -1", "", int64(-1), true, true},
		{"!= 0", "", 0.5, true, true},
		{"== nan", "", math.NaN(), true, true},
		{"!= nan", "", math.NaN(), false, true},
		{"== nan", "", 1.0, false, true},
		{"< inf", "", 1.0, true, true},
		{"< 0.8", "", math.NaN(), false, false},
		{"!= 0.8", "", math.NaN(), false, false},
		{"< 0.8", "", nil, false, false},
	} {
		name, c, err := ParseCondition(test.text)
		if name != test.name || err != nil {
			t.Errorf("ParseCondition(%q) = %q, %v, want %q", test.text, name, err, test.name)
		}
		if holds, known := c.Holds(test.value); holds != test.holds || known != test.known {
			t.Errorf("%q of %v: got %v, %v, want %v, %v", test.text, test.value, holds, known, test.holds, test.known)
		}
	}
	for _, text := range []string{"", "accuracy", "< ", "= 1", "! 1", "< x", "< nan", "a < 1 < 2", "=< 1", "< 1 2", "<> 1"} {
		var refused *ConditionError
		if _, _, err := ParseCondition(text); !errors.As(err, &refused) {
			t.Errorf("ParseCondition(%q): got %v, want a *ConditionError", text, err)
		}
	}
}

// FuzzCondition looks for a condition that reads back as another.
func FuzzCondition(f *testing.F) {
	for _, text := range []string{"accuracy < 0.8", ">=1e300", "== nan", "!= -inf", "a.b <= 0x1p-2", "\x00 < 1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, c, err := ParseCondition(text)
		if err != nil {
			return
		}
		name, again, err := ParseCondition(c.String())
		if err != nil || name != "" || again.Operator != c.Operator || again.Limit != c.Limit && !math.IsNaN(c.Limit) {
			t.Errorf("%q reads as %q, which reads as %v, %v", text, c, again, err)
		}
	})
}
