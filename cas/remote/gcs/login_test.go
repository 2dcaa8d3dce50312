package gcs

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

func TestLogin(t *testing.T) {
	invalid := &oauth2.RetrieveError{Response: &http.Response{StatusCode: 400}, ErrorCode: "invalid_grant", Body: []byte("secret")}
	busy := &oauth2.RetrieveError{Response: &http.Response{StatusCode: 503}, Body: []byte("secret")}
	tests := []struct {
		name   string
		source tokens
		found  error
		want   error
	}{
		{"nobody is logged in", tokens{}, errors.New("google: could not find default credentials"), remote.ErrCredentials},
		{"the login has expired", tokens{err: invalid}, nil, remote.ErrCredentials},
		{"the token server is busy", tokens{err: busy}, nil, remote.ErrTemporary},
		{"good", tokens{}, nil, remote.ErrAddress},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it follows a redirect") }))
			defer elsewhere.Close()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != "Bearer secret" {
					t.Errorf("Authorization: %q", got)
				}
				if got := r.Header.Get("X-Goog-User-Project"); got != "payer" {
					t.Errorf("X-Goog-User-Project: %q", got)
				}
				http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
			}))
			defer server.Close()
			t.Setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "")
			l := newLogin()
			l.find = func(context.Context) (*google.Credentials, error) {
				return &google.Credentials{TokenSource: test.source, JSON: []byte(`{"quota_project_id":"payer"}`)}, test.found
			}
			b := &bucket{text: "gs://team", name: "team", base: server.URL, client: web.NewClient(), login: l}
			_, err := b.Stat(t.Context(), "packs/a")
			if !errors.Is(err, test.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if errors.Is(err, remote.ErrCredentials) && !strings.Contains(err.Error(), "gcloud auth application-default login") {
				t.Errorf("%v does not say what to do", err)
			}
		})
	}
}

// tokens gives one, or an error.
type tokens struct{ err error }

func (s tokens) Token() (*oauth2.Token, error) { return &oauth2.Token{AccessToken: "secret"}, s.err }
