package oci

import (
	"strings"
	"testing"
)

// The same file has the same manifest for ever, or it would be put again.
func TestManifestStaysAsItIs(t *testing.T) {
	for size, want := range map[int64]digest{
		0: "sha256:fdc9aeb06361608e5e9a10ea04805b9f110a7873e70a58bd78c994e6a91d2da4",
		7: "sha256:ca462e01eb00e957d0dd480b2ff2e727df15424618eb7f13cd96a305c8b13e9d",
	} {
		text, err := encodeManifest("packs/00.pack", layer{"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", size})
		if err != nil || sum(text) != want {
			t.Errorf("%s %s %v", sum(text), text, err)
		}
	}
	if sum([]byte(emptyText)) != emptyDigest {
		t.Error(sum([]byte(emptyText)))
	}
}

func TestDigests(t *testing.T) {
	hexes := strings.Repeat("0123456789abcdef", 4)
	for _, bad := range []digest{"", "sha256:", "sha256:00", digest(hexes), digest("sha512:" + hexes), digest("sha256:" + strings.ToUpper(hexes)),
		digest("sha256:" + hexes[1:] + "/"), digest("sha256:" + hexes + "0"), digest("sha256:" + hexes[2:] + "..")} {
		if bad.check() == nil {
			t.Errorf("%q is taken for a digest", bad)
		}
	}
	if err := digest("sha256:" + hexes).check(); err != nil {
		t.Error(err)
	}
}
