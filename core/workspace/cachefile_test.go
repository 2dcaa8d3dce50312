package workspace

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
)

func FuzzCacheFile(f *testing.F) {
	s := newSpace(f)
	for i := range 20 {
		s.write(fmt.Sprintf("data/%d/%d", i%3, i), fmt.Sprint(i))
	}
	s.scan("data")
	s.write("file", "x")
	s.scan("file")
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(s.cacheFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, false)
	f.Add(seed[:len(seed)-1], true)
	f.Add([]byte(cacheHeader), true)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			data = sealed(data)
		}
		c, err := readCacheFile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for i := range c.len() {
			b := c.block(string(c.path(i)))
			if b == nil {
				continue
			}
			x := index{}
			for j := range b.len() {
				b.stat(j)
				if k := x.find(b, b.name(j)); k > j || !bytes.Equal(b.name(k), b.name(j)) {
					t.Errorf("record %d is found as %d", j, k)
				}
			}
		}
	})
}

// sealed gives data a trailer with the right checksum, which no fuzzer guesses.
func sealed(data []byte) []byte {
	if len(data) < len(cacheHeader)+trailerSize {
		return data
	}
	data = bytes.Clone(data)
	trailer := data[len(data)-trailerSize:]
	at := int(uint16(trailer[0])|uint16(trailer[1])<<8) % (len(data) - trailerSize)
	sum := cas.Sum(data[at : len(data)-len(cas.Digest{})])
	copy(trailer[24:], sum[:])
	return data
}

// Two processes write the cache: one of them wins, and nothing is wrong.
func TestTwoProcesses(t *testing.T) {
	s := newSpace(t)
	for i := range 50 {
		s.write(fmt.Sprintf("data/%d/%d", i%3, i), fmt.Sprint(i))
	}
	s.scan("data")
	s.reopen()
	one, two := Open(s.Root(), s.cacheFile), Open(s.Root(), s.cacheFile)
	for i, w := range []*Workspace{one, two} {
		w.now = s.now
		time.Sleep(12 * time.Millisecond)
		s.write(fmt.Sprintf("data/%d/new", i), "new")
		o, err := w.Scan(t.Context(), "data")
		if err != nil {
			t.Fatal(err)
		}
		s.check("Scan", "data", o)
	}
	for _, w := range []*Workspace{one, two, one} {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		s.reopen()
		s.check("Scan after both", "data", s.scan("data"))
	}
}

// A folder that is gone leaves nothing behind.
func TestCacheForgetsFolders(t *testing.T) {
	s := newSpace(t)
	for _, dir := range []string{"data/a", "data/a/b", "data/c", "data-", "other"} {
		s.write(dir+"/f", dir)
	}
	s.scan("data")
	s.scan("data/a")
	s.scan("data-")
	s.scan("other")
	s.reopen()
	if err := os.RemoveAll(s.Abs("data/a")); err != nil {
		t.Fatal(err)
	}
	s.scan("data")
	s.reopen()
	s.scan("other")
	var got []string
	for i := range s.cache.disk.len() {
		got = append(got, string(s.cache.disk.path(i)))
	}
	if want := "[data data- data/c other]"; fmt.Sprint(got) != want {
		t.Errorf("the cache has %v, want %s", got, want)
	}
	if len(s.cache.wholes) != 3 {
		t.Errorf("the cache has %d folders as a whole, want 3", len(s.cache.wholes))
	}
}

// Whichever byte of the cache is wrong, Scan is right.
func TestDamagedCache(t *testing.T) {
	s := newSpace(t)
	for i := range 12 {
		s.write(fmt.Sprintf("data/%d/%d", i%3, i), fmt.Sprint(i))
	}
	want := s.scan("data")
	s.reopen()
	good, err := os.ReadFile(s.cacheFile)
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func(i int) []byte{
		"flipped": func(i int) []byte { bad := bytes.Clone(good); bad[i] ^= 0x10; return bad },
		"cut":     func(i int) []byte { return good[:i] },
	}
	for name, of := range damage {
		for i := 0; i < len(good); i += 3 {
			if err := os.WriteFile(s.cacheFile, of(i), 0o600); err != nil {
				t.Fatal(err)
			}
			s.Workspace = Open(s.Root(), s.cacheFile)
			s.later(time.Minute)
			if o := s.scan("data"); o.Digest != want.Digest || !slices.Equal(o.Tree(), want.Tree()) {
				t.Fatalf("%s at byte %d of %d: Scan = %s, %v", name, i, len(good), o.Digest.Short(), o.Tree())
			}
			s.cache.disk.close()
		}
	}
}
