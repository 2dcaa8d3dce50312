package remotetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// Proxy stands before a server that speaks HTTP. The Host that the client asks for stays,
// so that signatures of requests are right.
type Proxy struct {
	*troubles
	target  *url.URL
	server  *httptest.Server
	forward *httputil.ReverseProxy
	over    chan struct{}
}

// NewProxy starts a proxy before the server at target, such as "http://127.0.0.1:9000".
func NewProxy(tb testing.TB, target string, seed uint64) *Proxy {
	tb.Helper()
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		tb.Fatalf("a proxy before %q: want http://host:port: %v", target, err)
	}
	quiet := log.New(io.Discard, "", 0) // what goes wrong is meant to
	p := &Proxy{troubles: newTroubles(seed), target: u, over: make(chan struct{})}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: u.Scheme, Host: u.Host})
			r.Out.Host = r.In.Host
		},
		ModifyResponse: p.spoil,
		ErrorLog:       quiet,
		FlushInterval:  -1,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.ErrorLog = quiet
	p.server.Start()
	tb.Cleanup(func() {
		close(p.over)
		p.server.CloseClientConnections()
		p.server.Close()
	})
	return p
}

// URL returns the address to ask in place of the server's.
func (p *Proxy) URL() string { return p.server.URL }

// Addr returns the host and port of URL.
func (p *Proxy) Addr() string { return p.server.Listener.Addr().String() }

// Kinds implements Troubled.
func (p *Proxy) Kinds() []Kind {
	return []Kind{
		Refuse, CutRequest, CutResponse, LoseResponse, Stall, StallRequest, StallResponse, Delay, FlipRequest, FlipResponse,
		TooMany, ServerError, BadGateway, Busy, TooLate, TooManyAfter, BusyAfter, Unauthorized, Forbidden,
		ShortBody, LongBody, ZeroBody, Page, Twice,
	}
}

// Random implements Troubled.
func (p *Proxy) Random(kind Kind) Trouble {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Trouble{Kind: kind, Nth: 1 + p.random.IntN(4), Times: 1 + p.random.IntN(3), At: -1, Delay: 50 * time.Millisecond}
}

// troubleKey is where a request has what goes wrong with its response.
type troubleKey struct{}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	one := p.meet(func(t Trouble) bool { return canHave(r, t.Kind) && (t.Match == nil || t.Match(r)) })
	if one == nil {
		p.forward.ServeHTTP(w, r)
		return
	}
	switch one.Kind {
	case Refuse:
		reset(w)
	case CutRequest:
		_, _ = io.CopyN(io.Discard, r.Body, p.at(one, r.ContentLength))
		reset(w)
	case Stall:
		_, _ = io.Copy(io.Discard, r.Body)
		p.wait(r)
	case StallRequest:
		_, _ = io.CopyN(io.Discard, r.Body, p.at(one, r.ContentLength))
		p.wait(r)
	case Delay:
		select {
		case <-time.After(one.Delay):
		case <-p.over:
		}
		p.forward.ServeHTTP(w, r)
	case LoseResponse:
		_ = p.send(r, r.Body)
		reset(w)
	case Twice:
		p.twice(w, r)
	case FlipRequest:
		r.Body = &flipping{ReadCloser: r.Body, at: p.at(one, r.ContentLength)}
		p.forward.ServeHTTP(w, r)
	case Answer:
		one.Answer(w, r)
	case Page:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Welcome</title><p>Please accept our terms.\n")
	default:
		if status, after := statusOf(one.Kind); status != 0 {
			answerStatus(w, r, status, after)
			return
		}
		p.forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), troubleKey{}, one)))
	}
}

// canHave reports whether a trouble makes sense for a request.
func canHave(r *http.Request, k Kind) bool {
	switch k {
	case CutRequest, StallRequest, FlipRequest:
		return r.ContentLength > 0
	case CutResponse, StallResponse, FlipResponse, ShortBody, LongBody, ZeroBody, Rewrite, Page:
		return r.Method != http.MethodHead && r.Method != http.MethodPut && r.Method != http.MethodDelete
	}
	return true
}

func statusOf(k Kind) (status int, after string) {
	switch k {
	case TooManyAfter:
		return http.StatusTooManyRequests, "1"
	case BusyAfter:
		return http.StatusServiceUnavailable, "1"
	case TooMany, ServerError, BadGateway, Busy, TooLate, Unauthorized, Forbidden:
		status, _ = strconv.Atoi(string(k))
	}
	return status, ""
}

func answerStatus(w http.ResponseWriter, r *http.Request, status int, after string) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	if after != "" {
		w.Header().Set("Retry-After", after)
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, http.StatusText(status)+"\n")
	}
}

// reset ends the connection as a router does that has lost it.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// wait waits until the client or the test has had enough.
func (p *Proxy) wait(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-p.over:
	}
	panic(http.ErrAbortHandler)
}

// send has the server do a request, and throws the answer away.
func (p *Proxy) send(r *http.Request, body io.Reader) error {
	out := r.Clone(context.WithoutCancel(r.Context()))
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", p.target.Scheme, p.target.Host
	out.Body = io.NopCloser(body)
	answer, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

func (p *Proxy) twice(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = p.send(r, bytes.NewReader(b))
	r.Body = io.NopCloser(bytes.NewReader(b))
	p.forward.ServeHTTP(w, r)
}

// spoil does to a response what goes wrong with it.
func (p *Proxy) spoil(answer *http.Response) error {
	one, _ := answer.Request.Context().Value(troubleKey{}).(*Trouble)
	if one == nil {
		return nil
	}
	switch one.Kind {
	case CutResponse:
		answer.Body = &ending{ReadCloser: answer.Body, left: p.at(one, answer.ContentLength), end: func() error { return errCut }}
		return nil
	case StallResponse:
		answer.Body = &ending{ReadCloser: answer.Body, left: p.at(one, answer.ContentLength), end: func() error {
			select {
			case <-answer.Request.Context().Done():
			case <-p.over:
			}
			return errCut
		}}
		return nil
	}
	b, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	at := p.at(one, int64(len(b)))
	switch one.Kind {
	case ShortBody:
		b = b[:at]
	case LongBody:
		b = append(b, "and more"...)
	case ZeroBody:
		clear(b[at:])
	case FlipResponse:
		flip(b, at)
	case Rewrite:
		b = one.Rewrite(b)
	}
	answer.Body = io.NopCloser(bytes.NewReader(b))
	answer.ContentLength = int64(len(b))
	answer.Header.Set("Content-Length", strconv.Itoa(len(b)))
	answer.TransferEncoding = nil
	return nil
}

var errCut = errors.New("cut")

// flip turns a bit, if it is among these bytes.
func flip(b []byte, at int64) {
	if at >= 0 && at < int64(len(b)) {
		b[at] ^= 1
	}
}

// ending is a body that ends with what end says.
type ending struct {
	io.ReadCloser
	left int64
	end  func() error
}

func (e *ending) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, e.end()
	}
	n, err := e.ReadCloser.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	return n, err
}

// flipping turns one bit of a body.
type flipping struct {
	io.ReadCloser
	at int64
}

func (f *flipping) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	flip(p[:n], f.at)
	f.at -= int64(n)
	return n, err
}
