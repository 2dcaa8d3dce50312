package pipeline

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/internal/casefold"
	"github.com/kept-dev/kept/lockfile"
)

// reserved are the files that kept or Git write by themselves.
var reserved = []string{Name, lockfile.Name, ".gitignore", ".gitattributes"}

// CheckWrite refuses a path that a stage cannot write: it must be portable, be
// below the folder of kept.toml, and belong to the stage.
func CheckWrite(p string) error {
	if err := checkSpelling(p); err != nil {
		return err
	}
	if err := cas.CheckPath(p); err != nil {
		return err
	}
	if slices.Contains(reserved, casefold.Fold(path.Base(p))) {
		return fmt.Errorf("%q is not for experiments to write: kept or Git use it themselves", p)
	}
	return nil
}

// checkRead refuses a path or glob that a stage cannot read as code or input.
func checkRead(p string) error {
	if !HasMeta(p) {
		return checkReadFile(p)
	}
	if err := checkSpelling(p); err != nil {
		return err
	}
	below := trimParents(p)
	for part := range strings.SplitSeq(below, "/") {
		if _, err := path.Match(part, ""); err != nil || strings.Contains(part, `\`) {
			return fmt.Errorf("%q is not a valid glob", p)
		}
		if part != "**" && strings.Contains(part, "**") {
			return fmt.Errorf(`%q: ** stands alone between slashes, as in "data/**/*.csv"`, p)
		}
	}
	// What the glob says literally obeys the rules for paths.
	literal := strings.NewReplacer("*", "x", "?", "x", "[", "x", "]", "x", "^", "x").Replace(below)
	if err := cas.CheckPath(literal); err != nil {
		return fmt.Errorf("glob %q: %w", p, errors.Unwrap(err))
	}
	return nil
}

// checkReadFile is checkRead for paths that are no globs.
func checkReadFile(p string) error {
	if err := checkSpelling(p); err != nil {
		return err
	}
	below := trimParents(p)
	if err := cas.CheckPath(below); err != nil {
		return err
	}
	if casefold.Fold(path.Base(below)) == lockfile.Name {
		return fmt.Errorf("%q changes with every run and cannot be read by one", p)
	}
	return nil
}

// checkSpelling refuses other ways to write a path that has a plain one: a path
// is a key of the lock, and one thing has one key.
func checkSpelling(p string) error {
	if p != "" && strings.Trim(p, "./") == "" {
		return fmt.Errorf("%q is the folder of %s or one around it; name the files and folders in it", p, Name)
	}
	plain := strings.TrimSuffix(strings.TrimPrefix(p, "./"), "/")
	if plain != p {
		return fmt.Errorf("%q is written %q", p, plain)
	}
	return nil
}

// trimParents returns the path without the "../" at its beginning.
func trimParents(p string) string {
	for strings.HasPrefix(p, "../") {
		p = p[len("../"):]
	}
	return p
}

// HasMeta reports whether a path in code or inputs is a glob: whether it
// contains one of * ? [.
func HasMeta(p string) bool { return strings.ContainsAny(p, "*?[") }

// MatchGlob reports whether a glob matches the path of a file. Both have
// forward slashes. Within a name, "*" matches any text, "?" one character and
// "[a-z]" or "[^a-z]" one character of a set. "**" between slashes matches any
// number of folders, also none; at the end it matches everything below.
//
// As in a shell, a name that begins with a dot is matched only by a name in
// the glob that begins with one: "**/*.py" does not look into ".venv". A glob
// that is not valid matches nothing.
func MatchGlob(glob, file string) bool {
	return matchParts(strings.Split(glob, "/"), strings.Split(file, "/"))
}

// matchParts compares from left to right and on failure goes back to the last
// "**" only: an earlier one could not match more, so the work is at most the
// product of the lengths.
func matchParts(glob, file []string) bool {
	retryGlob, retryFile := -1, 0
	g, f := 0, 0
	for f < len(file) {
		switch {
		case g < len(glob) && glob[g] == "**":
			retryGlob, retryFile = g, f
			g++
			if g == len(glob) {
				// At the end, ** takes all the rest, and there is some.
				return !slices.ContainsFunc(file[f:], isHidden)
			}
		case g < len(glob) && matchName(glob[g], file[f]):
			g++
			f++
		case retryGlob >= 0 && !isHidden(file[retryFile]):
			retryFile++
			g, f = retryGlob+1, retryFile
		default:
			return false
		}
	}
	return g == len(glob)
}

func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

func matchName(glob, name string) bool {
	if isHidden(name) && !isHidden(glob) {
		return false
	}
	ok, err := path.Match(glob, name)
	return ok && err == nil
}

// matchesBelow reports whether a glob can match something inside a folder.
// Where stars is false, "**" is not taken to reach into the folder.
func matchesBelow(glob, folder []string, stars bool) bool {
	switch {
	case len(glob) == 0:
		return false
	case len(folder) == 0:
		return true
	case glob[0] == "**":
		return stars && !slices.ContainsFunc(folder, isHidden) || matchesBelow(glob[1:], folder, stars)
	}
	return matchName(glob[0], folder[0]) && matchesBelow(glob[1:], folder[1:], stars)
}
