// Package gcs is the remote in a bucket of Google Cloud Storage: gs://bucket/prefix.
//
// It speaks the JSON API with the standard library's client; only the credentials are
// the business of Google's code. docs/decisions/0013-clients.md says why.
package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

const (
	service = "https://storage.googleapis.com"
	// emulatorEnv names the host of an emulator, as for Google's own clients.
	emulatorEnv = "STORAGE_EMULATOR_HOST"
)

// bucket is a remote.Remote.
type bucket struct {
	text   string // the URL as it is written
	name   string
	prefix string // of objects, empty or with a "/" at its end
	base   string // the service, without a "/" at its end
	client *http.Client
	login  *login // nil asks without credentials
}

// Open opens the bucket at u. The settings are "anonymous", which is "true" for a bucket
// that anybody may read. There is none for the service: it gets tokens that open
// everything that the user may, so that a repository must not choose it.
func Open(_ context.Context, u *remote.URL, s remote.Settings) (remote.Remote, error) {
	b, err := open(u, s)
	if err != nil {
		return nil, &remote.Error{Op: "open", Remote: u.String(), Err: err}
	}
	return b, nil
}

func open(u *remote.URL, s remote.Settings) (*bucket, error) {
	if err := s.Only("anonymous"); err != nil {
		return nil, err
	}
	if err := checkBucket(u); err != nil {
		return nil, err
	}
	b := &bucket{text: u.String(), name: u.Host, base: service, client: web.NewClient()}
	if u.Path != "" {
		b.prefix = u.Path + "/"
	}
	anonymous, err := web.Bool(s, "anonymous")
	if err != nil {
		return nil, err
	}
	emulator := os.Getenv(emulatorEnv)
	if emulator != "" {
		if b.base, err = emulatorURL(emulator); err != nil {
			return nil, fmt.Errorf("%s: %w", emulatorEnv, err)
		}
	}
	if !anonymous && emulator == "" {
		b.login = newLogin()
	}
	return b, nil
}

// checkBucket refuses what can't be a bucket's name, and would be another path.
func checkBucket(u *remote.URL) error {
	if u.User != "" {
		return errors.New("the URL has a user, want gs://bucket/prefix")
	}
	if len(u.Host) < 3 || len(u.Host) > 222 || strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return fmt.Errorf("%q is no name of a bucket", u.Host)
	}
	return nil
}

func emulatorURL(host string) (string, error) {
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	u, err := url.Parse(host)
	if err != nil {
		return "", err
	}
	return u.Scheme + "://" + u.Host, nil
}

// Close implements remote.Remote.
func (b *bucket) Close() error {
	b.client.CloseIdleConnections()
	return nil
}
