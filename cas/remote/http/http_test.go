package http_test

import (
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/http"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

func open(tb testing.TB, raw string) remote.Remote {
	tb.Helper()
	u, err := remote.ParseURL(raw)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := http.Open(tb.Context(), u, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestNginxDAV(t *testing.T) {
	n := remotetest.StartNginx(t)
	remotetest.Run(t, func(tb testing.TB) remote.Remote { return open(tb, n.DAV) })
}

func TestNginxLogin(t *testing.T) {
	url, _ := remotetest.StartWebDAV(t)
	remotetest.Run(t, func(tb testing.TB) remote.Remote { return open(tb, url) })
}

func TestNginxStatic(t *testing.T) {
	n := remotetest.StartNginx(t)
	writer := open(t, n.DAV)
	remotetest.RunReadOnly(t, func(tb testing.TB) remote.Remote { return open(tb, n.Static) }, writer)
}

func TestGoDAV(t *testing.T) {
	remotetest.NoLogins(t)
	url := remotetest.Serve(t, "dav", remotetest.WebDAV(t))
	remotetest.Run(t, func(tb testing.TB) remote.Remote { return open(tb, url) })
}
