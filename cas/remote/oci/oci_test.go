package oci_test

import (
	"context"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/check"
	"github.com/kept-dev/kept/cas/remote/oci"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// openURL opens a remote of this kind.
func openURL(tb testing.TB, raw string, s remote.Settings) remote.Remote {
	tb.Helper()
	u, err := remote.ParseURL(raw)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := oci.Open(tb.Context(), u, s)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestRegistry(t *testing.T) {
	url, settings := remotetest.StartRegistry(t)
	remotetest.Run(t, func(tb testing.TB) remote.Remote { return openURL(tb, url, settings) })
}

// All but what takes long, as a password makes no difference to that.
func TestRegistryWithLogin(t *testing.T) {
	url, settings := remotetest.StartRegistryWithLogin(t)
	r := openURL(t, url, settings)
	t.Cleanup(func() { _ = r.Close() })
	place := check.Place{Remote: r, Open: func(context.Context) (remote.Remote, error) { return openURL(t, url, settings), nil }}
	for _, c := range check.Cases() {
		if c.Large {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), place); err != nil {
				t.Error(err)
			}
		})
	}
}
