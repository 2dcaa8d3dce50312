package lockfile

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"
)

func seeds(f *testing.F) [][]byte {
	f.Helper()
	files, err := filepath.Glob(vectors + "/*/*.lock")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	var data [][]byte
	for _, file := range files {
		data = append(data, read(f, file))
	}
	return data
}

func FuzzParse(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		Line(data, "stage", "train", "params", "lr")
		lock, err := Parse(data)
		if err != nil {
			if text := err.Error(); lock != nil || text == "" || len(text) > 1000 {
				t.Fatalf("Parse returned %v and %q", lock, err)
			}
			if lock = withoutResults(err, data); lock == nil {
				return
			}
		}
		text := lock.Marshal()
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("what was marshalled is refused: %v\n%s", err, text)
		}
		if twice := again.Marshal(); !bytes.Equal(twice, text) {
			t.Fatalf("marshalled\n%s\nand then\n%s", text, twice)
		}
		slow, err := parseTOML(text)
		if err != nil {
			t.Fatalf("the fast and the thorough reader disagree: %v\n%s", err, text)
		}
		for _, other := range []*Lock{again, slow} {
			if changes := Diff(lock, other); len(changes) > 0 {
				t.Fatalf("reading back changed %+v\n%s", changes, text)
			}
		}
		for name := range lock.Stages {
			line := Line(text, "stage", name)
			header := bytes.TrimSuffix(appendHeader(nil, []string{"stage", name}), []byte("\n"))
			if line == 0 || !bytes.Equal(bytes.Split(text, []byte("\n"))[line-1], header) {
				t.Fatalf("stage %q is not on line %d of\n%s", name, line, text)
			}
		}
	})
}

// withoutResults reads a lock of which only the results are wrong, which those of
// nearly all mutated locks are: without it a fuzzer sees next to no stages.
func withoutResults(err error, data []byte) *Lock {
	if _, ok := errors.AsType[*SplicedError](err); !ok {
		return nil
	}
	tree, err := decodeTOML(normalize(data))
	if err != nil {
		return nil
	}
	lock, err := decodeLock(tree)
	if err != nil || lock.checkPlaces() != nil {
		return nil
	}
	return lock
}

func FuzzMerge(f *testing.F) {
	all := seeds(f)
	for i, seed := range all {
		f.Add(seed, all[(i+1)%len(all)], all[(i+2)%len(all)])
		f.Add([]byte{}, seed, seed)
	}
	f.Fuzz(func(t *testing.T, base, ours, theirs []byte) {
		for _, data := range []*[]byte{&base, &ours, &theirs} {
			if lock := withoutResults(parseError(*data), *data); lock != nil {
				*data = lock.Marshal()
			}
		}
		merged, conflicts, err := Merge(base, ours, theirs, MergeOptions{Ours: "a", Theirs: "b"})
		if err == nil && conflicts == 0 {
			lock, err := Parse(merged)
			if err != nil {
				t.Fatalf("a merge without conflicts is refused: %v\n%s", err, merged)
			}
			if !bytes.Equal(lock.Marshal(), merged) {
				t.Fatalf("the merge is not canonical\n%s", merged)
			}
			checkOrigin(t, lock, ours, theirs)
		}
		lock, err := Parse(ours)
		if err != nil {
			return
		}
		same, conflicts, err := Merge(ours, ours, ours, MergeOptions{})
		if err != nil || conflicts != 0 || !bytes.Equal(same, lock.Marshal()) {
			t.Fatalf("Merge(x, x, x) gives %d conflicts, %v and\n%s", conflicts, err, same)
		}
	})
}

// FuzzUnmerged settles whatever can be read of a merge with either side. What
// comes of it is a lock, or is refused with a reason.
func FuzzUnmerged(f *testing.F) {
	all := seeds(f)
	for i, seed := range all {
		base, ours, theirs := all[(i+1)%len(all)], seed, all[(i+2)%len(all)]
		merged, _, err := Merge(base, ours, theirs, MergeOptions{Ours: "ours", Theirs: "theirs"})
		if err == nil {
			f.Add(merged, base, ours, theirs)
		}
		f.Add(ours, base, ours, theirs)
		f.Add(theirs, []byte{}, ours, theirs)
		f.Add([]byte{}, base, []byte{}, theirs)
		f.Add(slices.Concat([]byte("<<<<<<< a\n"), ours, []byte("||||||| b\n"), base, []byte("=======\n"), theirs, []byte(">>>>>>> c\n")), base, ours, theirs)
	}
	f.Fuzz(func(t *testing.T, file, base, ours, theirs []byte) {
		for _, data := range []*[]byte{&file, &base, &ours, &theirs} {
			if lock := withoutResults(parseError(*data), *data); lock != nil {
				*data = lock.Marshal()
			}
			if len(*data) == 0 {
				*data = nil // that side has none
			}
		}
		settleAll(t, file, nil)
		settleAll(t, file, &Versions{Base: base, Ours: ours, Theirs: theirs})
	})
}

func settleAll(t *testing.T, file []byte, versions *Versions) {
	t.Helper()
	for _, side := range []func(*Conflict) *Lock{
		func(c *Conflict) *Lock { return c.Ours },
		func(c *Conflict) *Lock { return c.Theirs },
	} {
		u, err := ParseUnmerged(file, versions)
		if err != nil {
			if text := err.Error(); u != nil || text == "" || len(text) > 1000 {
				t.Fatalf("ParseUnmerged returned %v and %q", u, err)
			}
			return
		}
		if slices.ContainsFunc(u.Conflicts, func(c *Conflict) bool { return side(c) == nil }) {
			continue // which core refuses: nobody measured that side
		}
		for _, c := range u.Conflicts {
			u.Settle(c, side(c))
		}
		if len(u.Conflicts) > 0 {
			t.Fatalf("still in conflict: %q", u.Names())
		}
		text, err := u.Marshal(MergeOptions{})
		if err != nil {
			if text := err.Error(); text == "" || len(text) > 1000 {
				t.Fatalf("Marshal returned %q", err)
			}
			continue
		}
		lock, err := Parse(text)
		if err != nil {
			t.Fatalf("what was settled is refused: %v\n%s", err, text)
		}
		if !bytes.Equal(lock.Marshal(), text) {
			t.Fatalf("what was settled is not canonical\n%s", text)
		}
	}
}

func FuzzSeries(f *testing.F) {
	f.Add([]byte("kept history 1\n"))
	f.Add([]byte("kept history 1\n-1 0.5\n0 1\n0 1.0\n2 nan\n3 -inf\n3 1e-05\n"))
	f.Add([]byte("kept history 1\n2 1.0\n1 1.0\n"))
	f.Add([]byte("kept history 1\n1 1.00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		points, err := ParseSeries(data)
		if err != nil {
			return
		}
		if again := MarshalSeries(points); !bytes.Equal(again, data) {
			t.Fatalf("%q was read and marshalled to %q", data, again)
		}
	})
}
