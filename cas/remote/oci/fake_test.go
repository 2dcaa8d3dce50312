package oci

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// file is the name of the one file that a fake registry has.
const file = "packs/00.pack"

// fakeFile is what is in it.
func fakeFile() []byte { return bytes.Repeat([]byte("0123456789"), 100) }

// fake answers reads as a registry that has one file, and leaves the rest to hook,
// which says whether it answered.
func fake(hook func(w http.ResponseWriter, r *http.Request) bool) http.HandlerFunc {
	data := fakeFile()
	blob := sum(data)
	manifest, err := encodeManifest(file, layer{digest: blob, size: int64(len(data))})
	if err != nil {
		panic(err)
	}
	id := string(sum(manifest))
	return func(w http.ResponseWriter, r *http.Request) {
		if hook != nil && hook(w, r) {
			return
		}
		switch path := strings.TrimPrefix(r.URL.Path, "/v2/team/models/"); path {
		case "manifests/" + tag(file), "manifests/" + id:
			w.Header().Set("Content-Type", manifestType)
			w.Header().Set("Docker-Content-Digest", id)
			w.Header().Set("Content-Length", fmt.Sprint(len(manifest)))
			_, _ = w.Write(manifest)
		case "blobs/" + string(blob):
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		default:
			http.Error(w, `{"errors":[{"code":"NOT_HERE"}]}`, http.StatusNotFound)
		}
	}
}

// serve starts a fake registry and opens it, with no docker configuration but what a test
// has set before.
func serve(t *testing.T, hook func(w http.ResponseWriter, r *http.Request) bool) (*repository, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(fake(hook))
	t.Cleanup(server.Close)
	return openAt(t, strings.TrimPrefix(server.URL, "http://"), nil), server
}

func openAt(t *testing.T, host string, s remote.Settings) *repository {
	t.Helper()
	r, err := open(&remote.URL{Scheme: "oci", Host: host, Path: "team/models"}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// through makes r dial address whatever host it means to reach, and trust its certificate.
func through(r *repository, address string) *http.Transport {
	transport := r.auth.http.Transport.(listener).RoundTripper.(*http.Transport)
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return transport
}

func read(r remote.Remote, name string, offset, length int64) ([]byte, error) {
	body, err := r.Get(context.Background(), name, offset, length)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	return data, errors.Join(err, body.Close())
}

func noLogins(t *testing.T) {
	t.Helper()
	remotetest.UseDockerConfig(t, nil)
}
