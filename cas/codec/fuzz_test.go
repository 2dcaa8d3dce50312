package codec

import (
	"bytes"
	"testing"
)

// FuzzDecode gives Decode what nobody encoded: it may refuse it, but must not panic,
// and what it accepts it must decode to the same each time.
func FuzzDecode(f *testing.F) {
	e := NewEncoder()
	for _, kind := range kinds {
		for _, size := range []int{0, 1, 13, 1000, 5003} {
			b := kind.make(newRand(), size)
			for class := range Classes {
				method, stored, err := e.Encode(class, b, []int{size / 3, size})
				if err != nil {
					f.Fatal(err)
				}
				if class > 0 && method == Raw {
					continue
				}
				f.Add(byte(method), stored, uint32(size))
			}
		}
	}
	f.Fuzz(func(t *testing.T, method byte, stored []byte, size uint32) {
		plain := make([]byte, size%(1<<20), size%(1<<20)+64)
		if Decode(Method(method), stored, plain) != nil {
			return
		}
		if !bytes.Equal(plain[:cap(plain)][len(plain):], make([]byte, 64)) {
			t.Error("it wrote beyond its end")
		}
		again := bytes.Repeat([]byte{0xaa}, len(plain))
		if err := Decode(Method(method), stored, again); err != nil || !bytes.Equal(plain, again) {
			t.Errorf("the second time it decoded to something else: %v", err)
		}
	})
}
