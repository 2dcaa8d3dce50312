package gcs_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// Between kept and the service one bit of an upload changes.
func TestAlteredUpload(t *testing.T) {
	raw, settings := remotetest.StartGCS(t)
	service, err := url.Parse(os.Getenv("STORAGE_EMULATOR_HOST"))
	if err != nil {
		t.Fatal(err)
	}
	straight := open(t, raw, settings)
	proxy := httputil.NewSingleHostReverseProxy(service)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		body = bytes.ReplaceAll(body, []byte("the content"), []byte("uhe content"))
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	remotetest.UseGCS(t, server.URL)
	err = open(t, raw, settings).Put(t.Context(), "packs/a", bytes.NewReader([]byte("the content")), 11)
	if !errors.Is(err, remote.ErrAltered) {
		t.Errorf("got %v, want %v", err, remote.ErrAltered)
	}
	if size, err := straight.Stat(t.Context(), "packs/a"); err == nil {
		t.Errorf("there is a file of %d bytes", size)
	}
}
