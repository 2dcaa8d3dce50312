package azure

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	sdk "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

// account is a storage account and what lets in.
type account struct {
	name      string
	endpoint  *url.URL
	own       bool // the endpoint is the user's own choice, and not the repository's
	key       string
	sas       string
	anonymous bool
	from      string // what the key or the sas comes from
}

const (
	envAccount    = "AZURE_STORAGE_ACCOUNT"
	envConnection = "AZURE_STORAGE_CONNECTION_STRING"
	envKey        = "AZURE_STORAGE_KEY"
	envSAS        = "AZURE_STORAGE_SAS_TOKEN"
)

var errNoAccount = errors.New("which storage account? Set account for this remote, or " + envAccount + ", or " + envConnection)

// readAccount brings the settings and the environment together. What the environment has
// for another account than the remote's is not used.
func readAccount(s remote.Settings) (*account, error) {
	a := &account{name: s["account"]}
	var err error
	if a.anonymous, err = web.Bool(s, "anonymous"); err != nil {
		return nil, err
	}
	if s["endpoint"] != "" {
		if a.endpoint, err = checkEndpoint(s["endpoint"]); err != nil {
			return nil, err
		}
	}
	if err := a.readConnection(os.Getenv(envConnection)); err != nil {
		return nil, fmt.Errorf("%s: %w", envConnection, err)
	}
	a.readEnvironment()
	if a.endpoint == nil {
		if a.name == "" {
			return nil, errNoAccount
		}
		if strings.Trim(a.name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return nil, fmt.Errorf("%q is no name of a storage account", a.name)
		}
		a.endpoint = &url.URL{Scheme: "https", Host: a.name + ".blob.core.windows.net"}
	}
	if a.anonymous {
		a.key, a.sas, a.from = "", "", ""
	}
	return a, nil
}

// readConnection reads a connection string: words "Key=value" with ";" between them.
func (a *account) readConnection(text string) error {
	if text == "" {
		return nil
	}
	words := map[string]string{}
	for word := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(word, "=")
		if !ok && strings.TrimSpace(word) != "" {
			return errors.New(`want "Key=value" with ";" between them`)
		}
		words[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
	}
	name := words["accountname"]
	if a.name != "" && name != "" && a.name != name {
		return nil
	}
	endpoint, err := connectionEndpoint(words)
	if err != nil || endpoint == nil {
		return err
	}
	// Without a name its endpoint is what tells the account.
	if name == "" && (a.name != "" && !strings.HasPrefix(endpoint.Host, a.name+".") || a.endpoint != nil && a.endpoint.Host != endpoint.Host) {
		return nil
	}
	if a.name == "" {
		a.name = name
	}
	if a.endpoint == nil {
		a.endpoint, a.own = endpoint, true
	}
	a.key, a.sas, a.from = words["accountkey"], words["sharedaccesssignature"], envConnection
	if a.key == "" && a.sas == "" {
		return errors.New("it has neither AccountKey nor SharedAccessSignature")
	}
	return nil
}

// connectionEndpoint returns the blob service that a connection string names.
func connectionEndpoint(words map[string]string) (*url.URL, error) {
	if words["usedevelopmentstorage"] != "" {
		return nil, errors.New("UseDevelopmentStorage is not supported: write out AccountName, AccountKey and BlobEndpoint")
	}
	if text := words["blobendpoint"]; text != "" {
		return checkEndpoint(text)
	}
	if words["accountname"] == "" {
		return nil, errors.New("it has neither AccountName nor BlobEndpoint")
	}
	protocol, suffix := words["defaultendpointsprotocol"], words["endpointsuffix"]
	if protocol == "" {
		protocol = "https"
	}
	if suffix == "" {
		suffix = "core.windows.net"
	}
	return checkEndpoint(protocol + "://" + words["accountname"] + ".blob." + suffix)
}

// readEnvironment reads what the az program reads too.
func (a *account) readEnvironment() {
	name := os.Getenv(envAccount)
	if a.name == "" {
		a.name = name
	}
	if a.from != "" || name != "" && name != a.name {
		return
	}
	if key := os.Getenv(envKey); key != "" {
		a.key, a.from = key, envKey
	} else if sas := os.Getenv(envSAS); sas != "" {
		a.sas, a.from = sas, envSAS
	}
}

// connect returns a client for one container, and in words what lets it in.
func (a *account) connect(name string, options *sdk.ClientOptions) (*sdk.Client, string, error) {
	at := *a.endpoint
	at.Path = strings.TrimRight(at.Path, "/") + "/" + name
	switch {
	case a.anonymous:
		c, err := sdk.NewClientWithNoCredential(at.String(), options)
		return c, "", err
	case a.key != "":
		key, err := sdk.NewSharedKeyCredential(a.name, a.key)
		if err != nil {
			// What it says may have a part of the key in it.
			return nil, "", fmt.Errorf("%w: the key in %s is not in base64", remote.ErrCredentials, a.from)
		}
		c, err := sdk.NewClientWithSharedKeyCredential(at.String(), key, options)
		return c, "the key in " + a.from, err
	}
	// A token is good for whoever gets to see it, and so is a signature.
	if err := a.checkTrusted(); err != nil {
		return nil, "", err
	}
	if a.sas != "" {
		at.RawQuery = strings.TrimPrefix(a.sas, "?")
		c, err := sdk.NewClientWithNoCredential(at.String(), options)
		return c, "the token in " + a.from, err
	}
	login := newLogin()
	c, err := sdk.NewClient(at.String(), login, options)
	return c, loginWords, err
}

// checkTrusted refuses an endpoint that is neither Azure's nor of the user's own choice.
func (a *account) checkTrusted() error {
	host := a.endpoint.Hostname()
	if a.own {
		return nil
	}
	if a.endpoint.Scheme == "https" {
		for _, suffix := range []string{".core.windows.net", ".core.usgovcloudapi.net", ".core.chinacloudapi.cn", ".storage.azure.net"} {
			if strings.HasSuffix(host, suffix) {
				return nil
			}
		}
	}
	if ip := net.ParseIP(host); a.sas != "" && ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: they are not sent to %s, which is none of Azure's hosts: name it as BlobEndpoint in %s", remote.ErrCredentials, host, envConnection)
}
