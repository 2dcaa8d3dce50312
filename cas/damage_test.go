package cas_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/storetest"
)

// damagedFiles yields a file with a bit changed, cut short, made longer, and zeroed.
func damagedFiles(file []byte, bits int, r *rand.Rand) func(yield func(what string, b []byte) bool) {
	return func(yield func(string, []byte) bool) {
		flip := func(bit int) bool {
			b := slices.Clone(file)
			b[bit/8] ^= 1 << (bit % 8)
			return yield(fmt.Sprintf("bit %d", bit), b)
		}
		if bits >= 8*len(file) {
			for bit := range 8 * len(file) {
				if !flip(bit) {
					return
				}
			}
		} else {
			for range bits {
				if !flip(r.IntN(8 * len(file))) {
					return
				}
			}
			for i := range min(100, len(file)) { // head and tail are small, and hold all together
				if !flip(8*i+r.IntN(8)) || !flip(8*(len(file)-1-i)+r.IntN(8)) {
					return
				}
			}
		}
		for n := 0; n < len(file); n += 1 + len(file)/(1+bits/10) {
			if !yield(fmt.Sprintf("cut to %d", n), file[:n]) {
				return
			}
		}
		zeros := slices.Clone(file)
		clear(zeros[len(zeros)/3 : len(zeros)/3+min(4096, len(zeros)/3)])
		_ = yield("longer", append(slices.Clone(file), 0)) &&
			yield("zeroed", make([]byte, len(file))) && yield("a page of zeros", zeros)
	}
}

// weights returns bytes as an array of float32 has them.
func weights(n int) []byte {
	r := rand.New(rand.NewPCG(3, 3))
	b := make([]byte, 0, n)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint32(b, 0x3f000000|r.Uint32()&0x00ffffff)
	}
	return b[:n]
}

// TestDamage spoils the files of a store in every way that we can think of. The
// right content or an error comes out, never another content, and a full check
// finds it, and repairs what it can: what is put again is there again.
//
//	FAULTS_BITS=10000 go test ./cas -run TestDamage$ -timeout 0
//
// is for so many bits of each file, at random, or for all that it has.
// TestEveryBit is for more.
func TestDamage(t *testing.T) {
	bits := min(faultBits(t, 500), 10_000) // it writes a file for each
	for _, c := range []struct {
		name     string
		contents [][]byte
		pattern  string
	}{
		{"raw", [][]byte{storetest.Random(1, 64<<10)}, "packs/*"},
		{"text", [][]byte{storetest.Text(1, 200<<10)}, "packs/*"},
		{"values", [][]byte{weights(96 << 10)}, "packs/*"},
		{"chunks and a manifest", [][]byte{storetest.Random(2, 600<<10)}, "packs/*"},
		{"many small", [][]byte{nil, []byte("a"), storetest.Text(2, 700), storetest.Random(3, 900)}, "packs/*"},
		{"index", nil, "index/*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := memoryDir(t)
			s := openLocal(t, dir)
			if c.contents == nil {
				for i := range uint64(12) {
					c.contents = append(c.contents, storetest.Text(i, 100))
					mustPut(t, s, c.contents[i])
				}
			} else if err := putAll(s.Local, c.contents); err != nil {
				t.Fatal(err)
			}
			names, err := filepath.Glob(filepath.Join(dir, c.pattern))
			if err != nil || len(names) != 1 {
				t.Fatalf("files: %v, %v", names, err)
			}
			damageFile(t, dir, names[0], c.contents, c.pattern == "index/*", bits)
		})
	}
}

func putAll(s *cas.Local, contents [][]byte) error {
	b := s.Batch()
	defer b.Close()
	for _, content := range contents {
		if _, err := b.PutBytes(background, content); err != nil {
			return err
		}
	}
	return b.Commit(background)
}

// damageFile damages one file of the store in dir in many ways, one after the other.
func damageFile(t *testing.T, dir, name string, contents [][]byte, isIndex bool, bits int) {
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	ways, failed := 0, 0
	for what, spoiled := range damagedFiles(whole, bits, r) {
		ways++
		os.Remove(name)
		if err := os.WriteFile(name, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		foreign, err := cas.OpenForeign(dir)
		if err != nil {
			t.Fatal(err)
		}
		if n := readSpoiled(t, foreign, contents, what); n > 0 {
			failed++
			if isIndex {
				t.Errorf("%s: %d contents cannot be read without an index", what, n)
			}
		}
		found, err := foreign.Check(background, cas.CheckOptions{Full: true})
		if !isIndex && (err == nil && len(found.Damaged)+len(found.Unreadable) == 0) {
			t.Errorf("%s: a full check finds nothing", what)
		}
		if ways%8 == 0 {
			mendSpoiled(t, dir, contents, what)
			clean, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
			for _, file := range clean { // what the mending made
				if filepath.Base(filepath.Dir(file)) != "index" && !isIndex || filepath.Base(filepath.Dir(file)) == "quarantine" {
					os.Remove(file)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d bytes spoiled in %d ways, of which %d spoil a content", len(whole), ways, failed)
}

// readSpoiled reads all contents and returns how many can't be.
func readSpoiled(t *testing.T, s *cas.Local, contents [][]byte, what string) (failed int) {
	t.Helper()
	for _, content := range contents {
		b, err := readAll(s, cas.Sum(content))
		switch {
		case err == nil && !bytes.Equal(b, content):
			t.Errorf("%s: another content comes without an error", what)
		case err != nil && !isMissing(err) && asCorrupt(err) == nil:
			t.Errorf("%s: %v; want a CorruptError or a MissingError", what, err)
		case err != nil:
			failed++
		}
	}
	return failed
}

// mendSpoiled has the store deal with the damage and puts everything again.
func mendSpoiled(t *testing.T, dir string, contents [][]byte, what string) {
	t.Helper()
	s := openLocal(t, dir)
	if _, err := s.Check(background, cas.CheckOptions{Full: true}); err != nil {
		t.Errorf("%s: check: %v", what, err)
	}
	if err := putAll(s.Local, contents); err != nil {
		t.Errorf("%s: put again: %v", what, err)
	}
	for _, content := range contents {
		wantContent(t, s, content)
	}
	if found, err := openLocal(t, dir).Check(background, cas.CheckOptions{Full: true}); err != nil || len(found.Damaged) > 0 {
		t.Errorf("%s: after it was mended: %v, %v", what, found, err)
	}
}

// TestSwappedPacks gives two packs each other's names.
func TestSwappedPacks(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	contents := [][]byte{storetest.Random(1, 5000), storetest.Text(2, 5000)}
	for _, content := range contents {
		mustPut(t, s, content)
	}
	names, err := filepath.Glob(filepath.Join(dir, "packs/*"))
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	for _, step := range [][2]string{{names[0], "x"}, {names[1], names[0]}, {"x", names[1]}} {
		for i := range step {
			if step[i] == "x" {
				step[i] = filepath.Join(dir, "x")
			}
		}
		if err := os.Rename(step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
	foreign, err := cas.OpenForeign(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := readSpoiled(t, foreign, contents, "swapped"); n != 2 {
		t.Errorf("%d of 2 contents cannot be read", n)
	}
	mendSpoiled(t, dir, contents, "swapped")
}
