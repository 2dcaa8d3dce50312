package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What can be wrong with a remote, besides fs.ErrNotExist for a file that is not
// there. Every Error of a Remote wraps one of these where it is known which.
var (
	// ErrNoRemote: the bucket, container, repository, folder or host itself is not there.
	ErrNoRemote = errors.New("the remote does not exist")
	// ErrCredentials: they are missing, expired or not the right ones.
	ErrCredentials = errors.New("the remote does not accept the credentials")
	// ErrDenied: the credentials are good, and do not allow this.
	ErrDenied = errors.New("the remote does not allow this")
	// ErrHostKey: the host is not the one that was known, or not known at all.
	ErrHostKey = errors.New("the host's key is not the known one")
	// ErrReadOnly: nothing can be written there.
	ErrReadOnly = errors.New("the remote is read-only")
	// ErrFull: there is no room left, or a quota is used up.
	ErrFull = errors.New("the remote is full")
	// ErrAddress: the bucket is at another region or endpoint.
	ErrAddress = errors.New("the remote is somewhere else")
	// ErrUnsupported: a Remote of this kind can't do this.
	ErrUnsupported = errors.New("this kind of remote can't do this")
	// ErrShort: there were fewer or more bytes than there should be.
	ErrShort = errors.New("the remote sent another number of bytes")
	// ErrTemporary: it may work when it is tried again: the connection broke, or the
	// server was busy or had an error of its own.
	ErrTemporary = errors.New("the remote can't just now")
	// ErrAltered: what the remote has is not what was sent.
	ErrAltered = errors.New("the remote has other bytes than were sent")
)

// Error says what could not be done with which file of which remote.
type Error struct {
	// Op is put, get, stat, list, delete or open.
	Op string
	// Remote is the URL, without anything secret.
	Remote string
	// Name is that of the file, or the prefix of a list, or empty.
	Name string
	// Kind is one of the errors above, fs.ErrNotExist, or nil where it is none of them.
	Kind error
	// Err is what the client said; it may be nil. Its text holds nothing secret.
	Err error
	// After is how long the remote asks to wait before the next try; 0 where it doesn't.
	After time.Duration
}

func (e *Error) Error() string {
	text := e.Op
	if e.Name != "" {
		text += " " + e.Name
	}
	if e.Remote != "" {
		text = fmt.Sprintf("%s: %s", e.Remote, text)
	}
	detail := ""
	if e.Err != nil {
		detail = ": " + e.Err.Error()
	}
	if e.Kind != nil && !strings.Contains(detail, e.Kind.Error()) { // many wrap it themselves
		detail = ": " + e.Kind.Error() + detail
	}
	return text + detail
}

// Unwrap returns Kind and Err.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// Temporary reports whether it makes sense to try again what failed with err.
func Temporary(err error) bool {
	return errors.Is(err, ErrTemporary) && !errors.Is(err, context.Canceled)
}
