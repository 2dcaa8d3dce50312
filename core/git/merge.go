package git

import (
	"context"
	"strconv"
)

// MergeFile merges three versions of a text line by line and writes the result,
// with conflict markers of markerSize characters, to the file ours. It returns
// the number of conflicts. It needs no repository.
func MergeFile(ctx context.Context, ours, base, theirs string, markerSize int) (conflicts int, err error) {
	var c command
	_, err = c.run(ctx, "merge-file", "-L", "ours", "-L", "base", "-L", "theirs",
		"--marker-size="+strconv.Itoa(markerSize), "--", ours, base, theirs)
	// The exit status is the number of conflicts, cut at 127; 255 is an error.
	if code := exitCode(err); code > 0 && code <= 127 {
		return code, nil
	}
	return 0, err
}
