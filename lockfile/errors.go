package lockfile

import (
	"errors"
	"fmt"
	"strings"
)

// What Parse refuses wraps one of these sentinels, cas.ErrPath or
// cas.ErrDigest, or is a *VersionError, *ConflictError or *SplicedError.
var (
	// ErrSyntax reports bytes that are not TOML, keys that are defined twice included.
	ErrSyntax = errors.New("not valid TOML")
	// ErrVersion reports a lock whose version is missing, no version at all, or newer than Version.
	ErrVersion = errors.New("version of the lock cannot be read")
	// ErrValue reports a key that is missing, or a name or value that the format does not allow there.
	ErrValue = errors.New("value is not allowed here")
	// ErrLimit reports a lock beyond MaxSize or MaxDepth.
	ErrLimit = errors.New("lock is beyond a limit of the format")
)

// Error is a refusal of Parse at a known place.
type Error struct {
	// Line counts from 1.
	Line int
	// Key is the dotted TOML key that is refused; empty where the bytes as such are.
	Key string
	Err error
}

func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("line %d: %s", e.Line, clip(e.Err.Error()))
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, clip(e.Key), clip(e.Err.Error()))
}

// clip shortens what a lock brings into an error, which may be megabytes.
func clip(text string) string {
	const most = 400
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func (e *Error) Unwrap() error { return e.Err }

// VersionError reports a lock that a newer kept wrote. It wraps ErrVersion.
type VersionError struct{ Version int64 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("lock has format version %d and this kept reads up to version %d: it needs a newer kept", e.Version, Version)
}

func (e *VersionError) Unwrap() error { return ErrVersion }

// ConflictError reports the first conflict marker of an unfinished merge.
type ConflictError struct {
	Line int
	// Names are the blocks that hold markers, as Conflict.Name has them, in the
	// order of the lock; none where the markers are not those of a merge.
	Names []string
}

func (e *ConflictError) Error() string {
	const most = 5
	text := fmt.Sprintf("line %d: conflict marker of an unfinished merge", e.Line)
	if n := len(e.Names); n > most {
		return text + fmt.Sprintf(" in %s and %d more", strings.Join(e.Names[:most], ", "), n-most)
	} else if n > 0 {
		text += " in " + strings.Join(e.Names, ", ")
	}
	return text
}

// SplicedError reports a stage whose result is not the digest of its block:
// the block holds lines of several runs, or somebody edited it.
type SplicedError struct {
	Stage string
	// Line is the line of the block's result.
	Line int
}

func (e *SplicedError) Error() string {
	return fmt.Sprintf("line %d: stage %q: a block that was spliced together by a merge or edited by hand: its result is not the digest of its content", e.Line, e.Stage)
}

// refusal is an error text of its own that errors.Is finds under its kind.
type refusal struct {
	kind error
	text string
}

func refuse(kind error, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }
