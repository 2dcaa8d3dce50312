package workspace

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas"
)

// A file that was written right before a long read, and again during it in the
// same tick of the clock, has the size and times of what was read.
func TestScanRemembersNothingRacy(t *testing.T) {
	root := t.TempDir()
	w := Open(root, filepath.Join(root, "cache"))
	file := filepath.Join(root, "f")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := max(statOf(info).ctime, statOf(info).mtime)
	calls := 0
	w.now = func() time.Time {
		calls++ // The read takes a second from the first call on.
		return time.Unix(0, changed).Add(time.Millisecond + time.Duration(calls-1)*time.Second)
	}
	if _, err := w.Scan(t.Context(), "f"); err != nil {
		t.Fatal(err)
	}
	if d, ok := w.Known("f"); ok {
		t.Errorf("the cache knows %s", d.Short())
	}
	w.now = func() time.Time { return time.Unix(0, changed).Add(3 * time.Second) }
	if _, err := w.Scan(t.Context(), "f"); err != nil {
		t.Fatal(err)
	}
	if d, ok := w.Known("f"); !ok || d != cas.Sum([]byte("old")) {
		t.Errorf("the cache does not know a file that has been left alone")
	}
}
