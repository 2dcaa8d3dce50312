// Package azure is the remote in a container of Azure Blob Storage: az://container/prefix.
package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	sdk "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

// container is a remote.Remote.
type container struct {
	text   string // the URL as it is written
	prefix string // of blobs, empty or with a "/" at its end
	sdk    *sdk.Client
	http   *http.Client
	login  string // what lets in, in words; empty where nothing does
}

// Open opens the container at u. The settings are
//
//   - account: the storage account, where AZURE_STORAGE_ACCOUNT and
//     AZURE_STORAGE_CONNECTION_STRING do not say it.
//   - endpoint: the URL of its blob service, where it is not
//     https://<account>.blob.core.windows.net. Tokens go to Azure's own hosts only.
//   - anonymous: "true" for a container that anybody may read.
func Open(_ context.Context, u *remote.URL, s remote.Settings) (remote.Remote, error) {
	c, err := open(u, s)
	if err != nil {
		e := &remote.Error{Op: "open", Remote: u.String(), Err: err}
		if errors.Is(err, remote.ErrCredentials) {
			e.Kind = remote.ErrCredentials
		}
		return nil, e
	}
	return c, nil
}

func open(u *remote.URL, s remote.Settings) (*container, error) {
	if err := s.Only("account", "endpoint", "anonymous"); err != nil {
		return nil, err
	}
	if err := checkContainer(u); err != nil {
		return nil, err
	}
	a, err := readAccount(s)
	if err != nil {
		return nil, err
	}
	c := &container{text: u.String(), http: web.NewClient()}
	if u.Path != "" {
		c.prefix = u.Path + "/"
	}
	options := &sdk.ClientOptions{}
	options.Transport = c.http
	options.Retry = policy.RetryOptions{MaxRetries: -1}
	options.Telemetry = policy.TelemetryOptions{ApplicationID: "kept"}
	c.sdk, c.login, err = a.connect(u.Host, options)
	return c, err
}

// checkContainer refuses what can't be a container's name.
func checkContainer(u *remote.URL) error {
	if u.User != "" {
		return errors.New("the URL has a user, want az://container/prefix")
	}
	name := u.Host
	special := name == "$web" || name == "$root"
	if len(name) < 3 || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" && !special {
		return fmt.Errorf("%q is no name of a container", name)
	}
	return nil
}

// Close implements remote.Remote.
func (c *container) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// checkEndpoint returns the URL of a blob service without a "/" at its end.
func checkEndpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(raw, "/"))
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", web.Cause(err))
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("endpoint: want https://host and nothing more")
	}
	return u, nil
}
