package pack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/kept-dev/kept/cas/disk"
)

func merge(t testing.TB, s *Set) {
	t.Helper()
	if err := s.Merge(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// indexes returns the names of the index files.
func indexes(t testing.TB, s *Set) []Name {
	t.Helper()
	names, err := s.list(indexDir, indexExt)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMergeKeepsLookupsFew(t *testing.T) {
	s := OpenSet(&faultyFS{FS: disk.OS}, newStore(t))
	const packs, each = 300, 5
	written := 0
	seen := map[Name]bool{}
	for i := range uint64(packs) {
		publish(t, s, i*each, i*each+each)
		merge(t, s)
		for _, name := range indexes(t, s) {
			if !seen[name] {
				seen[name] = true
				info, err := os.Stat(s.indexPath(name))
				if err != nil {
					t.Fatal(err)
				}
				written += int(info.Size()) / recordSize
			}
		}
	}
	if n := s.view.Load().tables(); n > fewTables {
		t.Errorf("%d packs have no index, want at most %d", n, fewTables)
	}
	if n := len(indexes(t, s)); n > 8 {
		t.Errorf("%d indexes of %d packs", n, packs)
	}
	if most := packs * each * 10; written > most {
		t.Errorf("%d records were written for %d entries, want at most %d", written, packs*each, most)
	}
	wantAll(t, s, 0, packs*each)
	wantNone(t, s, packs*each, packs*each+50)
	wantAll(t, OpenSet(disk.OS, s.dir), 0, packs*each)
}

func TestMergeDoesNothingForFew(t *testing.T) {
	s := OpenSet(&faultyFS{FS: disk.OS}, newStore(t))
	for i := range uint64(fewTables) {
		publish(t, s, i, i+1)
		merge(t, s)
	}
	if n := len(indexes(t, s)); n != 0 {
		t.Errorf("%d indexes of %d packs", n, fewTables)
	}
}

func TestPublishMergesMany(t *testing.T) {
	s := OpenSet(&faultyFS{FS: disk.OS}, newStore(t))
	wantNone(t, s, 0, 1)
	for i := range uint64(3 * manyTables) {
		publish(t, s, i, i+1)
	}
	if n := s.view.Load().tables(); n > manyTables {
		t.Errorf("%d packs have no index, want at most %d", n, manyTables)
	}
	wantAll(t, s, 0, 3*manyTables)
}

func TestEntriesOfRemovedPacksAreSkipped(t *testing.T) {
	s := OpenSet(&faultyFS{FS: disk.OS}, newStore(t))
	var names []Name
	for i := range uint64(20) {
		names = append(names, publish(t, s, i*5, i*5+10)) // all but the ends in two packs
	}
	merge(t, s)
	for _, name := range names[:10] {
		if err := s.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*Set{s, OpenSet(disk.OS, s.dir)} {
		wantNone(t, s, 0, 50)
		wantAll(t, s, 50, 105)
		n := 0
		if err := s.Each(nil, func(Location) error { n++; return nil }); n != 55 || err != nil {
			t.Errorf("each: %d entries, %v, want 55", n, err)
		}
	}
	// One that comes again is found again, here by its entries in the index.
	if again := publish(t, s, 0, 10); again != names[0] {
		t.Fatal("the pack has another name")
	}
	wantAll(t, s, 0, 10)
	// Of an index with few packs left there remains what is needed.
	for _, name := range names[10:19] {
		if err := s.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	before := indexes(t, s)
	merge(t, s)
	after := indexes(t, s)
	if len(before) != 1 || len(after) != 1 || before[0] == after[0] {
		t.Errorf("indexes before: %v, after: %v", before, after)
	}
	wantAll(t, s, 0, 10)
	wantNone(t, s, 10, 95)
	wantAll(t, s, 95, 105)
	for _, name := range []Name{names[0], names[19]} {
		if err := s.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	merge(t, s)
	if left := indexes(t, s); len(left) != 0 {
		t.Errorf("an empty store has indexes %v", left)
	}
}

func TestManyTablesSpill(t *testing.T) {
	defer func(n int) { tablesInMemory = n }(tablesInMemory)
	tablesInMemory = 20 * recordSize
	s := OpenSet(&faultyFS{FS: disk.OS}, newStore(t))
	for i := range uint64(30) {
		publish(t, s, i*5, i*5+5)
	}
	other := OpenSet(disk.OS, s.dir)
	wantAll(t, other, 0, 150)
	if n := other.view.Load().tables(); n > 4 {
		t.Errorf("%d tables in memory", n)
	}
	if n := len(indexes(t, s)); n < 7 {
		t.Errorf("%d indexes were made", n)
	}
}

func TestMergeIsCancelled(t *testing.T) {
	s := OpenSet(&faultyFS{FS: disk.OS}, newStore(t))
	for i := range uint64(20) {
		publish(t, s, i, i+1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Merge(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("merge: %v", err)
	}
	if n := len(indexes(t, s)); n != 0 {
		t.Errorf("%d indexes", n)
	}
	if left, _ := os.ReadDir(filepath.Join(s.dir, tempDir)); len(left) != 0 {
		t.Errorf("left in tmp: %v", left)
	}
}
