package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxToken is more than any answer with a token has.
const maxToken = 128 << 10

// token asks the token server that c names for a token that allows actions. It is sent
// the credentials of the registry and no others, as the registry could ask for them itself;
// without any, it may have a token for everybody.
func (a *auth) token(ctx context.Context, c challenge, actions string) (string, error) {
	realm, err := parseRealm(ctx, c.params["realm"], a.registry)
	if err != nil {
		return "", err
	}
	cred, err := a.creds.get(ctx)
	if err != nil {
		return "", err
	}
	if cred.access != "" {
		return cred.access, nil
	}
	scopes := mergeScopes(append(strings.Fields(c.params["scope"]), a.scope+actions))
	req, err := tokenRequest(ctx, realm, c.params["service"], scopes, cred)
	if err != nil {
		return "", err
	}
	resp, err := send(a.tokenClient(), req)
	if err != nil {
		return "", err
	}
	defer drop(resp)
	if resp.StatusCode != http.StatusOK {
		return "", answer(resp)
	}
	return readToken(resp.Body, realm.Host)
}

// tokenClient is the client, with a look at each address that a token server sends on to.
func (a *auth) tokenClient() *http.Client {
	client := *a.http
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if err := checkRealm(req.Context(), req.URL, a.registry); err != nil {
			return err
		}
		return checkRedirect(req, via)
	}
	return &client
}

// tokenRequest is a GET with the password, or a POST with what docker calls an identity token.
func tokenRequest(ctx context.Context, realm *url.URL, service string, scopes []string, cred credential) (*http.Request, error) {
	if cred.refresh != "" {
		form := url.Values{
			"grant_type":    {"refresh_token"},
			"refresh_token": {cred.refresh},
			"service":       {service},
			"client_id":     {userAgent},
			"scope":         {strings.Join(scopes, " ")},
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, realm.String(), strings.NewReader(form.Encode()))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return req, err
	}
	at := *realm
	query := at.Query()
	if service != "" {
		query.Set("service", service)
	}
	for _, scope := range scopes {
		query.Add("scope", scope)
	}
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err == nil && (cred.user != "" || cred.password != "") {
		req.SetBasicAuth(cred.user, cred.password)
	}
	return req, err
}

func readToken(body io.Reader, host string) (string, error) {
	var said struct {
		Token  string `json:"token"`
		Access string `json:"access_token"` // the same, for who speaks OAuth
	}
	if err := json.NewDecoder(io.LimitReader(body, maxToken)).Decode(&said); err != nil {
		return "", fmt.Errorf("token of %s: %w", host, err)
	}
	token := said.Access
	if token == "" {
		token = said.Token
	}
	if token == "" {
		return "", fmt.Errorf("token of %s: there is none in its answer", host)
	}
	return token, nil
}

// mergeScopes makes one scope of those that are for the same thing, so that a set of
// them is always asked for in the same words.
func mergeScopes(scopes []string) []string {
	var merged []string
	actions := make(map[string][]string)
	for _, scope := range scopes {
		end := strings.LastIndexByte(scope, ':')
		if end <= strings.IndexByte(scope, ':') {
			merged = append(merged, scope) // not type:name:actions
			continue
		}
		actions[scope[:end]] = append(actions[scope[:end]], strings.Split(scope[end+1:], ",")...)
	}
	for thing, all := range actions {
		all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
		if slices.Contains(all, "*") {
			all = []string{"*"}
		}
		slices.Sort(all)
		if len(all) > 0 {
			merged = append(merged, thing+":"+strings.Join(slices.Compact(all), ","))
		}
	}
	slices.Sort(merged)
	return slices.Compact(merged)
}
