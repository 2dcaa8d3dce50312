package hooks

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/kept-dev/kept/core/git"
)

// mergeFunc merges three versions of a lock and returns the result, with
// markers of markerSize characters around what conflicts, and the number of
// conflicts. It fails where a side is no lock.
type mergeFunc func(base, ours, theirs []byte, markerSize int) (merged []byte, conflicts int, err error)

// mergeFiles is MergeDriver with the merge of locks to use.
func mergeFiles(ctx context.Context, merge mergeFunc, base, ours, theirs string, markerSize int) (conflicts int, err error) {
	var sides [3][]byte
	for i, path := range []string{base, ours, theirs} {
		if sides[i], err = os.ReadFile(path); err != nil {
			return 0, fmt.Errorf("merge locks: %w", err)
		}
	}
	merged, conflicts, err := merge(sides[0], sides[1], sides[2], markerSize)
	if err != nil {
		// A side that is not a lock, say one that was committed with markers in it,
		// is for people to sort out, with what Git can tell them.
		if conflicts, err = git.MergeFile(ctx, ours, base, theirs, markerSize); err != nil {
			return 0, fmt.Errorf("merge locks as text: %w", err)
		}
		return conflicts, nil
	}
	if err := replaceFile(ours, string(sides[1]), string(merged), fs.FileMode(0o666)); err != nil {
		return 0, fmt.Errorf("write merged lock: %w", err)
	}
	return conflicts, nil
}
