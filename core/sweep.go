package core

import (
	"os"
	"path/filepath"
	"time"
)

// strayAge is the age at which a temporary file can't belong to a process that
// is still at work on it.
const strayAge = 24 * time.Hour

// sweep removes what killed processes left in the folders for unfinished files.
// It costs a few short lists; what can't be removed waits for another time.
func (r *Repository) sweep() {
	_, _ = r.objects.Sweep()
	before := time.Now().Add(-strayAge)
	for _, pattern := range []string{
		filepath.Join(r.Local.Temp(), "*"),
		filepath.Join(filepath.Dir(r.Local.StatCache()), ".index-*"),
	} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			if info, err := os.Lstat(name); err == nil && info.ModTime().Before(before) {
				_ = os.RemoveAll(name)
			}
		}
	}
}
