package lockfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kept-dev/kept/cas"
	"github.com/kept-dev/kept/internal/casefold"
)

// place is where an artifact lies.
type place struct {
	// key is the path of the unit that owns the artifact, name the artifact's.
	key  []string
	name string
	path string
	// folded is the path as file systems see it that ignore case and Unicode
	// form. Its parts are separated by NUL, which sorts before all that a path
	// holds: what lies in a folder follows the folder directly.
	folded string
}

func (p place) keyPath() []string {
	if p.key[0] == "stage" {
		return slices.Concat(p.key, []string{"artifact", p.name, "path"})
	}
	return slices.Concat(p.key, []string{"path"})
}

// places returns where all artifacts lie, in the order of sortPlaces.
func (l *Lock) places() []place {
	var places []place
	for name, artifact := range l.Artifacts {
		places = append(places, newPlace([]string{"artifact", name}, name, artifact))
	}
	for stage, s := range l.Stages {
		for name, artifact := range s.Artifacts {
			places = append(places, newPlace([]string{"stage", stage}, name, artifact))
		}
	}
	sortPlaces(places)
	return places
}

// sortPlaces sorts a folder directly before what lies in it.
func sortPlaces(places []place) {
	slices.SortFunc(places, func(a, b place) int {
		if c := strings.Compare(a.folded, b.folded); c != 0 {
			return c
		}
		return slices.Compare(a.keyPath(), b.keyPath())
	})
}

func newPlace(key []string, name string, a *Artifact) place {
	return place{key, name, a.Path, strings.ReplaceAll(foldPath(a.Path), "/", "\x00")}
}

// foldPath maps paths that some system takes for one to one string: case folded,
// in one Unicode form, without the code points that HFS+ skips.
func foldPath(path string) string {
	return casefold.Fold(strings.Map(dropIgnored, path))
}

// dropIgnored drops what HFS+ skips when it compares names, see Apple's Technical Note 1150.
func dropIgnored(r rune) rune {
	if 0x200c <= r && r <= 0x200f || 0x202a <= r && r <= 0x202e || 0x206a <= r && r <= 0x206f || r == 0xfeff {
		return -1
	}
	return r
}

// clash reports whether b, which sorts after a, would be restored over or into a.
func clash(a, b place) bool {
	return a.folded == b.folded || strings.HasPrefix(b.folded, a.folded+"\x00")
}

// checkPlaces refuses two artifacts at one place.
func (l *Lock) checkPlaces() error {
	places := l.places()
	for i := 1; i < len(places); i++ {
		if a, b := places[i-1], places[i]; clash(a, b) {
			return &keyError{b.keyPath(), refuse(cas.ErrPath, "path %q lies at or in %q, the path of %s", b.path, a.path, formatPath(a.keyPath()...))}
		}
	}
	return nil
}

// checkResults refuses blocks whose lines come from different runs.
func (l *Lock) checkResults() error {
	for _, name := range sortedKeys(l.Stages) {
		if s := l.Stages[name]; s.Result != s.Digest(name) {
			return &SplicedError{Stage: name}
		}
	}
	return nil
}

// checkTypes refuses what Marshal cannot write at all.
func (l *Lock) checkTypes() error {
	for name, artifact := range l.Artifacts {
		if err := artifact.checkTypes(); err != nil {
			return fmt.Errorf("%s: %w", formatPath("artifact", name), err)
		}
	}
	for name, stage := range l.Stages {
		if err := stage.checkTypes(); err != nil {
			return fmt.Errorf("%s: %w", formatPath("stage", name), err)
		}
	}
	return checkUnknown(l.Unknown)
}

func (s *Stage) checkTypes() error {
	if s == nil {
		return refuse(ErrValue, "no stage")
	}
	for name, artifact := range s.Artifacts {
		if err := artifact.checkTypes(); err != nil {
			return fmt.Errorf("%s: %w", formatPath("artifact", name), err)
		}
	}
	for _, inputs := range []map[string]*Input{s.Code, s.Inputs} {
		for path, input := range inputs {
			if input == nil {
				return refuse(ErrValue, "no input %q", path)
			}
			if err := checkUnknown(input.Unknown); err != nil {
				return err
			}
		}
	}
	for _, values := range []map[string]Value{s.Logged, s.Metrics, s.Params} {
		for key, value := range values {
			if err := checkParam(value); err != nil {
				return fmt.Errorf("%s: %w", formatPath(key), err)
			}
		}
	}
	if s.Environment != nil {
		if err := checkUnknown(s.Environment.Unknown); err != nil {
			return err
		}
		for _, unknown := range s.Environment.UnknownOfFiles {
			if err := checkUnknown(unknown); err != nil {
				return err
			}
		}
	}
	return checkUnknown(s.Unknown)
}

func (a *Artifact) checkTypes() error {
	if a == nil {
		return refuse(ErrValue, "no artifact")
	}
	return checkUnknown(a.Unknown)
}

func checkUnknown(unknown map[string]any) error {
	if unknown == nil {
		return nil
	}
	return checkPlain(unknown, true)
}
