package gcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

// answer is one that is none of success.
type answer struct {
	status  int
	reason  string // in Google's words, such as notFound
	message string
	after   time.Duration
}

func (a *answer) Error() string {
	text := fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))
	if a.message != "" {
		text += ": " + web.Line(a.message)
	}
	return text
}

// maxAnswer is more than Google has to say.
const maxAnswer = 64 << 10

// readAnswer reads what Google says, which is JSON, but for the bytes of an object, where it is
// a line of text. A page of a proxy's is left out.
func readAnswer(resp *http.Response) *answer {
	a := &answer{status: resp.StatusCode, after: web.RetryAfter(resp.Header)}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return a // the status is what counts
	}
	var body struct {
		Error struct {
			Message string
			Errors  []struct{ Reason string }
		}
	}
	switch {
	case json.Unmarshal(text, &body) == nil:
		a.message = body.Error.Message
		if len(body.Error.Errors) > 0 {
			a.reason = body.Error.Errors[0].Reason
		}
	case !strings.HasPrefix(strings.TrimSpace(string(text)), "<"):
		a.message = string(text)
	}
	return a
}

// fail returns what went wrong as *remote.Error, or nil.
func (b *bucket) fail(ctx context.Context, op, name string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	e := &remote.Error{Op: op, Remote: b.text, Name: name, Kind: b.kind(op, err), Err: web.Cause(err)}
	var a *answer
	if errors.As(err, &a) {
		e.After = a.after
	}
	switch {
	case errors.Is(e.Kind, fs.ErrNotExist):
		e.Err = nil // that there is no such file needs no word of Google's
	case errors.Is(e.Kind, remote.ErrCredentials):
		e.Err = fmt.Errorf("%w; %s", e.Err, b.advice())
	}
	return e
}

// advice says what to do for credentials.
func (b *bucket) advice() string {
	if b.login == nil {
		return `this bucket is not for everybody: leave out anonymous, and log in with "gcloud auth application-default login"`
	}
	return `log in with "gcloud auth application-default login", or set GOOGLE_APPLICATION_CREDENTIALS to the file of a key; a bucket for everybody needs anonymous = "true"`
}

// kind returns which of remote's errors err is, or nil.
func (b *bucket) kind(op string, err error) error {
	var a *answer
	var l *loginError
	switch {
	case errors.As(err, &a):
		return a.kind(op)
	case errors.As(err, &l):
		return l.kind
	case errors.Is(err, remote.ErrAltered):
		return remote.ErrAltered
	}
	kind := web.Kind(err)
	if errors.Is(kind, remote.ErrNoRemote) {
		return remote.ErrTemporary // Google is there, and this machine is offline
	}
	return kind
}

// kind tells by Google's words what the status leaves open.
func (a *answer) kind(op string) error {
	switch {
	// What is put or listed has only its bucket to be missing.
	case a.status == http.StatusNotFound && (op == "put" || op == "list"), a.status == http.StatusNotFound && strings.Contains(a.message, "bucket does not exist"):
		return remote.ErrNoRemote
	case a.status == http.StatusNotFound:
		return fs.ErrNotExist
	case a.status == http.StatusBadRequest && strings.Contains(strings.ToLower(a.message), "crc32c"):
		return remote.ErrAltered
	case a.status == http.StatusForbidden && (a.reason == "rateLimitExceeded" || a.reason == "userRateLimitExceeded"):
		return remote.ErrTemporary
	case a.status == http.StatusForbidden && (a.reason == "quotaExceeded" || a.reason == "dailyLimitExceeded"):
		return remote.ErrFull
	}
	return web.StatusKind(a.status)
}
