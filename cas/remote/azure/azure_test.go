package azure_test

import (
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/azure"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

func TestEmulator(t *testing.T) {
	url, settings := remotetest.StartAzurite(t)
	remotetest.Run(t, func(tb testing.TB) remote.Remote { return open(tb, url, settings) })
}

// open opens a remote, as kept does.
func open(tb testing.TB, raw string, settings remote.Settings) remote.Remote {
	tb.Helper()
	r, err := try(tb, raw, settings)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func try(tb testing.TB, raw string, settings remote.Settings) (remote.Remote, error) {
	tb.Helper()
	u, err := remote.ParseURL(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return remote.Schemes{"az": azure.Open}.Open(tb.Context(), u, settings)
}
