// Package web is what remotes that are reached by HTTP share: a client that changes
// nothing on the way and goes nowhere else, bodies to send, and what it means when no
// answer or a bad one comes.
package web

import (
	"net"
	"net/http"
	"time"
)

// idle is how many connections are kept for the next requests: as many as there may be
// at once.
const idle = 64

// NewClient returns a client for one remote. It unpacks nothing, it follows no
// redirect, which would carry credentials to somebody else, and it gives up on a host
// that does not answer at all. How long a whole request may take is left to its context.
func NewClient() *http.Client {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	// One connection for each request that runs: with HTTP/2 they would share one, and
	// its window.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dialer.DialContext,
			Protocols:             protocols,
			TLSHandshakeTimeout:   30 * time.Second,
			ExpectContinueTimeout: time.Second,
			MaxIdleConns:          idle,
			MaxIdleConnsPerHost:   idle,
			IdleConnTimeout:       time.Minute,
			WriteBufferSize:       64 << 10,
			ReadBufferSize:        64 << 10,
			DisableCompression:    true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
