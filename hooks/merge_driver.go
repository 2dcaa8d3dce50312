package hooks

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/kept-dev/kept/core/git"
)

// MergeFunc merges three versions of a lock and returns the result, with
// markers of markerSize characters around what conflicts, and the number of
// conflicts. It fails where a side is no lock. lockfile.Merge is one.
type MergeFunc func(base, ours, theirs []byte, markerSize int) (merged []byte, conflicts int, err error)

// MergeDriver does what Git asks of a merge driver: it merges the files base,
// ours and theirs, which hold versions of the lock at path, writes the result to
// ours, all or nothing, and returns the number of conflicts that are marked in it.
//
// The process has to end with 0 without conflicts and with 1 with some. After
// an error ours is what it was, which Git must not take for a result: the
// process has to end with another status, so that the configured command lets
// Git merge instead.
func MergeDriver(ctx context.Context, merge MergeFunc, base, ours, theirs string, markerSize int, path string) (conflicts int, err error) {
	var sides [3][]byte
	for i, file := range []string{base, ours, theirs} {
		if sides[i], err = os.ReadFile(file); err != nil {
			return 0, fmt.Errorf("merge %q: %w", path, err)
		}
	}
	merged, conflicts, err := merge(sides[0], sides[1], sides[2], markerSize)
	if err != nil {
		// A side that is not a lock, say one that was committed with markers in it,
		// is for people to sort out, with what Git can tell them.
		if conflicts, err = git.MergeFile(ctx, ours, base, theirs, markerSize); err != nil {
			return 0, fmt.Errorf("merge %q as text: %w", path, err)
		}
		return conflicts, nil
	}
	if err := replaceFile(ours, string(sides[1]), string(merged), fs.FileMode(0o666)); err != nil {
		return 0, fmt.Errorf("write the merged %q: %w", path, err)
	}
	return conflicts, nil
}
