package oci

import (
	"regexp"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
)

func TestTag(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for name, want := range map[string]string{
		"packs/" + hex + ".pack": "packsZ" + hex + ".pack",
		"roots/" + hex:           "rootsZ" + hex,
		"a_b/c-d/e.f":            "a_bZc-dZe.f",
		"z":                      "z",
		"_":                      "_",
	} {
		if got := tag(name); got != want {
			t.Errorf("tag(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNameOfForeignTag(t *testing.T) {
	for _, tag := range []string{"", "V1", "v1.0Z", "Zpacks", "aZZb", "packsZ.hidden", "packs/x", "1.0-RC1", strings.Repeat("a", 101)} {
		if got, ok := name(tag); ok {
			t.Errorf("name(%q) = %q, want none", tag, got)
		}
	}
}

func FuzzTag(f *testing.F) {
	valid := regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	for _, seed := range []string{"packs/00.pack", "roots/ff", "a/b/c", "z", "_/_", "Z", "aZb", "a/Z", "latest"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if remote.CheckName(text) == nil {
			if !valid.MatchString(tag(text)) {
				t.Errorf("tag(%q) = %q is no tag", text, tag(text))
			}
			if back, ok := name(tag(text)); !ok || back != text {
				t.Errorf("%q comes back as %q, %v", text, back, ok)
			}
		}
		// What List finds is what Get finds.
		if name, ok := name(text); ok && (tag(name) != text || remote.CheckName(name) != nil) {
			t.Errorf("tag %q is %q, which has the tag %q", text, name, tag(name))
		}
	})
}

func FuzzManifest(f *testing.F) {
	text, err := encodeManifest("packs/00.pack", layer{digest: "sha256:" + "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", size: 7})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"artifactType":"application/vnd.kept.file.v1","layers":[{"mediaType":"application/vnd.oci.empty.v1+json"}]}`))
	f.Add([]byte(`{"artifactType":"application/vnd.kept.file.v1","layers":[{"digest":"sha256:../..","size":-1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := decodeManifest(text)
		if err != nil {
			return
		}
		if l.size < 0 || l.size > 0 && l.digest.check() != nil {
			t.Fatalf("%q is taken for %d bytes of %q", text, l.size, l.digest)
		}
		again, err := encodeManifest("name", l)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeManifest(again); err != nil || back.size != l.size || l.size > 0 && back.digest != l.digest {
			t.Errorf("%+v comes back as %+v, %v", l, back, err)
		}
	})
}
