package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/kept-dev/kept/cas/remote"
)

// errForeign is a tag of somebody else's.
var errForeign = errors.New("the tag is of something that is no file of kept's")

// fail returns what went wrong with an op on the file called name as *remote.Error, or nil.
func (r *repository) fail(ctx context.Context, op, name string, err error, h *heard) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	e := &remote.Error{Op: op, Remote: r.url, Name: name, Kind: r.kind(op, err, h), After: h.after}
	// That there is no such file needs no word of the client's.
	if !errors.Is(e.Kind, fs.ErrNotExist) {
		e.Err = &said{text: r.text(err, e.Kind), err: err}
	}
	return e
}

// kind returns which of remote's errors err is, or nil.
func (r *repository) kind(op string, err error, h *heard) error {
	var resp *responseError
	var login *loginError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case errors.Is(err, errNotFound):
		return fs.ErrNotExist
	case errors.Is(err, errUnsupported):
		return remote.ErrUnsupported
	case errors.Is(err, remote.ErrShort):
		return remote.ErrShort
	case errors.As(err, &login), errors.Is(err, errNobody):
		return remote.ErrCredentials
	case errors.As(err, &resp):
		return r.responseKind(op, resp, h)
	default:
		return networkKind(err)
	}
}

// responseKind looks at what the registry, or its token server, said: at the code, which is
// the more exact one, and then at the status, which is what the less exact ones have.
func (r *repository) responseKind(op string, resp *responseError, h *heard) error {
	status := resp.status
	switch {
	case resp.says("TOOMANYREQUESTS"):
		return remote.ErrTemporary
	case resp.says("UNSUPPORTED"), status == http.StatusMethodNotAllowed:
		if op == "put" {
			return remote.ErrReadOnly
		}
		return remote.ErrUnsupported
	// A part that was sent is gone or came altered. Put sends all of it again.
	case resp.says("DIGEST_INVALID", "SIZE_INVALID", "MANIFEST_BLOB_UNKNOWN",
		"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"):
		return remote.ErrTemporary
	case resp.says("NAME_UNKNOWN", "NAME_INVALID"):
		return remote.ErrNoRemote
	}
	return r.statusKind(status, resp.says("DENIED"), h)
}

func (r *repository) statusKind(status int, denied bool, h *heard) error {
	switch {
	case status == http.StatusUnauthorized && !(h.scope && r.creds.found.Load()) && !denied,
		// Who is not logged in is told to be, whatever the registry calls it.
		(denied || status == http.StatusUnauthorized || status == http.StatusForbidden) && !r.creds.found.Load():
		return remote.ErrCredentials
	case denied, status == http.StatusUnauthorized, status == http.StatusForbidden:
		return remote.ErrDenied
	case status == http.StatusNotFound:
		return remote.ErrNoRemote
	case status == http.StatusRequestEntityTooLarge, status == http.StatusInsufficientStorage:
		return remote.ErrFull
	case status == http.StatusNotImplemented:
		return remote.ErrUnsupported
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return remote.ErrTemporary
	}
	return nil
}

// networkKind looks at what came instead of a response.
func networkKind(err error) error {
	var dns *net.DNSError
	var from *url.Error
	var broken *brokenError
	var realm *realmError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return remote.ErrNoRemote
	case isTLS(err), errors.Is(err, http.ErrSchemeMismatch), errors.Is(err, errDowngrade), errors.Is(err, errLoop),
		errors.Is(err, errElsewhere), errors.As(err, &realm):
		return nil
	case errors.As(err, &broken), errors.As(err, &from), isAltered(err):
		return remote.ErrTemporary
	}
	return nil
}

// isAltered reports whether err says that something came otherwise than it is.
func isAltered(err error) bool {
	return errors.Is(err, errAltered) || errors.Is(err, io.ErrUnexpectedEOF)
}

// isTLS reports whether err says that the host is not the one that it should be, or
// speaks something else.
func isTLS(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	return errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &verification) || errors.As(err, &header)
}

// said is an error of the client's with a text that can be shown.
type said struct {
	text string
	err  error
}

func (s *said) Error() string { return s.text }
func (s *said) Unwrap() error { return s.err }

// text returns what is to be said of err.
func (r *repository) text(err, kind error) string {
	var resp *responseError
	var from *url.Error
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return r.auth.registry.Host + ` speaks plain HTTP: insecure = "true" allows that`
	case errors.Is(err, errNobody):
		return "nobody is logged in to " + r.creds.host
	case errors.As(err, &resp):
		return r.responseText(resp, kind)
	// The URL in it may be a signed one, which is as good as a password.
	case errors.As(err, &from):
		return r.at(from.URL) + harmless(from.Err.Error())
	}
	return harmless(err.Error())
}

func (r *repository) responseText(resp *responseError, kind error) string {
	text := resp.Error()
	switch {
	case r.auth.registry.Scheme == "http" && resp.status == http.StatusBadRequest && len(resp.said) == 0:
		text += `; it may speak HTTPS, for which insecure has to go or to be "false"`
	case errors.Is(kind, remote.ErrCredentials) && !r.creds.found.Load():
		text += "; nobody is logged in to " + r.creds.host
	}
	return r.at(resp.url.String()) + harmless(text)
}

// at names the host that said something where it is not the registry: one that it sent on
// to, or its token server.
func (r *repository) at(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != r.auth.registry.Host {
		return u.Host + ": "
	}
	return ""
}

// maxText is how many bytes are shown of what somebody else wrote.
const maxText = 400

// harmless makes text that somebody else wrote harmless: one short line, without what a
// terminal would obey, and URLs without their queries.
func harmless(text string) string {
	var b strings.Builder
	query := false
	for _, r := range text {
		if b.Len() > maxText {
			return b.String() + "…"
		}
		switch {
		case r == '?' && !query && strings.Contains(text, "://"):
			query = true
			b.WriteString("?…")
		case query && !strings.ContainsRune(" \"'\n", r):
			continue
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			query = false
			b.WriteByte(' ')
		default:
			query = false
			b.WriteRune(r)
		}
	}
	return b.String()
}
