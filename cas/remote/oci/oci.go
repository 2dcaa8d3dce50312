package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/internal/lazy"
)

// repository is a remote.Remote.
type repository struct {
	url string
	// base is what the URLs of all that is in the repository begin with.
	base  string
	auth  *auth
	creds *credentials
	seen  seen
	empty emptyBlob
	close func()
}

// Open opens the repository of an OCI registry. Its one setting is "insecure": "true"
// for a registry that speaks plain HTTP, which is what one on this machine is taken to
// do unless it is "false".
func Open(_ context.Context, u *remote.URL, s remote.Settings) (remote.Remote, error) {
	r, err := open(u, s)
	if err != nil {
		return nil, &remote.Error{Op: "open", Remote: u.String(), Err: err}
	}
	return r, nil
}

func open(u *remote.URL, s remote.Settings) (*repository, error) {
	if err := s.Only("insecure"); err != nil {
		return nil, err
	}
	plain, err := plainHTTP(u.Host, s)
	if err != nil {
		return nil, err
	}
	if u.User != "" {
		return nil, errors.New(`it has a user in it: "docker login" is where a user is named`)
	}
	at, err := endpoint(u.Host, u.Path, plain)
	if err != nil {
		return nil, fmt.Errorf("want oci://HOST/REPOSITORY, the repository in small letters: %w", err)
	}
	transport := newTransport()
	creds := &credentials{host: u.Host, plain: plain && !loopback(u.Host)}
	return &repository{
		url:   u.String(),
		base:  at.String(),
		auth:  newAuth(newClient(transport), at, u.Path, creds),
		creds: creds,
		close: transport.CloseIdleConnections,
	}, nil
}

// The registry that is meant by the first name is at the second.
const (
	dockerHub    = "docker.io"
	dockerHubAPI = "registry-1.docker.io"
)

// isRepository matches the names of repositories in the distribution specification.
var isRepository = lazy.Regexp(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

// endpoint returns the URL of a repository.
func endpoint(host, path string, plain bool) (*url.URL, error) {
	if u, err := url.ParseRequestURI("oci://" + host); err != nil || host == "" || u.Host != host {
		return nil, fmt.Errorf("%q is no host", host)
	}
	if !isRepository().MatchString(path) {
		return nil, fmt.Errorf("%q is no repository", path)
	}
	if host == dockerHub {
		host = dockerHubAPI
	}
	scheme := "https"
	if plain {
		scheme = "http"
	}
	return &url.URL{Scheme: scheme, Host: host, Path: "/v2/" + path + "/"}, nil
}

// newRequest returns a request for something in the repository.
func (r *repository) newRequest(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, method, r.base+path, body)
}

// ask sends one that is nothing but its line.
func (r *repository) ask(ctx context.Context, method, path, actions string) (*http.Response, error) {
	req, err := r.newRequest(ctx, method, path, nil)
	if err != nil {
		return nil, err
	}
	return r.auth.do(req, actions)
}

func plainHTTP(host string, s remote.Settings) (bool, error) {
	switch value, ok := s["insecure"]; {
	case !ok:
		return loopback(host), nil
	case value == "true" || value == "false":
		return value == "true", nil
	default:
		return false, fmt.Errorf(`insecure = %q: want "true" or "false"`, value)
	}
}

// loopback reports whether host, with or without a port, is this machine.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Close is remote.Remote's.
func (r *repository) Close() error {
	r.close()
	return nil
}
