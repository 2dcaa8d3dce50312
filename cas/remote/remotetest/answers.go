package remotetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
)

// Do asks a remote for one thing, of a file that need not be there: op is "put", "get" or "stat".
func Do(ctx context.Context, r remote.Remote, op string) error {
	switch op {
	case "put":
		return r.Put(ctx, "packs/a", bytes.NewReader([]byte("text")), 4)
	case "get":
		body, err := r.Get(ctx, "packs/a", 1, 2)
		if err == nil {
			return body.Close()
		}
		return err
	default:
		_, err := r.Stat(ctx, "packs/a")
		return err
	}
}

// Alter starts a server in front of a service that changes what is sent, and returns its URL.
// PutAltered sends "the content" as the file packs/a.
func Alter(t testing.TB, service *url.URL, from, to string) string {
	proxy := httputil.NewSingleHostReverseProxy(service)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		body = bytes.ReplaceAll(body, []byte(from), []byte(to))
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// PutAltered fails if what is altered on the way by Alter is kept. Straight is the same remote without it.
func PutAltered(t testing.TB, r, straight remote.Remote) {
	t.Helper()
	err := r.Put(t.Context(), "packs/a", bytes.NewReader([]byte("the content")), 11)
	if !errors.Is(err, remote.ErrAltered) {
		t.Errorf("got %v, want %v", err, remote.ErrAltered)
	}
	if size, err := straight.Stat(t.Context(), "packs/a"); err == nil {
		t.Errorf("there is a file of %d bytes", size)
	}
}
