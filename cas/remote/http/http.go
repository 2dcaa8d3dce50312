// Package http reads a remote's files from a web server, and keeps them on one that
// speaks WebDAV.
//
//	https://host/path, http://host/path     is read only
//	davs://host/path, dav://host/path       WebDAV over HTTPS, and over HTTP
//
// Login names and passwords come from the user's netrc, or from KEPT_HTTP_USER and
// KEPT_HTTP_PASSWORD or KEPT_HTTP_TOKEN for the host that KEPT_HTTP_HOST names. They
// go to that host and port, and nowhere else, whatever a server answers.
//
// The standard library does the work: WebDAV is five methods here, and the clients
// there are know no context.
package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kept-dev/kept/cas/remote"
)

// graceOnClose is how long Close waits for what is cleaned up.
const graceOnClose = 2 * time.Second

type place struct {
	url *remote.URL
	// base is where the files are, without a slash at its end.
	base   *url.URL
	dav    bool
	login  *login
	client *http.Client

	// seen says that the folder or the one above it was there.
	seen atomic.Bool
	// made are folders that are there, as far as known.
	made sync.Map
	// cleaning are requests that nobody waits for.
	cleaning sync.WaitGroup
}

// Open opens the folder at u. There are no settings.
func Open(_ context.Context, u *remote.URL, s remote.Settings) (remote.Remote, error) {
	base, dav, err := baseOf(u)
	if err != nil {
		return nil, &remote.Error{Op: "open", Remote: u.String(), Err: err}
	}
	if err := s.Only(); err != nil {
		return nil, &remote.Error{Op: "open", Remote: u.String(), Err: err}
	}
	login, err := findLogin(base, u.User)
	if err != nil {
		return nil, &remote.Error{Op: "open", Remote: u.String(), Err: err}
	}
	p := &place{url: u, base: base, dav: dav, login: login}
	p.client = &http.Client{Transport: transport(), CheckRedirect: p.redirect}
	p.seen.Store(!dav || base.Path == "")
	return p, nil
}

// baseOf returns where the folder at u is, and whether to speak WebDAV.
func baseOf(u *remote.URL) (base *url.URL, dav bool, err error) {
	base = &url.URL{Host: u.Host}
	if u.Path != "" {
		base.Path = "/" + u.Path
	}
	switch u.Scheme {
	case "http", "https":
		base.Scheme = u.Scheme
	case "dav":
		base.Scheme, dav = "http", true
	case "davs":
		base.Scheme, dav = "https", true
	default:
		err = fmt.Errorf("%q is not HTTP", u.Scheme)
	}
	return base, dav, err
}

// at is where a file or, with a slash at its end, a folder is; "" is the root.
func (p *place) at(name string) *url.URL {
	u := *p.base
	u.Path += "/" + name
	return &u
}

// Close lets go of connections.
func (p *place) Close() error {
	done := make(chan struct{})
	go func() { p.cleaning.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(graceOnClose):
	}
	p.client.CloseIdleConnections()
	return nil
}

// Delete looks first: what is a folder would be deleted with all that is in it.
func (p *place) Delete(ctx context.Context, name string) error {
	if err := remote.CheckName(name); err != nil {
		return p.failed("delete", name, err)
	}
	if !p.dav {
		return p.failed("delete", name, errReadOnly)
	}
	_, err := p.size(ctx, name)
	if err == nil {
		err = p.ask(ctx, request{method: "DELETE", at: p.at(name)})
	}
	if err = p.failed("delete", name, p.orNoRemote(ctx, err)); isNotExist(err) {
		return nil
	}
	return err
}

// isNotExist says whether a file is missing, where the remote is there.
func isNotExist(err error) bool {
	e := new(remote.Error)
	return errors.As(err, &e) && errors.Is(e.Kind, errNotExist)
}

// name of a folder below the root, for the server.
func folder(dir string) string {
	if dir == "" || dir == "." {
		return ""
	}
	return strings.TrimSuffix(dir, "/") + "/"
}
