package azure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/web"
)

const (
	resource   = "https://storage.azure.com/"
	scope      = resource + ".default"
	loginWords = "a token of Microsoft Entra ID"
)

// login is an azcore.TokenCredential with tokens for storage, whatever it is asked for: what
// to ask for comes from the server. It looks where Azure's own code looks, which would make
// every start of the program slower (docs/decisions/0013-clients.md).
type login struct {
	http *http.Client
	// metadata is the service of a virtual machine.
	metadata string

	turn  chan struct{} // has one place: for who asks
	token azcore.AccessToken
}

func newLogin() *login {
	client := web.NewClient()
	client.Timeout = time.Minute
	return &login{http: client, metadata: "http://169.254.169.254", turn: make(chan struct{}, 1)}
}

// early is how long before its end a token is not used any more.
const early = 5 * time.Minute

// GetToken implements azcore.TokenCredential.
func (l *login) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return azcore.AccessToken{}, ctx.Err()
	}
	if l.token.Token != "" && time.Until(l.token.ExpiresOn) > early {
		return l.token, nil
	}
	token, err := l.get(ctx)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	l.token = token
	return token, nil
}

// get asks the first place that there is. That of a virtual machine comes last, because
// where there is none it takes a while to know.
func (l *login) get(ctx context.Context) (azcore.AccessToken, error) {
	tenant, client := os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_CLIENT_ID")
	secret, file := os.Getenv("AZURE_CLIENT_SECRET"), os.Getenv("AZURE_FEDERATED_TOKEN_FILE")
	switch {
	case tenant != "" && client != "" && secret != "":
		return l.fromEntra(ctx, tenant, clientcredentials.Config{ClientID: client, ClientSecret: secret})
	case tenant != "" && client != "" && file != "":
		return l.fromFile(ctx, tenant, client, file)
	case os.Getenv("IDENTITY_ENDPOINT") != "" && os.Getenv("IDENTITY_HEADER") != "":
		return l.fromService(ctx, client)
	}
	token, err := fromProgram(ctx)
	if !errors.Is(err, errNotHere) {
		return token, err
	}
	token, err = l.fromMachine(ctx, client)
	if errors.Is(err, errNotHere) {
		err = &loginError{remote.ErrCredentials, "nobody is logged in"}
	}
	return token, err
}

// fromEntra asks Microsoft Entra ID as the client with this secret, or what stands for it.
func (l *login) fromEntra(ctx context.Context, tenant string, c clientcredentials.Config) (azcore.AccessToken, error) {
	authority := strings.TrimRight(os.Getenv("AZURE_AUTHORITY_HOST"), "/")
	if authority == "" {
		authority = "https://login.microsoftonline.com"
	}
	if !strings.HasPrefix(authority, "https://") {
		return azcore.AccessToken{}, &loginError{remote.ErrCredentials, "AZURE_AUTHORITY_HOST does not begin with https://"}
	}
	c.TokenURL = authority + "/" + url.PathEscape(tenant) + "/oauth2/v2.0/token"
	c.Scopes = []string{scope}
	c.AuthStyle = oauth2.AuthStyleInParams
	token, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, l.http))
	if err != nil {
		return azcore.AccessToken{}, tokenError(err)
	}
	return azcore.AccessToken{Token: token.AccessToken, ExpiresOn: token.Expiry}, nil
}

// fromFile is for workload identity: a file has what Kubernetes or a CI system says of this job.
func (l *login) fromFile(ctx context.Context, tenant, client, file string) (azcore.AccessToken, error) {
	assertion, err := os.ReadFile(file)
	if err != nil {
		return azcore.AccessToken{}, &loginError{remote.ErrCredentials, "AZURE_FEDERATED_TOKEN_FILE: " + err.Error()}
	}
	return l.fromEntra(ctx, tenant, clientcredentials.Config{ClientID: client, EndpointParams: url.Values{
		"client_assertion":      {strings.TrimSpace(string(assertion))},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}})
}

// fromService is for the managed identity of App Service, Functions and Container Apps.
func (l *login) fromService(ctx context.Context, client string) (azcore.AccessToken, error) {
	query := url.Values{"api-version": {"2019-08-01"}, "resource": {resource}}
	if client != "" {
		query.Set("client_id", client)
	}
	header := http.Header{"X-Identity-Header": {os.Getenv("IDENTITY_HEADER")}}
	return l.ask(ctx, os.Getenv("IDENTITY_ENDPOINT")+"?"+query.Encode(), header)
}

// errNotHere says that a place to look at does not exist.
var errNotHere = errors.New("not here")

// knock is how long a virtual machine's service has to let itself be connected to.
const knock = time.Second

// fromMachine is for the managed identity of a virtual machine.
func (l *login) fromMachine(ctx context.Context, client string) (azcore.AccessToken, error) {
	u, err := url.Parse(l.metadata)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	host := u.Host
	if u.Port() == "" {
		host += ":80"
	}
	dialer := net.Dialer{Timeout: knock}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		if ctx.Err() != nil {
			return azcore.AccessToken{}, ctx.Err()
		}
		return azcore.AccessToken{}, errNotHere
	}
	_ = conn.Close()
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {resource}}
	if client != "" {
		query.Set("client_id", client)
	}
	return l.ask(ctx, l.metadata+"/metadata/identity/oauth2/token?"+query.Encode(), http.Header{"Metadata": {"true"}})
}

// maxToken is more than any answer with a token has.
const maxToken = 1 << 20

// ask asks a service of this machine, past any proxy.
func (l *login) ask(ctx context.Context, at string, header http.Header) (azcore.AccessToken, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return azcore.AccessToken{}, web.Cause(err)
	}
	req.Header = header
	resp, err := l.direct().Do(req)
	if err != nil {
		return azcore.AccessToken{}, tokenError(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxToken))
	if err != nil {
		return azcore.AccessToken{}, tokenError(err)
	}
	if resp.StatusCode != http.StatusOK {
		kind := web.StatusKind(resp.StatusCode)
		if !errors.Is(kind, remote.ErrTemporary) {
			kind = remote.ErrCredentials
		}
		return azcore.AccessToken{}, &loginError{kind, fmt.Sprintf("managed identity: %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}
	}
	return parseToken(text)
}

func (l *login) direct() *http.Client {
	c := *l.http
	if t, ok := c.Transport.(*http.Transport); ok {
		t = t.Clone()
		t.Proxy = nil
		t.DisableKeepAlives = true
		c.Transport = t
	}
	return &c
}

// parseToken reads the answer of a managed identity or of the az program.
func parseToken(text []byte) (azcore.AccessToken, error) {
	var answer struct {
		Token string `json:"access_token"`
		Until any    `json:"expires_on"` // a number, also in quotes

		ProgramToken string `json:"accessToken"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return azcore.AccessToken{}, &loginError{remote.ErrCredentials, "the answer with the token is no JSON"}
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(fmt.Sprint(answer.Until)), 64)
	if answer.Token == "" {
		answer.Token = answer.ProgramToken
	}
	if answer.Token == "" || err != nil {
		return azcore.AccessToken{}, &loginError{remote.ErrCredentials, "the answer has no token, or does not say until when it is good"}
	}
	return azcore.AccessToken{Token: answer.Token, ExpiresOn: time.Unix(int64(seconds), 0)}, nil
}

// fromProgram asks the az program, which knows who has logged in on this machine.
func fromProgram(ctx context.Context) (azcore.AccessToken, error) {
	program, err := exec.LookPath("az")
	if err != nil {
		return azcore.AccessToken{}, errNotHere
	}
	cmd := exec.CommandContext(ctx, program, "account", "get-access-token", "--resource", resource, "--output", "json")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return azcore.AccessToken{}, ctx.Err()
		}
		return azcore.AccessToken{}, errNotHere // nobody has logged in with it
	}
	return parseToken(out)
}

// loginError says why there is no token.
type loginError struct {
	kind error
	text string
}

func (e *loginError) Error() string { return "log in: " + web.Line(e.text) }
func (e *loginError) Unwrap() error { return e.kind }

// NonRetriable tells Azure's client that it is of no use to try again at once.
func (e *loginError) NonRetriable() {}

// tokenError leaves out what the answer is made of, but for the code and its first line.
func tokenError(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.Response != nil {
		kind := web.StatusKind(answer.Response.StatusCode)
		if !errors.Is(kind, remote.ErrTemporary) {
			kind = remote.ErrCredentials
		}
		first, _, _ := strings.Cut(answer.ErrorDescription, "\n")
		return &loginError{kind, strings.TrimSpace(fmt.Sprintf("%d %s %s", answer.Response.StatusCode, answer.ErrorCode, first))}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	kind := web.Kind(err)
	if kind == nil {
		kind = remote.ErrCredentials
	}
	return &loginError{kind, web.Cause(err).Error()}
}
