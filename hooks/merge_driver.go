package hooks

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/kept-dev/kept/core/git"
	"github.com/kept-dev/kept/lockfile"
)

// MergeDriver does what Git asks of a merge driver: it merges the files base,
// ours and theirs, which hold versions of the lock at path, writes the result to
// ours, all or nothing, and returns the number of conflicts that are marked in it.
//
// The process has to end with 0 without conflicts and with 1 with some. After
// an error ours is what it was, which Git must not take for a result: the
// process has to end with another status, so that the configured command lets
// Git merge instead.
func MergeDriver(ctx context.Context, base, ours, theirs string, markerSize int, path string) (conflicts int, err error) {
	return mergeFiles(ctx, mergeLocks, base, ours, theirs, markerSize, path)
}

// mergeFunc is the shape of mergeLocks; tests put others in its place.
type mergeFunc func(base, ours, theirs []byte, markerSize int) (merged []byte, conflicts int, err error)

// mergeLocks labels the sides as a merge does: Git before 2.44 does not tell a
// driver what they are called.
func mergeLocks(base, ours, theirs []byte, markerSize int) ([]byte, int, error) {
	return lockfile.Merge(base, ours, theirs, lockfile.MergeOptions{MarkerSize: markerSize, Ours: "ours", Theirs: "theirs"})
}

func mergeFiles(ctx context.Context, merge mergeFunc, base, ours, theirs string, markerSize int, path string) (conflicts int, err error) {
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
