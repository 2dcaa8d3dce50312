package http

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kept-dev/kept/cas/remote"
)

const (
	maxRedirects = 5
	// idle is how long nothing may move on a connection that something is expected from.
	idle = 2 * time.Minute
	// expectFrom is the size from which on a server may refuse a body before it is sent.
	expectFrom = 256 << 10
)

func transport() *http.Transport {
	d := net.Dialer{Timeout: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := d.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &idling{c}, nil
		},
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   30 * time.Second,
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: idle,
		// The bytes are what they are: nothing may be packed on the way.
		DisableCompression: true,
		// Parts of small files are read so that a connection can be used again.
		WriteBufferSize: 64 << 10,
		ReadBufferSize:  64 << 10,
	}
}

// idling is a connection that gives up when nothing moves in either direction: while a long body
// is sent, nothing comes back, and something waits for it.
type idling struct{ net.Conn }

func (c *idling) Read(b []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *idling) Write(b []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

type request struct {
	method string
	at     *url.URL
	header map[string]string
	body   io.ReaderAt // with size
	size   int64
}

// do sends a request. Only the statuses in want are no error; the caller closes the body then.
func (p *place) do(ctx context.Context, r request, want ...int) (*http.Response, error) {
	var body io.Reader
	if r.size > 0 {
		body = io.NewSectionReader(r.body, 0, r.size)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.at.String(), body)
	if err != nil {
		return nil, err
	}
	if r.size > 0 {
		req.ContentLength = r.size
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(r.body, 0, r.size)), nil }
	}
	if r.size >= expectFrom {
		req.Header.Set("Expect", "100-continue")
	}
	req.Header.Set("User-Agent", "kept")
	req.Header.Set("Accept-Encoding", "identity")
	for key, value := range r.header {
		req.Header.Set(key, value)
	}
	p.login.set(req)
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, &connectionError{withoutURL(ctx, err)}
	}
	for _, status := range want {
		if resp.StatusCode == status {
			return resp, nil
		}
	}
	drain(resp.Body)
	return nil, p.statusError(r.method, resp)
}

// ask is do without interest in what comes back: it was done, or it was not. A page in place of
// an answer, which comes with 200 from what stands in between, is none.
func (p *place) ask(ctx context.Context, r request) error {
	resp, err := p.do(ctx, r, http.StatusCreated, http.StatusNoContent)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	drain(resp.Body)
	return nil
}

// drain reads a little, so that the connection can be used again, and closes.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	_ = body.Close()
}

// redirect decides whether a redirect is followed: for reading, never from HTTPS to HTTP, and
// without the login where it leads to another host or port.
func (p *place) redirect(req *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	if m := first.Method; m != http.MethodGet && m != http.MethodHead || req.URL.Path == last.URL.Path+"/" {
		return http.ErrUseLastResponse // nothing else is sent elsewhere; and a slash more is a folder
	}
	switch {
	case len(via) > maxRedirects:
		return &kindError{remote.ErrAddress, fmt.Errorf("it redirects more than %d times", maxRedirects)}
	case req.URL.Scheme != last.URL.Scheme && req.URL.Scheme != "https":
		return &kindError{remote.ErrAddress, fmt.Errorf("it redirects from %s to %s, which is not followed", last.URL.Scheme, req.URL.Scheme)}
	}
	req.URL.User = nil // a server does not choose who logs in
	req.Header.Del("Authorization")
	req.Header.Del("Referer")
	p.login.set(req)
	return nil
}

// sameServer says whether two URLs are of one scheme, host and port.
func sameServer(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && hostPort(a.Scheme, a.Host) == hostPort(b.Scheme, b.Host)
}

// hostPort is a host with its port, whether or not that is written.
func hostPort(scheme, host string) string {
	u := url.URL{Host: host}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
