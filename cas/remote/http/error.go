package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas/remote"
)

// errNotExist is the kind of error of a file that is not there.
var errNotExist = fs.ErrNotExist

var errReadOnly = &kindError{remote.ErrReadOnly, errors.New("a web server is only read from; for WebDAV the URL begins with davs:// or dav://")}

// kindError is an error whose kind was found out where it came up.
type kindError struct{ kind, err error }

func (e *kindError) Error() string { return e.err.Error() }
func (e *kindError) Unwrap() error { return e.err }

// statusError is an answer that is no success.
type statusError struct {
	kind   error
	status int
	text   string
	after  time.Duration
}

func (e *statusError) Error() string { return e.text }

// connectionError is anything that went wrong before there was an answer, or while it was read.
type connectionError struct{ err error }

func (e *connectionError) Error() string { return e.err.Error() }
func (e *connectionError) Unwrap() error { return e.err }

// failed returns err as an Error of the remote, or nil.
func (p *place) failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	e := &remote.Error{Op: op, Remote: p.url.String(), Name: name, Kind: kindOf(err), Err: err}
	var status *statusError
	if errors.As(err, &status) {
		e.After = status.after
		if errors.Is(status.kind, errNotExist) {
			e.Err = nil // its text says nothing more
		}
	}
	return e
}

// statusError makes an error of an answer.
func (p *place) statusError(method string, resp *http.Response) error {
	status := resp.StatusCode
	text := fmt.Sprintf("%s: %d %s", method, status, http.StatusText(status))
	switch {
	case status == http.StatusUnauthorized:
		text += "; " + p.login.refused()
	case status/100 == 3:
		if to, err := resp.Location(); err == nil {
			text += fmt.Sprintf(", to %s://%s%s", to.Scheme, to.Host, to.EscapedPath())
		}
	}
	kind := kindOfStatus(method, status)
	if to, err := resp.Location(); status/100 == 3 && err == nil && to.Path == resp.Request.URL.Path+"/" {
		kind = errNotExist // it is a folder
	}
	if status == http.StatusMethodNotAllowed && p.dav && (method == http.MethodGet || method == http.MethodHead) {
		kind = errNotExist // only a folder can't be read
	}
	return &statusError{kind: kind, status: status, text: text, after: retryAfter(resp.Header.Get("Retry-After"))}
}

func kindOfStatus(method string, status int) error {
	writes := method != http.MethodGet && method != http.MethodHead && method != "PROPFIND"
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return remote.ErrCredentials
	case http.StatusForbidden:
		return remote.ErrDenied
	case http.StatusNotFound, http.StatusGone:
		return errNotExist
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		if writes {
			return remote.ErrReadOnly
		}
		return remote.ErrUnsupported
	case http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage:
		return remote.ErrFull
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
		return remote.ErrTemporary
	case http.StatusHTTPVersionNotSupported:
		return remote.ErrUnsupported
	}
	switch status / 100 {
	case 3:
		return remote.ErrAddress
	case 5:
		return remote.ErrTemporary
	}
	return nil
}

func statusOf(err error) int {
	var status *statusError
	if errors.As(err, &status) {
		return status.status
	}
	return 0
}

// retryAfter reads seconds or a date.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		return time.Duration(min(max(n, 0), 3600)) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return min(max(time.Until(t), 0), time.Hour)
	}
	return 0
}

// kindOf returns which of the errors of package remote err is, or nil.
func kindOf(err error) error {
	var known *kindError
	var status *statusError
	var body *remote.BodyError
	var connection *connectionError
	switch {
	case err == nil, errors.As(err, &body), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case errors.As(err, &known):
		return known.kind
	case errors.As(err, &status):
		return status.kind
	case errors.Is(err, remote.ErrShort):
		return remote.ErrShort
	case errors.As(err, &connection):
		return kindOfConnection(err)
	}
	return nil
}

// kindOfConnection takes for temporary all that is not known to be so again next time.
func kindOfConnection(err error) error {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return remote.ErrNoRemote
	case errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return nil
	case errors.As(err, &alert) && alert != alertBadRecord:
		return nil
	}
	return remote.ErrTemporary
}

// alertBadRecord is what an altered byte on the way becomes.
const alertBadRecord = tls.AlertError(20)

// withoutURL leaves out what net/http says of the address, which the Error says already,
// and adds why a context ended.
func withoutURL(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return err
}
