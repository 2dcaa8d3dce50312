package sftp_test

import (
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
	"github.com/kept-dev/kept/cas/remote/sftp"
)

func open(tb testing.TB, raw string) remote.Remote {
	tb.Helper()
	u, err := remote.ParseURL(raw)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := sftp.Open(tb.Context(), u, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestConformance(t *testing.T) {
	url, _ := remotetest.StartSFTP(t)
	remotetest.Run(t, func(tb testing.TB) remote.Remote { return open(tb, url) })
}
