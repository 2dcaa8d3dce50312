package gcs_test

import (
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/gcs"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

func TestEmulator(t *testing.T) {
	url, settings := remotetest.StartGCS(t)
	remotetest.Run(t, func(tb testing.TB) remote.Remote { return open(tb, url, settings) })
}

// open opens a remote, as kept does.
func open(tb testing.TB, raw string, settings remote.Settings) remote.Remote {
	tb.Helper()
	u, err := remote.ParseURL(raw)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := remote.Schemes{"gs": gcs.Open}.Open(tb.Context(), u, settings)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
