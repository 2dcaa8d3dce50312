package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// tokenRegistry is a fake registry that wants tokens, and its token server.
type tokenRegistry struct {
	*repository
	mu     sync.Mutex
	tokens []*http.Request
	forms  []url.Values
	// good is the token that is taken now.
	good string
	// scope is that of the challenge; what is empty is not said.
	scope string
}

func serveTokens(t *testing.T, more func(w http.ResponseWriter, r *http.Request) bool) *tokenRegistry {
	t.Helper()
	tr := &tokenRegistry{good: "token-1"}
	var server *httptest.Server
	tr.repository, server = serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if r.URL.Path == "/token" {
			_ = r.ParseForm()
			tr.tokens, tr.forms = append(tr.tokens, r), append(tr.forms, r.PostForm)
			_ = json.NewEncoder(w).Encode(map[string]string{"access_token": tr.good})
			return true
		}
		if r.Header.Get("Authorization") == "Bearer "+tr.good {
			return more != nil && more(w, r)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		challenge := fmt.Sprintf(`Bearer realm="http://%s/token?a=b",service="the, \"service\""`, r.Host)
		if tr.scope != "" {
			challenge += `,scope="` + tr.scope + `"`
		}
		w.Header().Add("WWW-Authenticate", `Negotiate abc==, Basic realm="x"`)
		w.Header().Add("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	_ = server
	return tr
}

func TestTokenOfAPassword(t *testing.T) {
	tr := serveTokens(t, nil)
	tr.scope = "repository:team/models:pull,delete registry:catalog:*"
	remotetest.UseDockerConfig(t, map[string]string{tr.creds.host: "ada:secret-word"})
	for _, good := range []string{"token-1", "token-2"} { // the second is wanted when the first has ended
		tr.good = good
		for range 2 {
			if got, err := read(tr, file, 0, 4); err != nil || string(got) != "0123" {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}
	if len(tr.tokens) != 2 {
		t.Fatalf("%d tokens", len(tr.tokens))
	}
	req, query := tr.tokens[0], tr.tokens[0].URL.Query()
	want := []string{"registry:catalog:*", "repository:team/models:delete,pull"}
	if req.Method != http.MethodGet || req.Header.Get("Authorization") != basic("ada:secret-word") ||
		query.Get("a") != "b" || query.Get("service") != `the, "service"` || !slices.Equal(query["scope"], want) {
		t.Errorf("%s %s %v", req.Method, req.URL, req.Header)
	}
}

func TestTokenOfATokenOfDockers(t *testing.T) {
	tr := serveTokens(t, nil)
	path := remotetest.UseDockerConfig(t, nil)
	write(t, path, `{"auths":{"`+tr.creds.host+`":{"identitytoken":"refresh-me"}}}`, 0o600)
	if _, err := tr.Stat(context.Background(), file); err != nil {
		t.Fatal(err)
	}
	want := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"refresh-me"}, "service": {`the, "service"`},
		"client_id": {"kept"}, "scope": {"repository:team/models:pull"}}
	if len(tr.tokens) != 1 || tr.tokens[0].Method != http.MethodPost || tr.forms[0].Encode() != want.Encode() {
		t.Errorf("%v", tr.forms)
	}

	write(t, path, `{"auths":{"`+tr.creds.host+`":{"registrytoken":"token-1"}}}`, 0o600)
	tr.tokens = nil
	r := openAt(t, tr.creds.host, nil)
	if _, err := r.Stat(context.Background(), file); err != nil || len(tr.tokens) != 0 {
		t.Errorf("%v, and %d tokens asked for", err, len(tr.tokens))
	}
	tr.good = "another"
	if _, err := r.Stat(context.Background(), file); !errors.Is(err, remote.ErrCredentials) {
		t.Errorf("a token that has ended: %v", err)
	}
}

// A token that ends between two requests of a Put makes the body go once more.
func TestTokenEndsWithinAPut(t *testing.T) {
	noLogins(t)
	var bodies []string
	tr := (*tokenRegistry)(nil)
	tr = serveTokens(t, func(w http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodPost:
			w.Header().Set("Location", "../uploads/1?_state=a%2Bb")
			w.WriteHeader(http.StatusAccepted)
			tr.good += "x" // the one that asks for this was the last
		case r.Method == http.MethodPut:
			if strings.Contains(r.URL.Path, "/uploads/") && (r.URL.Query().Get("_state") != "a+b" || r.URL.Query().Get("digest") == "") {
				t.Error(r.URL)
			}
			bodies = append(bodies, string(body))
			w.WriteHeader(http.StatusCreated)
		default:
			return false
		}
		return true
	})
	if err := tr.Put(context.Background(), file, strings.NewReader("hello"), 5); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 3 || bodies[0] != "{}" || bodies[1] != "hello" || !strings.HasPrefix(bodies[2], "{") {
		t.Errorf("%q", bodies)
	}
}

func TestOneTokenForMany(t *testing.T) {
	noLogins(t)
	tr := serveTokens(t, nil)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := read(tr, file, 0, 4); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(tr.tokens) != 1 {
		t.Errorf("%d tokens", len(tr.tokens))
	}
}

func TestPasswordIsAskedForOnce(t *testing.T) {
	asked := 0
	r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
		asked++
		return asks("ada:secret-word")(w, req)
	})
	remotetest.UseDockerConfig(t, map[string]string{r.creds.host: "ada:secret-word"})
	for range 3 {
		if _, err := r.Stat(context.Background(), "packs/none.pack"); !remoteMissing(err) {
			t.Fatal(err)
		}
	}
	if asked != 4 {
		t.Errorf("%d requests for three", asked)
	}
	// A wrong one is not sent twice for nothing.
	remotetest.UseDockerConfig(t, map[string]string{r.creds.host: "ada:other-word"})
	wrong := openAt(t, r.creds.host, nil)
	asked = 0
	for range 3 {
		if _, err := wrong.Stat(context.Background(), file); !errors.Is(err, remote.ErrCredentials) {
			t.Fatal(err)
		}
	}
	if asked != 4 {
		t.Errorf("%d requests for three with a wrong password", asked)
	}
}

func remoteMissing(err error) bool {
	var e *remote.Error
	return errors.As(err, &e) && e.Kind != nil && strings.Contains(e.Kind.Error(), "not exist")
}

func TestTokenServersOfAllKinds(t *testing.T) {
	for _, c := range []struct {
		name, realm, answer string
		status              int
		want                error
	}{
		{"none is named", "", "", 0, nil},
		{"no URL", "/token", "", 0, nil},
		{"another scheme", "ftp://127.0.0.1/", "", 0, nil},
		{"no token", "http://HOST/token", `{}`, 200, nil},
		{"no JSON", "http://HOST/token", `<html>`, 200, nil},
		{"password is wrong", "http://HOST/token", `{"errors":[{"code":"UNAUTHORIZED"}]}`, 401, remote.ErrCredentials},
		{"busy", "http://HOST/token", ``, 503, remote.ErrTemporary},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
				if req.URL.Path == "/token" {
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.answer)
					return true
				}
				w.Header().Set("WWW-Authenticate", `Bearer realm="`+strings.Replace(c.realm, "HOST", req.Host, 1)+`"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			})
			remotetest.UseDockerConfig(t, map[string]string{r.creds.host: "ada:secret-word"})
			_, err := r.Stat(context.Background(), file)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || c.want == nil && remote.Temporary(err) || strings.Contains(err.Error(), "secret-word") {
				t.Error(err)
			}
		})
	}
}

func TestTokenServerSendsOn(t *testing.T) {
	other := record(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"token":"abc"}`)) })
	for _, c := range []struct {
		name, entry string
		asked       bool
	}{
		{"a password", `{"auth":"` + strings.TrimPrefix(basic("ada:secret-word"), "Basic ") + `"}`, true},
		{"a token of docker's", `{"identitytoken":"refresh-me"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			other.seen = nil
			r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
				if req.URL.Path == "/token" {
					http.Redirect(w, req, other.URL, http.StatusTemporaryRedirect)
					return true
				}
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+req.Host+`/token"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			})
			write(t, remotetest.UseDockerConfig(t, nil), `{"auths":{"`+r.creds.host+`":`+c.entry+`}}`, 0o600)
			_, err := r.Stat(context.Background(), file)
			if err == nil || remote.Temporary(err) || (len(other.seen) > 0) != c.asked {
				t.Errorf("%v, %d requests to elsewhere", err, len(other.seen))
			}
			for _, req := range other.seen {
				if req.Header.Get("Authorization") != "" {
					t.Error("it was sent the password")
				}
			}
		})
	}
}

// What is put goes to no other place, with or without credentials.
func TestPutThatIsSentOn(t *testing.T) {
	noLogins(t)
	other := record(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
		switch req.Method {
		case http.MethodPost:
			w.Header().Set("Location", "/upload")
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPut:
			http.Redirect(w, req, other.URL+"/x", http.StatusTemporaryRedirect)
		default:
			return false
		}
		return true
	})
	err := r.Put(context.Background(), file, strings.NewReader("hello"), 5)
	if !errors.Is(err, errElsewhere) || remote.Temporary(err) || len(other.seen) != 0 {
		t.Errorf("%v, and %d requests to elsewhere", err, len(other.seen))
	}
}

func TestRedirectThatComesBack(t *testing.T) {
	var back string
	between := record(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, back, http.StatusFound) })
	leaked := false
	r, server := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path == "/back" {
			leaked = req.Header.Get("Authorization") != ""
			return false
		}
		if asks("ada:secret-word")(w, req) {
			return true
		}
		http.Redirect(w, req, between.URL, http.StatusFound)
		return true
	})
	back = server.URL + "/back"
	remotetest.UseDockerConfig(t, map[string]string{r.creds.host: "ada:secret-word"})
	if _, err := r.Stat(context.Background(), file); err == nil || leaked || between.seen[0].Header.Get("Authorization") != "" {
		t.Errorf("%v, leaked: %v", err, leaked)
	}
}

func TestMergeScopes(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"repository:a:pull":      "repository:a:pull",
		"repository:a:push,pull": "repository:a:pull,push",
		"repository:a:pull repository:a:push,pull repository:b:pull": "repository:a:pull,push repository:b:pull",
		"repository:h:5000/a:pull repository:h:5000/a:*":             "repository:h:5000/a:*",
		"repository:a: aws x:y":                                      "aws x:y",
	} {
		if got := strings.Join(mergeScopes(strings.Fields(in)), " "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestRealms(t *testing.T) {
	for realm, ok := range map[string]bool{
		"https://192.0.2.1/token":             true,
		"https://10.0.0.1/token":              true,
		"https://[2001:db8::1]/token":         true,
		"http://192.0.2.1/token":              false,
		"https://registry.test:99/token":      true,
		"https://127.0.0.1/token":             false,
		"https://0.0.0.0/":                    false,
		"https://0.1.2.3/":                    false,
		"https://169.254.169.254/latest":      false,
		"https://100.100.100.200/":            false,
		"https://168.63.129.16/":              false,
		"https://[::1]/":                      false,
		"https://[::]/":                       false,
		"https://[fe80::1%25eth0]/":           false,
		"https://[fd00:ec2::254]/":            false,
		"https://[::ffff:127.0.0.1]/":         false,
		"https://[64:ff9b::169.254.169.254]/": false,
		"https://[2002:7f00:1::]/":            false,
		"https://localhost/":                  false,
		"":                                    false,
		"registry.test/token":                 false,
	} {
		_, err := parseRealm(context.Background(), realm, &url.URL{Scheme: "https", Host: "registry.test"})
		if (err == nil) != ok {
			t.Errorf("%s: %v", realm, err)
		}
	}
}
