package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas/disk"
)

func TestParseName(t *testing.T) {
	name := hashOf([]byte("abc"))
	if got, err := ParseName(name.String()); got != name || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, name)
	}
	for _, bad := range []string{"", "6437", strings.ToUpper(name.String()), name.String() + "0", strings.Repeat("g", 64)} {
		if _, err := ParseName(bad); err == nil {
			t.Errorf("%q is a name", bad)
		}
	}
}

// A pack byte by byte, as docs/spec/store.md describes it.
func TestFormat(t *testing.T) {
	temp, err := disk.OS.Temp(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer temp.Discard()
	w, err := NewWriter(temp)
	if err != nil {
		t.Fatal(err)
	}
	abc, x := hashOf([]byte("abc")), hashOf([]byte("x"))
	err = w.Append(7, 4, []byte("stored"), []Entry{
		{Key: Key(abc), Size: 3, Len: 3},
		{Key: Key(x), Kind: Manifest, Size: 1 << 40, At: 3, Len: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	name, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	number := func(b []byte, v uint64, size int) []byte { return append(b, le.AppendUint64(nil, v)[:size]...) }
	want := []byte("kept pack 1\n\x00\x00\x00\x00" + "stored")
	var table []byte
	table = number(number(table, 1, 4), 2, 4)
	for _, field := range [][2]uint64{{16, 8}, {6, 4}, {4, 4}, {uint64(w.groups[0].Sum), 4}, {7, 4}} {
		table = number(table, field[0], int(field[1]))
	}
	table = append(table, abc[:]...)
	for _, field := range [][2]uint64{{3, 8}, {0, 4}, {0, 4}, {3, 4}, {0, 4}, {0, 4}} {
		table = number(table, field[0], int(field[1]))
	}
	rest := append([]byte(nil), x[:]...)
	for _, field := range [][2]uint64{{1 << 40, 8}, {0, 4}, {3, 4}, {1, 4}, {0, 4}, {1, 4}} {
		rest = number(rest, field[0], int(field[1]))
	}
	if bytes.Compare(x[:], abc[:]) < 0 {
		table = append(table[:len(table)-recordSize:len(table)-recordSize], append(rest, table[len(table)-recordSize:]...)...)
	} else {
		table = append(table, rest...)
	}
	want = append(want, table...)
	want = number(number(want, 22, 8), uint64(len(table)), 8)
	hash := hashOf(table)
	want = append(want, hash[:]...)
	want = append(want, "kept pack 1\n\x00\x00\x00\x00"...)
	got := make([]byte, len(want))
	if _, err := temp.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) || name != hash {
		t.Errorf("got  %q\nwant %q\n%v", got, want, err)
	}
	if n, _ := temp.ReadAt(make([]byte, 1), int64(len(want))); n != 0 {
		t.Error("the pack is longer")
	}
}

func TestAppendRefuses(t *testing.T) {
	temp, err := disk.OS.Temp(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer temp.Discard()
	w, err := NewWriter(temp)
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]Entry{
		"behind its group":     {At: 5, Len: 6, Size: 6},
		"overflow":             {At: 1<<32 - 1, Len: 1, Size: 1},
		"blob of another size": {Len: 5, Size: 6},
		"negative size":        {Kind: Manifest, Len: 5, Size: -1},
		"unknown kind":         {Kind: 2, Len: 5, Size: 5},
	} {
		if err := w.Append(0, 10, make([]byte, 10), []Entry{e}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := w.Append(0, MaxGroup+1, nil, nil); err == nil {
		t.Error("a large group: no error")
	}
	// What was refused left nothing, and the same key twice is there once.
	e := Entry{Key: Key{1}, Len: 10, Size: 10}
	for range 2 {
		if err := w.Append(0, 10, make([]byte, 10), []Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	parsed, err := parseTable(w.table, w.end)
	if err != nil || len(parsed.groups) != 2 || len(parsed.records) != recordSize {
		t.Errorf("table: %+v, %v", parsed, err)
	}
	if err := w.Append(0, 10, make([]byte, 10), nil); !errors.Is(err, errFinished) {
		t.Errorf("append to a finished pack: %v", err)
	}
	if _, err := w.Finish(); !errors.Is(err, errFinished) {
		t.Errorf("finish again: %v", err)
	}
}

func TestAppendFails(t *testing.T) {
	f := &faultyFS{FS: disk.OS}
	temp, err := f.Temp(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer temp.Discard()
	w, err := NewWriter(temp)
	if err != nil {
		t.Fatal(err)
	}
	f.fails = func(op, _ string) bool { return op == "write" }
	if err := w.Append(0, 3, []byte("abc"), nil); !errors.Is(err, errDisk) {
		t.Errorf("append: %v", err)
	}
	f.fails = nil
	if err := w.Append(0, 3, []byte("abc"), nil); !errors.Is(err, errDisk) {
		t.Errorf("append after a failure: %v", err)
	}
	if _, err := w.Finish(); !errors.Is(err, errDisk) {
		t.Errorf("finish after a failure: %v", err)
	}
}

// search finds what a plain binary search finds, also among keys that nobody's
// hash function made.
func TestSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() (k Key) {
		for i := range k {
			k[i] = byte(r.Uint32())
		}
		return k
	}
	shapes := map[string]func(i int) Key{
		"uniform":     func(int) Key { return random() },
		"equal start": func(int) (k Key) { k = random(); copy(k[:], "12345678"); return k },
		"low":         func(i int) (k Key) { binary.BigEndian.PutUint64(k[:], uint64(i)); return k },
		"high":        func(i int) (k Key) { binary.BigEndian.PutUint64(k[:], ^uint64(i)); return k },
		"exponential": func(i int) (k Key) { binary.BigEndian.PutUint64(k[:], 1<<(i%64)); k[31] = byte(i); return k },
		"two heaps": func(i int) (k Key) {
			k = random()
			copy(k[:], bytes.Repeat([]byte{byte(-(i % 2))}, 7))
			return k
		},
		"one": func(int) Key { return Key{9} },
	}
	for name, shape := range shapes {
		for _, n := range []int{0, 1, 2, 3, 100, 1000} {
			keys := make([]Key, n)
			for i := range keys {
				keys[i] = shape(i)
			}
			slices.SortFunc(keys, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
			var records []byte
			for _, k := range keys {
				records = appendRecord(records, Entry{Key: k}, 0)
			}
			probes := append(slices.Clone(keys), Key{}, Key(bytes.Repeat([]byte{0xff}, keySize)))
			for i := range 200 {
				probes = append(probes, random(), shape(i))
			}
			for _, k := range probes {
				want := sort.Search(n, func(i int) bool { return bytes.Compare(keys[i][:], k[:]) >= 0 })
				if got := search(records, &k); got != want {
					t.Fatalf("%s, %d keys: %x is at %d, want %d", name, n, k, got, want)
				}
			}
		}
	}
}

func FuzzPackTable(f *testing.F) {
	s := OpenSet(disk.OS, newStore(f))
	for _, last := range []uint64{1, 2, 10} {
		temp, err := s.temp()
		if err != nil {
			f.Fatal(err)
		}
		w, _ := write(f, temp, 0, last)
		f.Add(w.table, w.end, []byte(nil), int64(0))
		whole := make([]byte, w.end+int64(len(w.table)+trailerSize))
		if _, err := temp.ReadAt(whole, 0); err != nil {
			f.Fatal(err)
		}
		temp.Discard()
		f.Add(w.table, w.end, whole, int64(len(whole)))
	}
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255}, int64(16), []byte(header), int64(1)<<62)
	f.Fuzz(func(t *testing.T, b []byte, offset int64, file []byte, size int64) {
		if parsed, err := parseTable(b, offset); err == nil {
			if again := appendTable(nil, parsed.groups, parsed.records); !bytes.Equal(again, b) {
				t.Errorf("table %x is another one when it is written: %x", b, again)
			}
		}
		if len(file) < headerSize+trailerSize {
			return
		}
		last := file[len(file)-trailerSize:]
		if tr, err := parseTrailer(file[:headerSize], last, max(size, int64(len(file))), Name(last[16:])); err == nil {
			if again := tr.append(nil); !bytes.Equal(again, last) || tr.offset < 0 || tr.size < 0 {
				t.Errorf("trailer %x is another one when it is written: %x", last, again)
			}
		}
		// A pack as it comes: whatever can be opened can be read or is damaged.
		p, err := Open(memoryFS{content: file}, "", Name(last[16:]))
		if err != nil {
			return
		}
		if err := p.Each(func(e Entry) error { return e.check(p.Groups()) }); err != nil {
			t.Error(err)
		}
		var damage *DamageError
		if err := p.Check(); err != nil && !errors.As(err, &damage) {
			t.Error(err)
		}
	})
}

func FuzzIndex(f *testing.F) {
	s := OpenSet(&faultyFS{FS: disk.OS}, newStore(f))
	for i := range uint64(9) {
		publish(f, s, i, i+3)
	}
	merge(f, s)
	for _, name := range indexes(f, s) {
		r, err := openIndex(disk.OS, s.indexPath(name), name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(r.index.data), []byte{1})
	}
	f.Add([]byte(indexHeader+"\xff\xff\xff\xff\x00\x00\x00\x00"+strings.Repeat("x", 64)), []byte{})
	f.Fuzz(func(t *testing.T, b, seed []byte) {
		if len(b) < nameSize {
			return
		}
		name := Name(b[len(b)-nameSize:])
		r, err := openIndex(memoryFS{content: b}, "", name)
		if err != nil {
			return
		}
		if len(r.packs)*nameSize+len(r.records) > len(b) {
			t.Errorf("%d packs and %d bytes of records in %d bytes", len(r.packs), len(r.records), len(b))
		}
		_ = r.index.verify()
		key := Key(hashOf(seed))
		r.find(&key)
		for i := range min(r.len(), 100) {
			key = Key(r.record(i))
			r.find(&key)
		}
		v := &view{runs: []*run{r, r}}
		v.collect(Key{}, nil)
	})
}

// many returns a set of a million entries in packs of 1000 with one index.
func many(b *testing.B, entries int) (*Set, []Key) {
	s := OpenSet(&faultyFS{FS: disk.OS}, newStore(b))
	if _, err := s.current(); err != nil {
		b.Fatal(err)
	}
	const each = 1000
	var keys []Key
	for p := range entries / each {
		temp, err := s.temp()
		if err != nil {
			b.Fatal(err)
		}
		w, err := NewWriter(temp)
		if err != nil {
			b.Fatal(err)
		}
		var list []Entry
		for i := range each {
			key := Key(hashOf(le.AppendUint64(nil, uint64(p*each+i))))
			keys = append(keys, key)
			list = append(list, Entry{Key: key})
		}
		if err := w.Append(0, 0, nil, list); err != nil {
			b.Fatal(err)
		}
		name, err := w.Finish()
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Publish(w, temp, name); err != nil {
			b.Fatal(err)
		}
	}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return s, keys
}

func BenchmarkFind(b *testing.B) {
	s, keys := many(b, 1_000_000)
	if err := s.Merge(b.Context()); err != nil {
		b.Fatal(err)
	}
	all := s.view.Load().runs
	name, _, err := s.combine(b.Context(), s.view.Load(), all)
	if err == nil {
		err = s.supersede(all, name)
	}
	if err != nil {
		b.Fatal(err)
	}
	find := func(b *testing.B, s *Set, want bool, key func(i int) Key) {
		for i := 0; b.Loop(); i++ {
			if _, found, err := s.Find(key(i)); found != want || err != nil {
				b.Fatal(found, err)
			}
		}
	}
	there := func(i int) Key { return keys[i%len(keys)] }
	missing := func(i int) Key { k := keys[i%len(keys)]; k[31]++; return k }
	if n := len(s.view.Load().runs); n != 1 {
		b.Fatalf("%d runs", n)
	}
	b.Run("there", func(b *testing.B) { find(b, s, true, there) })
	b.Run("missing", func(b *testing.B) { find(b, s, false, missing) })
	b.Run("there/parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(len(keys)); pb.Next(); i++ {
				if _, found, err := s.Find(there(i)); !found || err != nil {
					b.Error(found, err)
				}
			}
		})
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, found, err := OpenSet(disk.OS, s.dir).Find(keys[0]); !found || err != nil {
				b.Fatal(found, err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			x := s.view.Load().runs[0].index
			x.verified.Store(false)
			if err := x.verify(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("each", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := s.Each(nil, func(Location) error { n++; return nil }); err != nil || n != len(keys) {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/entry")
	})
}

func BenchmarkFindAmongRuns(b *testing.B) {
	s, keys := many(b, 1_000_000)
	v := s.view.Load()
	b.ReportMetric(float64(len(v.runs)), "runs")
	for i := 0; b.Loop(); i++ {
		if _, found, err := s.Find(keys[i%len(keys)]); !found || err != nil {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	s, keys := many(b, 1_000_000)
	v := s.view.Load()
	for b.Loop() {
		// All runs into one, of another name each time: what is there would not be written.
		name, bad, err := s.combine(b.Context(), v, v.runs)
		if err != nil || bad != nil {
			b.Fatal(bad, err)
		}
		if err := s.fsys.Remove(s.indexPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/entry")
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			temp, err := disk.OS.Temp(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { temp.Discard() }()
			w, err := NewWriter(temp)
			if err != nil {
				b.Fatal(err)
			}
			stored := make([]byte, size)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				if w.Size() > 64<<20 {
					temp.Discard()
					if temp, err = disk.OS.Temp(filepath.Clean(b.TempDir())); err != nil {
						b.Fatal(err)
					}
					if w, err = NewWriter(temp); err != nil {
						b.Fatal(err)
					}
				}
				e := []Entry{{Key: Key(le.AppendUint64(make([]byte, 24), uint64(i))), Size: int64(size), Len: uint32(size)}}
				if err := w.Append(0, size, stored, e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
