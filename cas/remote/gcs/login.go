package gcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

const scope = "https://www.googleapis.com/auth/devstorage.read_write"

// login has the tokens of the application default credentials, which are looked up
// with the first request: the last place to look is the network.
type login struct {
	client *http.Client
	find   func(context.Context) (*google.Credentials, error)

	mu      sync.Mutex
	source  oauth2.TokenSource
	project string
}

func newLogin() *login {
	client := web.NewClient()
	client.Timeout = time.Minute
	return &login{client: client, find: func(ctx context.Context) (*google.Credentials, error) {
		return google.FindDefaultCredentials(ctx, scope)
	}}
}

// pass is what a request needs to be let in.
type pass struct {
	token   string
	project string // that pays, or empty
}

// pass returns one that is good for a while. Google's code does not listen to ctx, so
// it is left behind when ctx ends.
func (l *login) pass(ctx context.Context) (pass, error) {
	type result struct {
		pass pass
		err  error
	}
	done := make(chan result, 1)
	background := context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, l.client)
	go func() {
		p, err := l.get(background)
		done <- result{p, err}
	}()
	select {
	case r := <-done:
		return r.pass, r.err
	case <-ctx.Done():
		return pass{}, ctx.Err()
	}
}

func (l *login) get(ctx context.Context) (pass, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.source == nil {
		found, err := l.find(ctx)
		if err != nil {
			return pass{}, &loginError{remote.ErrCredentials, strings.TrimPrefix(err.Error(), "google: ")}
		}
		l.source, l.project = oauth2.ReuseTokenSource(nil, found.TokenSource), payer(found.JSON)
	}
	token, err := l.source.Token()
	if err != nil {
		return pass{}, tokenError(err)
	}
	return pass{token.AccessToken, l.project}, nil
}

// payer returns the project that the user wants requests to be accounted to.
func payer(credentials []byte) string {
	if project := os.Getenv("GOOGLE_CLOUD_QUOTA_PROJECT"); project != "" {
		return project
	}
	var file struct {
		Project string `json:"quota_project_id"`
	}
	_ = json.Unmarshal(credentials, &file) // those of a machine have no file
	return file.Project
}

// loginError says why there is no token.
type loginError struct {
	kind error
	text string
}

func (e *loginError) Error() string { return "log in: " + web.Line(e.text) }
func (e *loginError) Unwrap() error { return e.kind }

// tokenError leaves out what the token server's answer is made of, but for the code.
func tokenError(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.Response != nil {
		kind := web.StatusKind(answer.Response.StatusCode)
		if !errors.Is(kind, remote.ErrTemporary) {
			kind = remote.ErrCredentials
		}
		text := strings.TrimSpace(fmt.Sprintf("%d %s %s", answer.Response.StatusCode, answer.ErrorCode, answer.ErrorDescription))
		return &loginError{kind, text}
	}
	kind := web.Kind(err)
	if kind == nil {
		kind = remote.ErrCredentials
	}
	return &loginError{kind, web.Cause(err).Error()}
}
