package cas

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/kept-dev/kept/cas/chunk"
)

// edited returns another version of b: a few places are overwritten, grow or shrink, or parts
// change places.
func edited(random *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range random.IntN(4) {
		at := random.IntN(len(b) + 1)
		n := min(1+random.IntN(200<<10), len(b)-at)
		switch random.IntN(6) {
		case 0:
			fill(random, b[at:at+n])
		case 1:
			b = slices.Concat(b[:at], fill(random, make([]byte, n)), b[at:])
		case 2:
			b = slices.Concat(b[:at], b[at+n:])
		case 3:
			b = slices.Concat(b[at:], b[:at])
		case 4:
			b = append(b, fill(random, make([]byte, random.IntN(300<<10)))...)
		case 5:
			b = append(b, b[:n]...)
		}
	}
	return b
}

func fill(random *rand.Rand, b []byte) []byte {
	for at := 0; at < len(b); at += 8 {
		var number [8]byte
		binary.LittleEndian.PutUint64(number[:], random.Uint64())
		copy(b[at:], number[:])
	}
	return b
}

func newLocal(t testing.TB) *Local { return mustOpen(t, t.TempDir()) }

func mustOpen(t testing.TB, dir string) *Local {
	l, err := OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// partsOf cuts b by g.
func partsOf(g *guide, b []byte) (parts []part, known int) {
	for len(b) > 0 {
		n, d := g.cut(b)
		if !d.IsZero() {
			known++
		} else {
			d = Sum(b[:n])
		}
		parts = append(parts, part{d, int64(n)})
		b = b[n:]
	}
	return parts, known
}

// TestGuide holds that a guide changes no cut and no digest, whatever the other version is.
func TestGuide(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	l := newLocal(t)
	zeros := make([]byte, 3*chunk.Max)
	first := fill(random, make([]byte, 4<<20))
	guessed := 0
	for range 40 {
		old := edited(random, first)
		if random.IntN(8) == 0 {
			old = slices.Concat(zeros, old)
		}
		b := l.Batch()
		d, _, err := b.Put(t.Context(), bytes.NewReader(old))
		if err == nil {
			err = b.Commit(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
		again := l.Batch().(*batch)
		for _, now := range [][]byte{old, edited(random, old), slices.Concat(old, old), old[:len(old)-1-random.IntN(len(old))], slices.Concat(zeros, old)} {
			want, _ := partsOf(&guide{}, now)
			g := again.guideBy(t.Context(), d)
			got, known := partsOf(g, now)
			if !slices.Equal(got, want) {
				t.Fatalf("%d bytes, after %d: %d chunks, want %d, or others", len(now), len(old), len(got), len(want))
			}
			guessed += known
			whole, _, err := again.Put(t.Context(), VersionOf(d, bytes.NewReader(now)))
			if err != nil || whole != Sum(now) {
				t.Fatalf("Put = %s, %v, want %s", whole, err, Sum(now))
			}
		}
		if err := again.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		again.Close()
	}
	if guessed < 4000 {
		t.Errorf("only %d chunks were guessed", guessed)
	}
}

// TestGuideByAnything holds that any digest will do.
func TestGuideByAnything(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 6))
	l := newLocal(t)
	small, _, err := l.Put(t.Context(), bytes.NewReader([]byte("small")))
	if err != nil {
		t.Fatal(err)
	}
	content := fill(random, make([]byte, 2<<20))
	for _, of := range []Digest{{}, small, Sum([]byte("missing"))} {
		d, n, err := l.Put(t.Context(), VersionOf(of, bytes.NewReader(content)))
		if err != nil || d != Sum(content) || n != int64(len(content)) {
			t.Errorf("version of %s: %s, %d, %v", of, d, n, err)
		}
	}
}

// TestGuideByDamage holds that a manifest that is damaged is of no use and does no harm.
func TestGuideByDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 8))
	l := newLocal(t)
	content := fill(random, make([]byte, 2<<20))
	d, _, err := l.Put(t.Context(), bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	at, found, err := l.set.Find(d)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	name := l.set.Path(at.Pack)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	n := chunk.Next(content)
	first := Sum(content[:n])
	line := bytes.Index(b, binary.LittleEndian.AppendUint64(first[:], uint64(n)))
	if line < 0 {
		t.Fatal("the manifest is not stored as it is")
	}
	b[line] ^= 1
	if err := errors.Join(os.Chmod(name, 0o600), os.WriteFile(name, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, l.dir)
	if g := l.Batch().(*batch).guideBy(t.Context(), d); len(g.parts) > 0 {
		t.Errorf("the guide has %d parts", len(g.parts))
	}
	content = append(content, "more"...)
	if got, _, err := l.Put(t.Context(), VersionOf(d, bytes.NewReader(content))); err != nil || got != Sum(content) {
		t.Fatalf("Put = %s, %v", got, err)
	}
	if got, err := ReadAll(t.Context(), l, Sum(content), 1<<30); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes come back, %v", len(got), err)
	}
}

// BenchmarkPutVersion puts what has 1 % of other bytes than what is there.
func BenchmarkPutVersion(b *testing.B) {
	random := rand.New(rand.NewPCG(3, 7))
	l := newLocal(b)
	content := fill(random, make([]byte, 64<<20))
	d, _, err := l.Put(b.Context(), bytes.NewReader(content))
	if err != nil {
		b.Fatal(err)
	}
	for name, of := range map[string]Digest{"guided": d, "not": {}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				at := random.IntN(len(content) - 640<<10)
				fill(random, content[at:at+640<<10])
				if _, _, err := l.Put(context.Background(), VersionOf(of, bytes.NewReader(content))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
