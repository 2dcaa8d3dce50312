package http

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"

	"github.com/kept-dev/kept/cas/remote"
)

var (
	KindOfStatus = kindOfStatus
	RetryAfter   = retryAfter
)

// Trust makes r accept the certificates that pool does.
func Trust(r remote.Remote, pool *x509.CertPool) remote.Remote {
	r.(*place).client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	return r
}

// Login returns the login that would be sent to a server.
func Login(r remote.Remote) (user, password, token string) {
	l := r.(*place).login
	return l.user, l.password, l.token
}

// Entries returns what is in a netrc.
func Entries(text string) [][3]string {
	var all [][3]string
	for _, m := range parseNetrc(text) {
		all = append(all, [3]string{m.host, m.login, m.password})
	}
	return all
}
