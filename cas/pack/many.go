package pack

import (
	"bytes"
	"runtime"
	"runtime/debug"
)

// FindSorted is Find for many keys, which are sorted and each there once: it goes
// through the tables along with them, which takes a tenth of the time of as many
// Finds. It calls found with the number of each key that it finds, once, in any order.
func (s *Set) FindSorted(keys []Key, found func(i int, at Location)) error {
	done, left := make([]bool, len(keys)), len(keys)
	note := func(i int, at Location) {
		done[i] = true
		left--
		found(i, at)
	}
	for again := false; ; {
		v, err := s.current()
		if err != nil {
			return err
		}
		bad := v.findSorted(keys, done, note)
		switch {
		case bad != nil:
			if err := s.drop(bad); err != nil {
				return err
			}
		case left == 0:
			return nil
		case again || len(v.unread) == 0:
			return v.incomplete()
		default:
			again = true // as in Find
			if _, err := s.Refresh(); err != nil {
				return err
			}
		}
	}
}

// findSorted finds what is not done. It also returns an index that turned out to
// be damaged.
func (v *view) findSorted(keys []Key, done []bool, found func(i int, at Location)) (bad *index) {
	var r *run
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if e := recover(); e != nil {
			if r == nil || !r.index.faulted(e) {
				panic(e)
			}
			bad = r.index
		}
	}()
	for _, r = range v.runs {
		next := 0 // the record from which on the next key may be
		for i := range keys {
			if done[i] {
				continue
			}
			next = r.seek(next, &keys[i])
			at, there, wrong := r.findAt(next, &keys[i])
			if wrong {
				return r.index
			}
			if there {
				found(i, at)
			}
		}
	}
	runtime.KeepAlive(v)
	return nil
}

// seek returns the number of the first record from number start on whose key is
// not less than key. It takes the longer the further that is away.
func (r *run) seek(start int, key *Key) int {
	less := func(i int) bool { return bytes.Compare(r.record(i)[:keySize], key[:]) < 0 }
	low, high, n := start, start, r.len() // all before low are less, and high is not
	for step := 1; high < n && less(high); step *= 2 {
		low = high + 1
		high = min(high+step, n)
	}
	for low < high {
		if middle := int(uint(low+high) / 2); less(middle) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}
