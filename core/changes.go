package core

import (
	"context"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/kept-dev/kept/cas"
)

// changes says what makes one folder another.
type changes struct {
	// gone are the entries whose paths the new folder does not have.
	gone []cas.Entry
	// place are the entries that the old folder does not have, or has otherwise.
	place []replacing
}

// replacing is an entry that takes the place of what has its path.
type replacing struct {
	cas.Entry
	// old is the content of the file there; zero where there is none.
	old cas.Digest
}

// compare returns what makes the folder with the entries is the one with will.
func compare(is, will cas.Tree) changes {
	is, will = sortedTree(is), sortedTree(will)
	var c changes
	for len(is) > 0 || len(will) > 0 {
		switch {
		case len(will) == 0 || len(is) > 0 && is[0].Path < will[0].Path:
			c.gone = append(c.gone, is[0])
			is = is[1:]
		case len(is) == 0 || will[0].Path < is[0].Path:
			c.place = append(c.place, replacing{Entry: will[0]})
			will = will[1:]
		default:
			if !sameEntry(is[0], will[0]) {
				c.place = append(c.place, replacing{will[0], is[0].Digest})
			}
			is, will = is[1:], will[1:]
		}
	}
	return c
}

// lost returns the contents that the changes take out of the working tree.
func (c changes) lost() []cas.Digest {
	var list []cas.Digest
	for _, e := range c.gone {
		list = append(list, e.Digest)
	}
	for _, r := range c.place {
		if !r.old.IsZero() && r.old != r.Digest {
			list = append(list, r.old)
		}
	}
	return list
}

func sameEntry(a, b cas.Entry) bool {
	if !modeMatters && a.Kind == cas.Executable {
		a.Kind = cas.File
	}
	if !modeMatters && b.Kind == cas.Executable {
		b.Kind = cas.File
	}
	return a == b
}

func sortedTree(t cas.Tree) cas.Tree {
	byPath := func(a, b cas.Entry) int { return strings.Compare(a.Path, b.Path) }
	if !slices.IsSortedFunc(t, byPath) {
		t = slices.Clone(t)
		slices.SortFunc(t, byPath)
	}
	return t
}

// orderer is a store that can tell in which order reading is fastest.
type orderer interface {
	Order(want []cas.Digest) []int
}

// inOrder returns work in the order in which the store reads it fastest.
func inOrder[T any](store cas.Store, work []T, digest func(T) cas.Digest) []T {
	o, ok := store.(orderer)
	if !ok || len(work) < 2 {
		return work
	}
	want := make([]cas.Digest, len(work))
	for i, w := range work {
		want[i] = digest(w)
	}
	ordered := make([]T, 0, len(work))
	for _, i := range o.Order(want) {
		ordered = append(ordered, work[i])
	}
	return ordered
}

const (
	// fewest is the number of pieces of work that is worth a goroutine.
	fewest = 32
	// perPiece is how many bytes a piece weighs beside its own: what it takes to
	// open, name and close a file.
	perPiece = 32 << 10
)

// inParts calls fn with parts of work that follow each other, on some goroutines
// at once. The first error ends the context of the others and is returned.
func inParts[T any](ctx context.Context, work []T, size func(T) int64, fn func(ctx context.Context, part []T) error) error {
	n := min(max(2, runtime.GOMAXPROCS(0)), 4, (len(work)+fewest-1)/fewest)
	if n <= 1 {
		return fn(ctx, work)
	}
	total := int64(0)
	for _, w := range work {
		total += perPiece + size(w)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var first error
	var once sync.Once
	for ; n > 0; n-- {
		end, weight := 0, int64(0)
		for end < len(work) && (n == 1 || weight < total/int64(n)) {
			weight += perPiece + size(work[end])
			end++
		}
		part := work[:end]
		work, total = work[end:], total-weight
		group.Go(func() {
			if err := fn(ctx, part); err != nil {
				once.Do(func() { first = err; cancel(err) })
			}
		})
	}
	group.Wait()
	return first
}

// removeEntries removes entries of a folder, and what becomes empty by that.
func (rs *restorer) removeEntries(ctx context.Context, folder string, entries []cas.Entry) error {
	session := rs.place.Session()
	for _, e := range entries {
		err := ctx.Err()
		if err == nil {
			err = session.Remove(path.Join(folder, e.Path))
		}
		if err != nil {
			_ = session.Close()
			return err
		}
	}
	return session.Close()
}
