package oci

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// What may be done to a repository, as the scopes of tokens have it.
const (
	toPull   = "pull"
	toPush   = "pull,push" // most registries want both for a push
	toDelete = "delete"
)

// errNobody is that a registry wants to know who calls and nobody is logged in.
var errNobody = errors.New("nobody is logged in")

// auth sends requests to one repository as who the user is there. Credentials go to the
// origin of the registry alone, and to its token server.
type auth struct {
	http *http.Client
	// registry is a URL of the registry's.
	registry *url.URL
	// scope is that of a token for the repository, up to what may be done.
	scope string
	creds *credentials

	turn chan struct{} // has one place: for who gets the next header
	mu   sync.Mutex
	// headers are the values of Authorization by what may be done with them. The empty key
	// is for all of it: a password knows no scopes.
	headers map[string]string
}

func newAuth(client *http.Client, registry *url.URL, repository string, creds *credentials) *auth {
	return &auth{
		http:     client,
		registry: registry,
		scope:    "repository:" + repository + ":",
		creds:    creds,
		turn:     make(chan struct{}, 1),
		headers:  make(map[string]string),
	}
}

// do sends a request for which a token has to allow actions. A body has to come with
// req.GetBody: it is sent once more when the registry asks who calls.
func (a *auth) do(req *http.Request, actions string) (*http.Response, error) {
	if !sameOrigin(req.URL, a.registry) {
		return a.send(req)
	}
	sent := a.header(actions)
	if sent != "" {
		req.Header.Set("Authorization", sent)
	}
	resp, err := a.send(req)
	// One that asks after a redirect is another one, whose business the credentials are not.
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !sameOrigin(resp.Request.URL, a.registry) {
		return resp, err
	}
	wanted := choose(resp.Header.Values("WWW-Authenticate"))
	if wanted.scheme == "" {
		return resp, nil
	}
	header, err := a.authorize(req.Context(), actions, sent, wanted)
	if err == nil && header == sent {
		return resp, nil
	}
	drop(resp)
	if err != nil {
		return nil, err
	}
	again, err := rewound(req)
	if err != nil {
		return nil, err
	}
	again.Header.Set("Authorization", header)
	return a.send(again)
}

func (a *auth) send(req *http.Request) (*http.Response, error) {
	return send(a.http, req)
}

// rewound returns req with its body from the beginning.
func rewound(req *http.Request) (*http.Request, error) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, nil
	}
	if req.GetBody == nil {
		return nil, fmt.Errorf("%s: the body can be sent only once", req.Method)
	}
	var err error
	again.Body, err = req.GetBody()
	return again, err
}

// header returns what was good for these actions before, or "".
func (a *auth) header(actions string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.headers[actions]; h != "" {
		return h
	}
	return a.headers[""]
}

func (a *auth) keep(actions, header string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.headers[actions] = header
}

// authorize returns the header that answers a challenge which came when sent was sent. Many
// requests may be challenged at once; one of them gets the header for all.
func (a *auth) authorize(ctx context.Context, actions, sent string, c challenge) (string, error) {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if h := a.header(actions); h != sent {
		return h, nil
	}
	if c.scheme == "basic" {
		header, err := a.basic(ctx)
		if err == nil {
			a.keep("", header)
		}
		return header, err
	}
	token, err := a.token(ctx, c, actions)
	if err != nil {
		return "", err
	}
	a.keep(actions, "Bearer "+token)
	return "Bearer " + token, nil
}

// basic returns the user's name and password.
func (a *auth) basic(ctx context.Context) (string, error) {
	cred, err := a.creds.get(ctx)
	switch {
	case err != nil:
		return "", err
	case cred == credential{}:
		return "", errNobody
	case cred.user == "" || cred.password == "":
		return "", &loginError{fmt.Errorf("%s wants a user and a password, and there is a token only", a.creds.host)}
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(cred.user+":"+cred.password)), nil
}

// sameOrigin reports whether a and b have the same scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && sameHost(a, b)
}

// sameHost reports whether a and b have the same host and port.
func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	}
	return "80"
}
