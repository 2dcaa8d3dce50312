package s3

import (
	"context"
	"net"
	"net/http"

	"github.com/kept-dev/kept/cas/remote"
)

// DialAt has r find everybody at address.
func DialAt(r remote.Remote, address string) {
	r.(*bucket).tune = func(t *http.Transport) {
		tune(t)
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	}
}
