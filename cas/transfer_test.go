package cas_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/cas/pack"
	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/mem"
)

// array32 returns n bytes of float32 as weights are.
func array32(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, 0, n)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(r.NormFloat64())*0.02))
	}
	return b[:n]
}

// prose returns n bytes that compress as text does.
func prose(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "review %d: %d stars, %x\n", r.IntN(1000), r.IntN(6), r.Uint32())
	}
	return b.Bytes()[:n]
}

// putFolder keeps a folder of these files.
func putFolder(t testing.TB, s cas.Store, files map[string][]byte) cas.Wanted {
	t.Helper()
	b := s.Batch()
	defer b.Close()
	var tree cas.Tree
	for path, content := range files {
		d, n, err := b.Put(background, bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		kind := cas.File
		switch {
		case strings.HasSuffix(path, ".sh"):
			kind = cas.Executable
		case strings.HasSuffix(path, ".link"):
			kind = cas.Link
		}
		tree = append(tree, cas.Entry{Path: path, Kind: kind, Digest: d, Size: n})
	}
	if err := tree.Check(); err != nil {
		t.Fatal(err)
	}
	d, err := b.PutBytes(background, tree.Marshal())
	if err == nil {
		err = b.Commit(background)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cas.Wanted{Digest: d, Folder: true}
}

func manyFiles(seed uint64, n int) map[string][]byte {
	files := map[string][]byte{"a/b.link": []byte("../run.sh"), "run.sh": []byte("#!/bin/sh\n")}
	for i := range n {
		files[fmt.Sprintf("f%d/%d.txt", i%17, i)] = prose(seed*1_000_000+uint64(i), 200+i%3000)
	}
	return files
}

func file(d cas.Digest) cas.Wanted { return cas.Wanted{Digest: d} }

func wantedFiles(list []cas.Digest) (want []cas.Wanted) {
	for _, d := range list {
		want = append(want, file(d))
	}
	return want
}

func push(t testing.TB, s *cas.Local, r remote.Remote, o cas.TransferOptions, want ...cas.Wanted) *cas.Transferred {
	t.Helper()
	done, err := s.Push(background, r, want, o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func fetch(t testing.TB, s *cas.Local, r remote.Remote, o cas.TransferOptions, want ...cas.Wanted) *cas.Transferred {
	t.Helper()
	done, err := s.Fetch(background, r, want, o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// same reads all that is wanted from a store, by a fresh look at it.
func same(t testing.TB, dir string, want ...cas.Wanted) {
	t.Helper()
	sameIn(t, openLocal(t, dir).Local, want...)
}

func sameIn(t testing.TB, s *cas.Local, want ...cas.Wanted) {
	t.Helper()
	for _, w := range want {
		b, err := cas.ReadAll(background, s, w.Digest, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if cas.Sum(b) != w.Digest {
			t.Fatalf("%s has other bytes", w.Digest)
		}
		if !w.Folder {
			continue
		}
		tree, err := cas.ParseTree(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range tree {
			sameIn(t, s, file(e.Digest))
		}
	}
}

// sound checks that all roots of a remote are right, and their packs there and whole.
func sound(t testing.TB, r remote.Remote) (roots, packs int) {
	t.Helper()
	sizes := map[string]int64{}
	err := r.List(background, "packs/", func(i remote.Info) error {
		sizes[i.Name] = i.Size
		packs++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = r.List(background, "roots/", func(i remote.Info) error {
		roots++
		for name, size := range cas.RootPacks(t, i.Name, get(t, r, i.Name)) {
			there, ok := sizes[name]
			if ok && there < 0 { // this kind does not list sizes
				if there, err = r.Stat(background, name); err != nil {
					t.Fatal(err)
				}
			}
			if !ok || there != size {
				t.Fatalf("%s lists %s of %d bytes, which has %d", i.Name, name, size, there)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return roots, packs
}

func get(t testing.TB, r remote.Remote, name string) []byte {
	t.Helper()
	body, err := r.Get(background, name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// packsOn returns the names of the packs on a remote.
func packsOn(t testing.TB, r remote.Remote) (names []string) {
	t.Helper()
	err := r.List(background, "packs/", func(i remote.Info) error {
		names = append(names, i.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// keysOn returns the keys of all entries on a remote.
func keysOn(t testing.TB, r remote.Remote) map[cas.Digest]int {
	t.Helper()
	keys := map[cas.Digest]int{}
	for _, name := range packsOn(t, r) {
		b := get(t, r, name)
		n, err := pack.ParseName(strings.TrimSuffix(filepath.Base(name), ".pack"))
		if err != nil {
			t.Fatal(err)
		}
		table, err := pack.ParseEnd(n, int64(len(b)), b[cas.TableAt(b):])
		if err != nil {
			t.Fatal(err)
		}
		for i := range table.Len() {
			keys[table.Entry(i).Key]++
		}
	}
	return keys
}

// tally is a Meter.
type tally struct{ total, objects, moved, done, reused atomic.Int64 }

func (m *tally) Total(bytes, objects int64) {
	m.total.Add(bytes)
	m.objects.Add(objects)
}
func (m *tally) Moved(n int64) { m.moved.Add(n) }
func (m *tally) Done(objects, reused int64) {
	m.done.Add(objects)
	m.reused.Add(reused)
}

// What is pushed from one store is fetched into another, byte for byte.
func TestRoundTrip(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, s *cas.Local) []cas.Wanted{
		"empty":      func(t *testing.T, s *cas.Local) []cas.Wanted { return wantedFiles(put(t, s, nil)) },
		"a byte":     func(t *testing.T, s *cas.Local) []cas.Wanted { return wantedFiles(put(t, s, []byte("a"))) },
		"a chunk":    func(t *testing.T, s *cas.Local) []cas.Wanted { return wantedFiles(put(t, s, noise(1, 256<<10))) },
		"two chunks": func(t *testing.T, s *cas.Local) []cas.Wanted { return wantedFiles(put(t, s, noise(1, 256<<10+1))) },
		"floats":     func(t *testing.T, s *cas.Local) []cas.Wanted { return wantedFiles(put(t, s, array32(1, 40<<20))) },
		"text":       func(t *testing.T, s *cas.Local) []cas.Wanted { return wantedFiles(put(t, s, prose(1, 3<<20))) },
		"zeros":      func(t *testing.T, s *cas.Local) []cas.Wanted { return wantedFiles(put(t, s, make0(9<<20))) },
		"repeats": func(t *testing.T, s *cas.Local) []cas.Wanted {
			return wantedFiles(put(t, s, bytes.Repeat(noise(1, 20<<20), 2)))
		},
		"several": func(t *testing.T, s *cas.Local) []cas.Wanted {
			return wantedFiles(put(t, s, nil, []byte("b"), noise(2, 1<<20), prose(3, 1<<20), array32(3, 2<<20)))
		},
		"empty folder": func(t *testing.T, s *cas.Local) []cas.Wanted { return []cas.Wanted{putFolder(t, s, nil)} },
		"folder": func(t *testing.T, s *cas.Local) []cas.Wanted {
			return []cas.Wanted{putFolder(t, s, manyFiles(1, 3000))}
		},
		"large files": func(t *testing.T, s *cas.Local) []cas.Wanted {
			return []cas.Wanted{putFolder(t, s, map[string][]byte{"a": noise(1, 3<<20), "b": array32(2, 5<<20), "c": nil})}
		},
		"many nodes": func(t *testing.T, s *cas.Local) []cas.Wanted {
			s.SetSizes(1<<20, 4)
			return wantedFiles(put(t, s, noise(5, 9<<20)))
		},
		"cut tree": func(t *testing.T, s *cas.Local) []cas.Wanted {
			s.SetSizes(1<<20, 2)
			return []cas.Wanted{putFolder(t, s, manyFiles(2, 4000))}
		},
		"one in two": func(t *testing.T, s *cas.Local) []cas.Wanted {
			a := noise(7, 4<<20)
			return wantedFiles(put(t, s, a, append(noise(8, 1<<20), a...)))
		},
		"file and tree": func(t *testing.T, s *cas.Local) []cas.Wanted {
			w := putFolder(t, s, manyFiles(3, 20))
			return []cas.Wanted{w, file(w.Digest), w}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := openLocal(t, filepath.Join(t.TempDir(), "a"))
			want := make(t, a.Local)
			r := mem.New()
			var meter tally
			done := push(t, a.Local, r, cas.TransferOptions{Meter: &meter}, want...)
			if done.Present != 0 || len(done.Missing) > 0 || done.Bytes != meter.moved.Load() || int64(done.Objects) != meter.done.Load() || meter.total.Load() != done.Bytes {
				t.Errorf("push: %+v, metered %+v", done, &meter)
			}
			sound(t, r)
			dir := filepath.Join(t.TempDir(), "b")
			b := openLocal(t, dir)
			var came tally
			got := fetch(t, b.Local, r, cas.TransferOptions{Meter: &came}, want...)
			if got.Objects != done.Objects || len(got.Missing) > 0 || got.Present > 0 || came.done.Load() != int64(got.Objects) {
				t.Errorf("fetch: %+v, metered %+v", got, &came)
			}
			same(t, dir, want...)
			if again := fetch(t, openLocal(t, dir).Local, r, cas.TransferOptions{}, want...); again.Present != done.Objects || again.Bytes != 0 {
				t.Errorf("fetch again: %+v", again)
			}
			if again := push(t, b.Local, r, cas.TransferOptions{}, want...); again.Present != done.Objects || again.Bytes != 0 {
				t.Errorf("push again: %+v", again)
			}
		})
	}
}

func make0(n int) []byte { return make([]byte, n) }
