package cas

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kept-dev/kept/cas/blake3"
)

// Prefix names the hash algorithm in front of every written digest. It leaves
// room for another algorithm beside BLAKE3-256.
const Prefix = "blake3:"

// ErrDigest reports text that is not a digest in the form "blake3:<64 hex digits>".
var ErrDigest = errors.New("not a digest of the form blake3:<64 lower-case hex digits>")

// Digest is the BLAKE3-256 hash of an object's plain content. Digests are
// comparable with == and usable as map keys. The zero Digest means "none": no
// known content hashes to it.
type Digest [32]byte

// Sum returns the digest of b.
func Sum(b []byte) Digest { return blake3.Sum256(b) }

// SumReader reads r to its end and returns the digest and the number of bytes read.
func SumReader(r io.Reader) (Digest, int64, error) {
	h := NewHasher()
	n, err := io.Copy(h, r)
	if err != nil {
		return Digest{}, n, err
	}
	return h.Digest(), n, nil
}

// ParseDigest reads a digest as String writes it. Upper-case hex, a missing
// prefix or another length give ErrDigest: a digest has one written form.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	text, ok := strings.CutPrefix(s, Prefix)
	if !ok || len(text) != 2*len(d) || strings.ToLower(text) != text {
		return Digest{}, fmt.Errorf("%q: %w", s, ErrDigest)
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return Digest{}, fmt.Errorf("%q: %w", s, ErrDigest)
	}
	return d, nil
}

// IsZero reports whether d is the zero Digest, which stands for "none".
func (d Digest) IsZero() bool { return d == Digest{} }

// Hex returns the 64 lower-case hex digits of d, as b3sum prints them.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// String returns the written form, "blake3:" and 64 hex digits.
func (d Digest) String() string { return Prefix + d.Hex() }

// Short returns the form shown to people, "blake3:" and the first ten hex digits.
func (d Digest) Short() string { return Prefix + d.Hex()[:10] }

// MarshalText implements encoding.TextMarshaler with the written form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseDigest.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Hasher computes the Digest of what is written to it.
type Hasher struct{ h blake3.Hasher }

// NewHasher returns a Hasher that has seen no bytes.
func NewHasher() *Hasher { return &Hasher{} }

// Write adds p to the content; it never fails.
func (h *Hasher) Write(p []byte) (int, error) { return h.h.Write(p) }

// Digest returns the digest of all bytes written so far.
func (h *Hasher) Digest() Digest { return h.h.Sum256() }
