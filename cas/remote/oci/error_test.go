package oci

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

func do(r remote.Remote, op string) error {
	ctx := context.Background()
	switch op {
	case "put":
		return r.Put(ctx, file, strings.NewReader("hello"), 5)
	case "get":
		_, err := read(r, file, 0, -1)
		return err
	case "stat":
		_, err := r.Stat(ctx, file)
		return err
	case "list":
		return r.List(ctx, "", func(remote.Info) error { return nil })
	case "delete":
		return r.Delete(ctx, file)
	}
	return errors.New(op)
}

func TestResponses(t *testing.T) {
	code := func(code string) string { return `{"errors":[{"code":"` + code + `","message":"so it is"}]}` }
	for _, c := range []struct {
		name   string
		op     string
		status int
		body   string
		want   error
	}{
		{"no manifest", "get", 404, code("MANIFEST_UNKNOWN"), fs.ErrNotExist},
		{"no manifest for stat", "stat", 404, "", fs.ErrNotExist},
		{"no repository for stat", "stat", 404, code("NAME_UNKNOWN"), fs.ErrNotExist},
		{"no repository for get", "get", 404, code("NAME_UNKNOWN"), fs.ErrNotExist},
		{"no repository for delete", "delete", 404, code("NAME_UNKNOWN"), nil},
		{"no repository for list", "list", 404, code("NAME_UNKNOWN"), nil},
		{"repository has to be made first", "put", 404, code("NAME_UNKNOWN"), remote.ErrNoRemote},
		{"bad repository", "put", 400, code("NAME_INVALID"), remote.ErrNoRemote},
		{"credentials wanted, none there", "get", 401, code("UNAUTHORIZED"), remote.ErrCredentials},
		{"denied, nobody logged in", "put", 403, code("DENIED"), remote.ErrCredentials},
		{"forbidden, nobody logged in", "put", 403, "", remote.ErrCredentials},
		{"too many", "get", 429, code("TOOMANYREQUESTS"), remote.ErrTemporary},
		{"too many, by a proxy", "list", 429, "<html>", remote.ErrTemporary},
		{"server error", "stat", 500, "", remote.ErrTemporary},
		{"bad gateway", "put", 502, "<html>", remote.ErrTemporary},
		{"unavailable", "get", 503, code("UNAVAILABLE"), remote.ErrTemporary},
		{"read-only registry", "put", 405, code("UNSUPPORTED"), remote.ErrReadOnly},
		{"no delete", "delete", 405, code("UNSUPPORTED"), remote.ErrUnsupported},
		{"no delete, plainly", "delete", 405, "", remote.ErrUnsupported},
		{"too large", "put", 413, "<html>", remote.ErrFull},
		{"no room", "put", 507, "", remote.ErrFull},
		{"altered on the way", "put", 400, code("DIGEST_INVALID"), remote.ErrTemporary},
		{"upload forgotten", "put", 404, code("BLOB_UPLOAD_UNKNOWN"), remote.ErrTemporary},
		{"blob collected meanwhile", "put", 400, code("MANIFEST_BLOB_UNKNOWN"), remote.ErrTemporary},
	} {
		t.Run(c.name, func(t *testing.T) {
			noLogins(t)
			r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
				w.Header().Set("Retry-After", "7")
				if c.op == "delete" && req.Method != http.MethodDelete && c.status != 404 {
					return false
				}
				if c.op == "put" && req.Method == http.MethodHead {
					return false // whether the blob is there
				}
				http.Error(w, c.body, c.status)
				return true
			})
			err := do(r, c.op)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			var e *remote.Error
			if err != nil && (!errors.As(err, &e) || e.Op != c.op || e.After != 7*time.Second || strings.Contains(err.Error(), "<html>")) {
				t.Errorf("%+v", err)
			}
		})
	}
}

func TestResponsesWhenLoggedIn(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		header string
		body   string
		want   error
	}{
		{"wrong password", 401, `Basic realm="x"`, `{"errors":[{"code":"UNAUTHORIZED"}]}`, remote.ErrCredentials},
		{"denied", 403, "", `{"errors":[{"code":"DENIED"}]}`, remote.ErrDenied},
		{"denied with 401", 401, `Basic realm="x"`, `{"errors":[{"code":"DENIED"}]}`, remote.ErrDenied},
		{"good for something else", 401, `Bearer realm="http://127.0.0.1/",error="insufficient_scope"`, "", remote.ErrDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			var server *httptest.Server
			server = httptest.NewServer(fake(func(w http.ResponseWriter, req *http.Request) bool {
				switch {
				case req.URL.Path == "/token":
					_, _ = w.Write([]byte(`{"token":"t"}`))
				case req.Header.Get("Authorization") == "" && strings.HasPrefix(c.header, "Bearer"):
					w.Header().Set("WWW-Authenticate", `Bearer realm="`+server.URL+`/token"`)
					w.WriteHeader(http.StatusUnauthorized)
				case req.Header.Get("Authorization") == "":
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
					w.WriteHeader(http.StatusUnauthorized)
				default:
					w.Header().Set("WWW-Authenticate", c.header)
					http.Error(w, c.body, c.status)
				}
				return true
			}))
			t.Cleanup(server.Close)
			host := strings.TrimPrefix(server.URL, "http://")
			remotetest.UseDockerConfig(t, map[string]string{host: "ada:secret-word"})
			for _, op := range []string{"put", "stat", "get", "list", "delete"} {
				err := do(openAt(t, host, nil), op)
				// A HEAD has no body, so its status is all that is known.
				if op != "stat" && op != "delete" && op != "put" && !errors.Is(err, c.want) || err == nil {
					t.Errorf("%s: %v, want %v", op, err, c.want)
				}
				if err != nil && strings.Contains(err.Error(), "secret-word") {
					t.Errorf("%s tells the password: %v", op, err)
				}
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	noLogins(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := do(openAt(t, l.Addr().String(), nil), "stat"); !errors.Is(err, remote.ErrTemporary) {
		t.Errorf("refused: %v", err)
	}

	r := openAt(t, "registry.test", nil)
	through(r, "").DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "registry.test", IsNotFound: true}
	}
	if err := do(r, "stat"); !errors.Is(err, remote.ErrNoRemote) || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("no such host: %v", err)
	}
}

func TestWrongScheme(t *testing.T) {
	noLogins(t)
	_, plain := serve(t, nil)
	host := strings.TrimPrefix(plain.URL, "http://")
	err := do(openAt(t, host, remote.Settings{"insecure": "false"}), "stat")
	if err == nil || remote.Temporary(err) || !strings.Contains(err.Error(), `speaks plain HTTP: insecure = "true" allows that`) {
		t.Errorf("https to a server without: %v", err)
	}

	secure := httptest.NewTLSServer(fake(nil))
	t.Cleanup(secure.Close)
	host = strings.TrimPrefix(secure.URL, "https://")
	err = do(openAt(t, host, nil), "stat")
	if err == nil || remote.Temporary(err) || !strings.Contains(err.Error(), `may speak HTTPS`) {
		t.Errorf("http to a server with TLS: %v", err)
	}
	err = do(openAt(t, host, remote.Settings{"insecure": "false"}), "stat")
	if err == nil || remote.Temporary(err) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody's: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		url  remote.URL
		set  remote.Settings
		want string
	}{
		{remote.URL{Host: "registry.test"}, nil, "want oci://HOST/REPOSITORY"},
		{remote.URL{Host: "registry.test", Path: "Team/models"}, nil, "small letters"},
		{remote.URL{Host: "registry.test", Path: "team/models:v1"}, nil, "small letters"},
		{remote.URL{Host: "registry.test", Path: "team", User: "ada"}, nil, "docker login"},
		{remote.URL{Host: "registry.test", Path: "team"}, remote.Settings{"insecure": "yes"}, `want "true" or "false"`},
		{remote.URL{Host: "registry.test", Path: "team"}, remote.Settings{"password": "x"}, `unknown setting "password"`},
	} {
		c.url.Scheme = "oci"
		_, err := Open(context.Background(), &c.url, c.set)
		var e *remote.Error
		if !errors.As(err, &e) || e.Op != "open" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, want %q", &c.url, c.set, err, c.want)
		}
	}
}

func TestHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"EOF": "EOF",
		`Get "https://storage.test/x?sig=abc&t=1": EOF`: `Get "https://storage.test/x?…": EOF`,
		"why? https://a.test/b?c d":                     "why?… https://a.test/b?… d",
		"one\x1b[2Jtwo\nthree\u202e":                    "one [2Jtwo three ",
		"why?":                                          "why?",
	} {
		if got := harmless(text); got != want {
			t.Errorf("harmless(%q) = %q, want %q", text, got, want)
		}
	}
	if got := harmless(strings.Repeat("x", 10_000)); len(got) > maxText+10 {
		t.Errorf("%d bytes", len(got))
	}
}
