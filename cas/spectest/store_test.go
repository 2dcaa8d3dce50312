package spectest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/zeebo/blake3"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/disk"
	"github.com/kept-dev/kept/cas/pack"
	"github.com/kept-dev/kept/cas/spectest"
)

// The store in testdata was written once, and every later version has to read it:
//
//	go test ./cas/spectest -run TestFresh -write ../../testdata/store/v1
//
// It is never written again. Another version of the format gets a folder of its own.
var write = flag.String("write", "", "new folder for the store of TestFresh")

const fixed = "../../testdata/store/v1"

func TestFixed(t *testing.T) {
	check(t, fixed)
}

// TestFixedLocal: what the reader can read, so can the store.
func TestFixedLocal(t *testing.T) {
	l, err := cas.OpenForeign(fixed)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects(t, fixed) {
		r, err := l.Open(context.Background(), o.key)
		if err != nil {
			t.Errorf("%s: %v", o.name, err)
			continue
		}
		if n, err := io.Copy(io.Discard, r); err != nil || uint64(n) != o.size {
			t.Errorf("%s: %d bytes, %v, want %d", o.name, n, err, o.size)
		}
		r.Close()
	}
}

func TestFresh(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if *write != "" {
		dir = *write
	}
	put(t, dir)
	check(t, dir)
}

// object is a line of the list beside a store.
type object struct {
	key  spectest.Hash
	size uint64
	name string
}

func objects(t *testing.T, dir string) (list []object) {
	t.Helper()
	text, err := os.ReadFile(dir + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		key, err := hex.DecodeString(fields[0])
		if err != nil || len(key) != 32 || len(fields) != 3 {
			t.Fatalf("%q: %v", line, err)
		}
		size, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, object{spectest.Hash(key), size, fields[2]})
	}
	return list
}

// check reads every object that the list beside a store names, and every blob.
func check(t *testing.T, dir string) {
	t.Helper()
	s, err := spectest.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := objects(t, dir)
	if len(list) < 20 {
		t.Errorf("the list has %d objects", len(list))
	}
	for _, o := range list {
		hash := blake3.New()
		if size, err := s.Read(o.key, hash); err != nil || size != o.size {
			t.Errorf("%s: %d bytes, %v, want %d", o.name, size, err, o.size)
		} else if spectest.Hash(hash.Sum(nil)) != o.key {
			t.Errorf("%s: the reader gave other bytes", o.name)
		}
	}
	for _, key := range s.Keys() {
		if _, err := s.Read(key, io.Discard); err != nil {
			t.Errorf("%x: %v", key, err)
		}
	}
	methods := s.Methods()
	if methods[0] == 0 || methods[1] == 0 || methods[2] == 0 || s.Indexes == 0 || s.Manifests() == 0 {
		t.Errorf("not all kinds are there: groups by method %v, %d indexes, %d manifests", methods, s.Indexes, s.Manifests())
	}
}

// TestDamage: the specification leaves no byte of a pack or an index unchecked.
func TestDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, name := range []string{"packs", "index"} {
		files, err := os.ReadDir(filepath.Join(fixed, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(fixed)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, name, f.Name())
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				at := r.IntN(len(whole))
				damaged := bytes.Clone(whole)
				damaged[at] ^= 1 << r.IntN(8)
				if err := os.WriteFile(file, damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				if readAll(dir) == nil {
					t.Errorf("%s/%s: the damage of byte %d of %d was not seen", name, f.Name(), at, len(whole))
				}
			}
		}
	}
}

func readAll(dir string) error {
	s, err := spectest.Open(dir)
	if err != nil {
		return err
	}
	for _, key := range s.Keys() {
		if _, err := s.Read(key, io.Discard); err != nil {
			return err
		}
	}
	return nil
}

// put writes a store with all that the format knows, and the list beside it.
func put(t *testing.T, dir string) {
	t.Helper()
	ctx := context.Background()
	var list strings.Builder
	note := func(d [32]byte, size int, name string) { fmt.Fprintf(&list, "%x %d %s\n", d, size, name) }
	odd(t, dir, note)
	l, err := cas.OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := contents()
	// The first ones have a pack each: as many as it takes for an index.
	for _, c := range all[:12] {
		d, _, err := l.Put(ctx, bytes.NewReader(c.bytes))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		note(d, len(c.bytes), c.name)
	}
	b := l.Batch()
	defer b.Close()
	for _, c := range all[12:] {
		d, _, err := b.Put(ctx, bytes.NewReader(c.bytes))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		note(d, len(c.bytes), c.name)
	}
	if err := b.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+".txt", []byte(list.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

type content struct {
	name  string
	bytes []byte
}

func contents() []content {
	r := rand.New(rand.NewPCG(1, 2))
	values := func(n, size int, bits func() uint64) []byte {
		var b []byte
		for range n {
			b = append(b, binary.LittleEndian.AppendUint64(nil, bits())[:size]...)
		}
		return b
	}
	float32s := func() uint64 { return uint64(math.Float32bits(float32(0.02 * r.NormFloat64()))) }
	noise := func(n int) []byte { return values(n, 1, func() uint64 { return r.Uint64() }) }
	var text []byte
	for i := 0; len(text) < 400_000; i++ {
		text = fmt.Appendf(text, "%d,2024-01-%02d,%s,%d\n", i, 1+i/700, []string{"Oslo", "Graz", "Lund"}[i%3], i%17)
	}
	return []content{
		{"nothing", nil},
		{"one byte", []byte{7}},
		{"abc", []byte("abc")},
		{"noise", noise(9000)},
		{"text", text[:30_000]},
		{"text in chunks", text},
		{"float32", values(6000, 4, float32s)},
		{"bfloat16", values(6000, 2, func() uint64 { return float32s() >> 16 })},
		{"float64", values(3000, 8, func() uint64 { return math.Float64bits(r.NormFloat64()) })},
		{"int32", values(5000, 4, func() uint64 { return r.Uint64N(70_000) })},
		{"int8", values(16_000, 1, func() uint64 { return uint64(int64(8 * r.NormFloat64())) })},
		{"bfloat16 in float32", values(6000, 4, func() uint64 { return float32s() &^ 0xffff })},
		{"zeros, the largest blob", make([]byte, 262_144)},
		{"zeros, the smallest manifest", make([]byte, 262_145)},
		{"zeros in chunks", make([]byte, 2_000_000)},
		{"float32 behind a header", append([]byte("a header of odd size."), values(4000, 4, float32s)...)},
		{"float32 behind another header", append([]byte("an odd head"), values(4001, 4, float32s)...)},
		{"float32 in chunks, most of them constant", append(bytes.Repeat([]byte{0, 0, 128, 63}, 100_000), values(5000, 4, float32s)...)},
		{"short texts", bytes.Repeat([]byte("short "), 50)},
		{"more noise", noise(500)},
	}
}

// odd writes a pack that kept would not, but may: a manifest of two levels above
// tiny chunks, entries that overlap, bytes of no entry, and an object that is in
// another pack, too.
func odd(t *testing.T, dir string, note func(d [32]byte, size int, name string)) {
	t.Helper()
	set := pack.OpenSet(disk.OS, dir)
	for _, sub := range []string{"packs", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	temp, err := disk.OS.Temp(filepath.Join(dir, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer temp.Discard()
	w, err := pack.NewWriter(temp)
	if err != nil {
		t.Fatal(err)
	}
	group := []byte("of no entry; abcdefabcxyz; of no entry")
	at := func(s string) pack.Entry {
		i := bytes.Index(group, []byte(s))
		return pack.Entry{Key: blake3.Sum256([]byte(s)), Size: int64(len(s)), At: uint32(i), Len: uint32(len(s))}
	}
	chunks := []pack.Entry{at("abc"), at("abcdef"), at("xyz"), at("bcde")}
	if err := w.Append(0, len(group), group, chunks); err != nil {
		t.Fatal(err)
	}
	node := func(level byte, parts ...pack.Entry) (b []byte, size int64) {
		b = append(b, 1, level, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(parts)))
		b = append(b, make([]byte, 8)...)
		for _, p := range parts {
			b = append(b, p.Key[:]...)
			b = binary.LittleEndian.AppendUint64(b, uint64(p.Size))
			size += p.Size
		}
		binary.LittleEndian.PutUint64(b[8:], uint64(size))
		return b, size
	}
	// inner keeps a node as a blob and returns it as a part.
	inner := func(level byte, parts ...pack.Entry) pack.Entry {
		b, size := node(level, parts...)
		e := pack.Entry{Key: blake3.Sum256(b), Size: int64(len(b)), Len: uint32(len(b))}
		if err := w.Append(0, len(b), b, []pack.Entry{e}); err != nil {
			t.Fatal(err)
		}
		e.Size = size
		return e
	}
	left, right := inner(0, chunks[0], chunks[1]), inner(0, chunks[2], chunks[3], chunks[3])
	root, size := node(2, inner(1, left, right, left), inner(1, right))
	whole := "abcabcdef" + "xyzbcdebcde" + "abcabcdef" + "xyzbcdebcde"
	manifest := pack.Entry{Key: blake3.Sum256([]byte(whole)), Kind: pack.Manifest, Size: size, Len: uint32(len(root))}
	if err := w.Append(0, len(root), root, []pack.Entry{manifest}); err != nil {
		t.Fatal(err)
	}
	note(manifest.Key, len(whole), "a manifest of three levels")
	name, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Publish(w, temp, name); err != nil {
		t.Fatal(err)
	}
}
