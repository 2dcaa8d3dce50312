package lockfile

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kept-dev/kept/cas"
)

// A side in which two artifacts lie at one place is no lock, and its blocks can
// be read one by one.
func TestUnmergedOfClashingSides(t *testing.T) {
	block := func(name, path string, n int) string {
		return fmt.Sprintf("\n[artifact.%s]\npath = %q\nhash = \"blake3:%064x\"\nsize = 1\n", name, path, n)
	}
	const head = "version = 1\n"
	clashing := head + block("a", "m", 1) + block("b", "m/x", 2)
	other := head + block("a", "m", 3) + block("b", "m/x", 4)
	for _, test := range []struct{ name, base, ours, theirs string }{
		{"the same on both sides", head, clashing, clashing},
		{"others on both sides", head, clashing, other},
		{"in the ancestor", clashing, clashing, other},
		{"on one side", head, clashing, head + block("a", "m", 3)},
	} {
		versions := &Versions{Base: []byte(test.base), Ours: []byte(test.ours), Theirs: []byte(test.theirs)}
		u, err := ParseUnmerged([]byte(test.ours), versions)
		if err == nil {
			for _, c := range u.Conflicts {
				u.Settle(c, c.Ours)
			}
			_, err = u.Marshal(MergeOptions{})
		}
		if !errors.Is(err, cas.ErrPath) {
			t.Errorf("%s: got %v, want %v", test.name, err, cas.ErrPath)
		}
	}
}
