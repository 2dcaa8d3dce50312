package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// digest is "sha256:" and 64 hexadecimal digits. Registries may know other hashes;
// nothing of kept's is named by one.
type digest string

const sha256Prefix = "sha256:"

// digestOf returns the digest of what was written to h.
func digestOf(h hash.Hash) digest { return digest(sha256Prefix + hex.EncodeToString(h.Sum(nil))) }

// sum returns the digest of b.
func sum(b []byte) digest {
	h := sha256.New()
	_, _ = h.Write(b) // never fails
	return digestOf(h)
}

// check refuses what is no digest; it may come from anybody.
func (d digest) check() error {
	hexes, ok := strings.CutPrefix(string(d), sha256Prefix)
	if !ok || len(hexes) != 2*sha256.Size || strings.Trim(hexes, "0123456789abcdef") != "" {
		return fmt.Errorf("%q is no SHA-256 digest", string(d))
	}
	return nil
}
