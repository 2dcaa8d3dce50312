package oci

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// newTransport returns one that keeps as many connections as there may be jobs, that
// gives up on a host that does not answer at all, and that leaves bytes as they are.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   30 * time.Second,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
		DisableCompression:    true,
	}
}

// newClient returns the client of all requests.
func newClient(transport *http.Transport) *http.Client {
	return &http.Client{Transport: listener{transport}, CheckRedirect: checkRedirect}
}

// What is wrong with a redirect.
var (
	errDowngrade = errors.New("the registry redirects from https to http")
	errLoop      = errors.New("the registry redirects on and on")
	errElsewhere = errors.New("the registry redirects what is sent to another place")
)

// checkRedirect follows a registry to where its blobs are. The credentials stay behind as
// soon as that is not host, port and scheme of the first request: the client itself lets them go on to
// another port. They stay behind when a later one comes back, too, for each begins with
// all headers of the first one.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	left := func(r *http.Request) bool { return !sameOrigin(r.URL, first) }
	switch {
	case first.Scheme == "https" && req.URL.Scheme != "https":
		return errDowngrade
	case len(via) >= 10:
		return errLoop
	case !left(req) && !slices.ContainsFunc(via, left):
		return nil
	case req.Body != nil && req.Body != http.NoBody:
		return errElsewhere
	}
	req.Header.Del("Authorization")
	return nil
}

// userAgent is what the client calls itself.
const userAgent = "kept"

// send sends a request, and tells an error within the body of its response from others.
func send(client *http.Client, req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", userAgent)
	resp, err := client.Do(req)
	if err == nil {
		resp.Body = broken{resp.Body}
	}
	return resp, err
}

// broken makes it known that an error came within a body.
type broken struct{ io.ReadCloser }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &brokenError{err}
	}
	return n, err
}

// brokenError is that of a connection that broke within a body.
type brokenError struct{ error }

func (e *brokenError) Unwrap() error { return e.error }

// heard is what a response said that the client's errors do not pass on.
type heard struct {
	// after is how long to wait.
	after time.Duration
	// scope says that the token was good, and not for this.
	scope bool
}

type heardKey struct{}

// listen returns a context that fills what it returns beside.
func listen(ctx context.Context) (context.Context, *heard) {
	h := new(heard)
	return context.WithValue(ctx, heardKey{}, h), h
}

// listener fills what listen returned.
type listener struct{ http.RoundTripper }

func (l listener) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(req)
	if h, ok := req.Context().Value(heardKey{}).(*heard); ok && err == nil {
		h.after = retryAfter(resp)
		h.scope = strings.Contains(resp.Header.Get("WWW-Authenticate"), `"insufficient_scope"`)
	}
	return resp, err
}

func retryAfter(resp *http.Response) time.Duration {
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
