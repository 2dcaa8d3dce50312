package cas

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/casefold"
)

// ErrPath reports a path or a link target that kept refuses to read from or write to.
var ErrPath = errors.New("path is not allowed")

const (
	maxPath = 4096 // bytes of a path, PATH_MAX of Linux
	maxName = 255  // bytes of one component, the limit of nearly every file system
)

// CheckPath refuses a path that is not both safe and portable below a folder,
// by the same rules on every system: what one machine keeps, every other can
// restore. A path is UTF-8, relative, separated by forward slashes, and no
// component of it is special to any system: see docs/spec/objects.md for the
// rules. The error wraps ErrPath and says which rule was broken.
func CheckPath(path string) error {
	if reason := badPath(path); reason != "" {
		return pathError(path, reason)
	}
	return nil
}

// CheckLink refuses the target of a symbolic link at path if the link could
// lead out of the folder that path is relative to. The target is relative,
// with forward slashes, its components are as CheckPath wants them, and ".."
// stands only at its beginning, at most once for every folder above the link.
//
// That last rule is stricter than cleaning the text: in "a/.." the "a" may be
// a link to somewhere deep, and then ".." is not where the text says. Parents
// of the link itself are real folders, because a Placer writes through no
// other, so the leading ".." are what they seem to be.
func CheckLink(path, target string) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	if reason := badTarget(path, target); reason != "" {
		return fmt.Errorf("link %q to %q: %w: %s", path, clip(target), ErrPath, reason)
	}
	return nil
}

func pathError(path, reason string) error {
	return fmt.Errorf("%q: %w: %s", clip(path), ErrPath, reason)
}

// clip keeps an error message about a hostile path readable.
func clip(s string) string {
	const most = 256
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

func badPath(path string) string {
	if reason := badText(path); reason != "" {
		return reason
	}
	for name := range strings.SplitSeq(path, "/") {
		if reason := badName(name); reason != "" {
			return reason
		}
	}
	return ""
}

func badText(path string) string {
	switch {
	case path == "":
		return "it is empty"
	case len(path) > maxPath:
		return "it is longer than 4096 bytes"
	case path[0] == '/':
		return "it is absolute"
	case !utf8.ValidString(path):
		return "it is not UTF-8"
	}
	return ""
}

func badTarget(path, target string) string {
	if reason := badText(target); reason != "" {
		return reason
	}
	room, named := strings.Count(path, "/"), false
	for name := range strings.SplitSeq(target, "/") {
		switch {
		case name == "" || name == ".":
			continue // "./a", "a/" and "a//b" mean what they say on every system
		case name == ".." && named:
			return `".." follows a name`
		case name == "..":
			if room--; room < 0 {
				return "it leads out of the folder"
			}
		default:
			named = true
			if reason := badName(name); reason != "" {
				return reason
			}
		}
	}
	return ""
}

// badName says why name cannot be one component of a path.
func badName(name string) string {
	switch {
	case name == "":
		return "it has an empty component"
	case name == "." || name == "..":
		return `it has a component "` + name + `"`
	case len(name) > maxName:
		return "a component is longer than 255 bytes"
	}
	var seen class
	for i := range len(name) {
		seen |= classes[name[i]]
	}
	switch ascii := seen&high == 0; {
	case seen&control != 0, !ascii && strings.ContainsFunc(name, isC1):
		return "it has a control character"
	case seen&foreign != 0:
		return `Windows cannot have one of \ : < > " | ? * in a name`
	case isDotGit(name, ascii):
		return `it has a component that some system takes for ".git"`
	case isDevice(name):
		return "it has a component that is a device on Windows"
	}
	if last := name[len(name)-1]; last == '.' || last == ' ' {
		return "Windows drops a dot or space at the end of a name"
	}
	return ""
}

// class says what a byte is in the name of a file.
type class byte

const (
	control class = 1 << iota
	foreign       // Windows does not allow it
	high          // part of a code point beyond ASCII
)

var classes = func() (t [256]class) {
	for c := range t {
		switch {
		case c < 0x20 || c == 0x7f:
			t[c] = control
		case c >= utf8.RuneSelf:
			t[c] = high
		}
	}
	for _, c := range []byte(`\:<>"|?*`) {
		t[c] = foreign
	}
	return t
}()

func isC1(r rune) bool { return 0x80 <= r && r <= 0x9f }

// isDotGit reports whether a system may open Git's folder when it is asked
// for name: by ignoring case, by NTFS's short name of it (git~1, or another
// number where that one was taken), or as HFS+ does by skipping code points.
func isDotGit(name string, ascii bool) bool {
	if !ascii {
		name = strings.TrimRight(foldName(name), ". ")
	}
	if name == "" {
		return false // nothing but code points that are skipped
	}
	if strings.EqualFold(name, ".git") {
		return true
	}
	if len(name) < len("git~1") || !strings.EqualFold(name[:4], "git~") {
		return false
	}
	return strings.Trim(name[4:], "0123456789") == ""
}

// isDevice reports whether Windows opens a device for name, in whatever folder
// it is. An extension and spaces before it do not help: "nul .txt" is NUL. The
// superscript digits count because some versions of Windows take them for digits.
func isDevice(name string) bool {
	switch name[0] | 0x20 {
	case 'a', 'c', 'l', 'n', 'p':
	default:
		return false
	}
	base, _, _ := strings.Cut(name, ".")
	base = strings.TrimRight(base, " ")
	switch len(base) {
	case 3:
		return equalFoldAny(base, "con", "prn", "aux", "nul")
	case 4, 5: // a superscript digit has two bytes
		if !equalFoldAny(base[:3], "com", "lpt") {
			return false
		}
		digit := base[3:]
		return len(digit) == 1 && '0' <= digit[0] && digit[0] <= '9' || digit == "¹" || digit == "²" || digit == "³"
	case 6, 7:
		return equalFoldAny(base, "conin$", "conout$", "clock$")
	}
	return false
}

func equalFoldAny(s string, list ...string) bool {
	for _, t := range list {
		if strings.EqualFold(s, t) {
			return true
		}
	}
	return false
}

// foldName returns the same string for two names that some system takes for
// one: case folding and normalisation as macOS and Windows do them at their
// most generous, and without the code points that HFS+ skips.
func foldName(name string) string {
	ascii, lower := true, true
	for i := range len(name) {
		ascii = ascii && name[i] < utf8.RuneSelf
		lower = lower && !('A' <= name[i] && name[i] <= 'Z')
	}
	if ascii && lower {
		return name
	}
	if ascii {
		return strings.ToLower(name)
	}
	name = strings.Map(func(r rune) rune {
		if hfsIgnores(r) {
			return -1
		}
		return r
	}, name)
	return casefold.Fold(name)
}

// hfsIgnores lists the code points that HFS+ skips when it compares names,
// from Apple's Technical Note 1150; Git refuses ".git" by the same list.
func hfsIgnores(r rune) bool {
	return 0x200c <= r && r <= 0x200f || 0x202a <= r && r <= 0x202e ||
		0x206a <= r && r <= 0x206f || r == 0xfeff
}
