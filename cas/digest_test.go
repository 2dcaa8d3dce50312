package cas_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/kept-dev/kept/cas"
)

// What b3sum prints.
var digestVectors = map[string]string{
	"":    "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
	"a":   "17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f",
	"abc": "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
}

func TestDigestVectors(t *testing.T) {
	for content, want := range digestVectors {
		d := cas.Sum([]byte(content))
		if d.Hex() != want || d.String() != "blake3:"+want || d.Short() != "blake3:"+want[:10] || d.IsZero() {
			t.Errorf("Sum(%q) = %s, %s; want %s", content, d, d.Short(), want)
		}
		streamed, n, err := cas.SumReader(iotest.OneByteReader(strings.NewReader(content)))
		if streamed != d || n != int64(len(content)) || err != nil {
			t.Errorf("SumReader(%q) = %s, %d, %v", content, streamed, n, err)
		}
		parsed, err := cas.ParseDigest(d.String())
		if parsed != d || err != nil {
			t.Errorf("ParseDigest(%q) = %s, %v", d, parsed, err)
		}
		var read cas.Digest
		text, err := d.MarshalText()
		if err != nil || read.UnmarshalText(text) != nil || read != d {
			t.Errorf("text of %s reads as %s", d, read)
		}
	}
}

func TestParseDigestRefuses(t *testing.T) {
	hex := digestVectors["abc"]
	for _, s := range []string{
		"", "blake3:", hex, "sha256:" + hex, "BLAKE3:" + hex, "blake3:" + strings.ToUpper(hex), "blake3:" + hex[1:],
		"blake3:" + hex + "0", "blake3:g" + hex[1:], " blake3:" + hex, "blake3:" + hex + "\n", "blake3: " + hex[1:],
	} {
		d, err := cas.ParseDigest(s)
		if !errors.Is(err, cas.ErrDigest) || !d.IsZero() {
			t.Errorf("ParseDigest(%q) = %s, %v", s, d, err)
		}
		if before := cas.Sum(nil); before.UnmarshalText([]byte(s)) == nil || before != cas.Sum(nil) {
			t.Errorf("UnmarshalText(%q) changed its receiver or works", s)
		}
	}
}

func TestSumReaderFails(t *testing.T) {
	broken := errors.New("broken")
	d, _, err := cas.SumReader(iotest.ErrReader(broken))
	if err != broken || !d.IsZero() {
		t.Errorf("SumReader = %s, %v", d, err)
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("blake3:" + digestVectors[""])
	f.Add("blake3:" + strings.ToUpper(digestVectors["a"]))
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := cas.ParseDigest(s); err == nil && d.String() != s {
			t.Errorf("%q reads as %q", s, d)
		}
	})
}

func BenchmarkSum64K(b *testing.B) {
	content := bytes.Repeat([]byte("kept"), 16<<10)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		cas.Sum(content)
	}
}
