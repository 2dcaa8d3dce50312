package blake3

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zeebo/blake3"
)

// onEach runs a test on both ways. The wide one works on other processors as well, in fewer lanes.
func onEach(t *testing.T, test func(t *testing.T)) {
	has := wide
	t.Cleanup(func() { wide = has })
	for name, on := range map[string]bool{"narrow": false, "wide": true} {
		t.Run(name, func(t *testing.T) {
			wide = on
			test(t)
		})
	}
}

// The hashes are those of the official test vectors: bytes that count from 0 to 250 again and again.
func TestVectors(t *testing.T) {
	content := make([]byte, 102400)
	for i := range content {
		content[i] = byte(i % 251)
	}
	onEach(t, func(t *testing.T) {
		for n, want := range map[int]string{
			0:      "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
			1:      "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
			1025:   "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
			31744:  "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
			102400: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
		} {
			sum := Sum256(content[:n])
			if got := hex.EncodeToString(sum[:]); got != want {
				t.Errorf("%d bytes: %s, want %s", n, got, want)
			}
		}
	})
}

// Around every size at which the shape of the tree changes.
func TestSizes(t *testing.T) {
	content := random(5 * 64 << 10)
	onEach(t, func(t *testing.T) {
		for at := 0; at < len(content); at += batchSize / 4 {
			for n := max(0, at-65); n <= min(at+65, len(content)); n += 13 {
				check(t, content[:n], n/3)
			}
			for n := max(0, at-1); n <= at+1; n++ {
				check(t, content[:n], n/3)
			}
		}
	})
}

func FuzzHasher(f *testing.F) {
	f.Add(uint32(5*batchSize), uint32(batchSize), uint32(1))
	f.Add(uint32(64*batchSize), uint32(3), uint32(batchSize))
	f.Fuzz(func(t *testing.T, size, first, second uint32) {
		content := random(int(size % (1 << 20)))
		has := wide
		defer func() { wide = has }()
		for _, wide = range []bool{false, true} {
			check(t, content, int(first)%(len(content)+1), int(second)%(len(content)+1))
		}
	})
}

// check compares with the other library's, in one piece and in pieces that end at the cuts.
func check(t *testing.T, content []byte, cuts ...int) {
	t.Helper()
	want := blake3.Sum256(content)
	if got := Sum256(content); got != want {
		t.Fatalf("Sum256 of %d bytes: %x, want %x", len(content), got, want)
	}
	var h Hasher
	at := 0
	for _, cut := range append(cuts, len(content)) {
		h.Write(content[at:max(at, cut)])
		at = max(at, cut)
		// What was asked for before the end changes nothing.
		if got, want := h.Sum256(), blake3.Sum256(content[:at]); got != want {
			t.Fatalf("Hasher with %d of %d bytes, in pieces %v: %x, want %x", at, len(content), cuts, got, want)
		}
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func BenchmarkSum256(b *testing.B) {
	for _, size := range []int{1 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 1 << 20} {
		content := random(size)
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				Sum256(content)
			}
		})
	}
}
