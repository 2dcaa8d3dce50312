package azure_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// Between kept and the service one bit of an upload changes.
func TestAlteredUpload(t *testing.T) {
	raw, settings := remotetest.StartAzurite(t)
	service, err := url.Parse(settings["endpoint"])
	if err != nil {
		t.Fatal(err)
	}
	straight := open(t, raw, settings)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: service.Scheme, Host: service.Host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		body = bytes.ReplaceAll(body, []byte("the content"), []byte("uhe content"))
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	settings["endpoint"] = server.URL + service.Path
	err = open(t, raw, settings).Put(t.Context(), "packs/a", bytes.NewReader([]byte("the content")), 11)
	if !errors.Is(err, remote.ErrAltered) {
		t.Errorf("got %v, want %v", err, remote.ErrAltered)
	}
	if size, err := straight.Stat(t.Context(), "packs/a"); err == nil {
		t.Errorf("there is a file of %d bytes", size)
	}
}
