package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/kept-dev/kept/cas/remote"
)

// Cause returns what err says without the URL that a client puts in front of it, which
// may be a signed one.
func Cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Kind returns which of remote's errors it is that no answer came, or not all of it; nil
// where trying again would not help.
func Kind(err error) error {
	var dns *net.DNSError
	var network net.Error
	var op *net.OpError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), isTLS(err), errors.Is(err, http.ErrSchemeMismatch):
		return nil
	case errors.As(err, &dns) && dns.IsNotFound:
		return remote.ErrNoRemote
	case errors.Is(err, remote.ErrShort):
		return remote.ErrShort
	case errors.As(err, &op), errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		// net/http has no type for these two.
		strings.Contains(err.Error(), "server closed idle connection"), strings.Contains(err.Error(), "connection broken"):
		return remote.ErrTemporary
	}
	return nil
}

// isTLS reports whether the host is not the one that it should be, or speaks something else.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var header tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &header)
}

// StatusKind returns what the status of an answer means where nothing better is known.
func StatusKind(status int) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		return remote.ErrCredentials
	case status == http.StatusForbidden:
		return remote.ErrDenied
	case status >= 300 && status < 400 && status != http.StatusNotModified:
		return remote.ErrAddress
	case status == http.StatusRequestedRangeNotSatisfiable:
		return remote.ErrShort
	case status == http.StatusInsufficientStorage:
		return remote.ErrFull
	case status == http.StatusNotImplemented:
		return remote.ErrUnsupported
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return remote.ErrTemporary
	}
	return nil
}

// RetryAfter returns how long the answer asks to wait, or 0.
func RetryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(max(0, seconds)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// maxLine is how many bytes are shown of what somebody else wrote.
const maxLine = 300

// Line makes what somebody else wrote one short line without what a terminal would obey.
func Line(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "…"
	}
	return text
}
