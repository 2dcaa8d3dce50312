package http_test

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/http"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

func TestNetrc(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       [][3]string
	}{
		{"nothing", "", nil},
		{"one", "machine h login ada password x", [][3]string{{"h", "ada", "x"}}},
		{"lines", "machine h\n\tlogin ada\n\tpassword x\nmachine i\nlogin b\npassword y\n", [][3]string{{"h", "ada", "x"}, {"i", "b", "y"}}},
		{"a port", "machine h:8080 login ada password x", [][3]string{{"h:8080", "ada", "x"}}},
		{"the default one is nobody's", "machine h login ada password x default login eve password y", [][3]string{{"h", "ada", "x"}}},
		{"comments", "# machine x\nmachine h # a comment\nlogin ada password x#y", [][3]string{{"h", "ada", "x#y"}}},
		{"quotes", `machine h login "ada l" password "x \" \\ y"`, [][3]string{{"h", "ada l", `x " \ y`}}},
		{"macros", "machine h login ada password x\nmacdef init\nmachine evil\nlogin eve\n\nmachine i login b password y", [][3]string{{"h", "ada", "x"}, {"i", "b", "y"}}},
		{"words that nobody knows", "machine h port 99 account z login ada password x", [][3]string{{"h", "ada", "x"}}},
		{"cut", "machine h login", [][3]string{{"h", "", ""}}},
		{"a quote that is open", `machine h login "ada`, [][3]string{{"h", "ada", ""}}},
	} {
		if got := http.Entries(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHasLogin(t *testing.T) {
	netrc := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(netrc, []byte("machine files.example.org login ada password x\nmachine files.example.org:8443 login ben password y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NETRC", netrc)
	t.Setenv("KEPT_HTTP_HOST", "ci.example.org")
	t.Setenv("KEPT_HTTP_TOKEN", "z")
	for url, want := range map[string]bool{
		"https://files.example.org/x":      true,
		"https://ben@files.example.org/x":  false,
		"https://files.example.org:8443/x": true,
		"https://files.example.org:8444/x": false,
		"https://ci.example.org":           true,
		"http://example.org":               false,
	} {
		u, err := remote.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if has, err := http.HasLogin(u); has != want || err != nil {
			t.Errorf("%s: %v, %v", url, has, err)
		}
	}
}

func FuzzNetrc(f *testing.F) {
	f.Add("machine h login ada password x\nmacdef init\n\nmachine i")
	f.Add(`machine "a b" login "\"" password #`)
	f.Fuzz(func(t *testing.T, text string) {
		entries := http.Entries(text)
		if len(entries) > strings.Count(text, "machine") {
			t.Errorf("%d entries of %q", len(entries), text)
		}
		// What was read means the same when it is written.
		var again strings.Builder
		quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
		for _, e := range entries {
			fmt.Fprintf(&again, "machine \"%s\" login \"%s\" password \"%s\"\n", quote.Replace(e[0]), quote.Replace(e[1]), quote.Replace(e[2]))
		}
		if got := http.Entries(again.String()); !slices.Equal(got, entries) {
			t.Errorf("%q became %q", entries, got)
		}
	})
}

func TestLogin(t *testing.T) {
	const netrc = "machine h login ada password x\nmachine h:81 login b password y\nmachine other login c password z\nmachine h login d password w\n"
	env := map[string]string{"KEPT_HTTP_HOST": "h:81", "KEPT_HTTP_USER": "e", "KEPT_HTTP_PASSWORD": "v"}
	token := map[string]string{"KEPT_HTTP_HOST": "H", "KEPT_HTTP_TOKEN": "t"}
	for _, c := range []struct {
		url  string
		env  map[string]string
		want [3]string
	}{
		{"https://h/x", nil, [3]string{"ada", "x"}},
		{"https://H:443/x", nil, [3]string{"ada", "x"}},
		{"davs://h/x", nil, [3]string{"ada", "x"}},
		{"https://d@h/x", nil, [3]string{"d", "w"}},
		{"https://nobody@h/x", nil, [3]string{}},
		{"https://h:81/x", nil, [3]string{"b", "y"}},
		{"https://h:82/x", nil, [3]string{}},
		{"https://sub.h/x", nil, [3]string{}},
		{"https://h.evil/x", nil, [3]string{}},
		{"https://h:81/x", env, [3]string{"e", "v"}},
		{"https://other/x", env, [3]string{"c", "z"}},
		{"https://h/x", token, [3]string{"", "", "t"}},
		{"https://h:81/x", token, [3]string{"b", "y"}},
	} {
		remotetest.NoLogins(t)
		if err := os.WriteFile(os.Getenv("NETRC"), []byte(netrc), 0o600); err != nil {
			t.Fatal(err)
		}
		for key, value := range c.env {
			t.Setenv(key, value)
		}
		r := open(t, c.url)
		user, password, bearer := http.Login(r)
		if got := [3]string{user, password, bearer}; got != c.want {
			t.Errorf("%s with %v: got %q, want %q", c.url, c.env, got, c.want)
		}
	}
}

// headers are what a server was sent as Authorization, by the path.
type headers map[string]string

func (h headers) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	h[r.URL.Path] = r.Header.Get("Authorization")
	_, _ = w.Write([]byte("x"))
}

func TestRedirect(t *testing.T) {
	remotetest.NoLogins(t)
	seen := headers{}
	other := httptest.NewServer(seen)
	defer other.Close()
	secure := httptest.NewTLSServer(seen)
	defer secure.Close()
	mine := headers{}
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		mine[r.Method+" "+r.URL.Path] = r.Header.Get("Authorization")
		host := r.Host
		switch path.Base(r.URL.Path) {
		case "elsewhere":
			nethttp.Redirect(w, r, other.URL+"/elsewhere", nethttp.StatusFound)
		case "named":
			nethttp.Redirect(w, r, "http://eve:evil@"+strings.TrimPrefix(other.URL, "http://")+"/named", nethttp.StatusFound)
		case "here":
			nethttp.Redirect(w, r, "/there", nethttp.StatusMovedPermanently)
		case "back":
			nethttp.Redirect(w, r, "http://"+host+"/round", nethttp.StatusFound)
		case "round":
			nethttp.Redirect(w, r, "/round", nethttp.StatusFound)
		case "folder":
			nethttp.Redirect(w, r, r.URL.Path+"/", nethttp.StatusMovedPermanently)
		case "there":
			_, _ = w.Write([]byte("x"))
		default:
			nethttp.Redirect(w, r, other.URL+r.URL.Path, nethttp.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	t.Setenv("KEPT_HTTP_HOST", address)
	t.Setenv("KEPT_HTTP_USER", "ada")
	t.Setenv("KEPT_HTTP_PASSWORD", "x")
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ada:x"))
	r := open(t, server.URL)
	for _, c := range []struct {
		name string
		kind error // nil is that it works
	}{
		{"elsewhere", nil},
		{"named", nil},
		{"here", nil},
		{"round", remote.ErrAddress},
		{"back", remote.ErrAddress},
		{"folder", fs.ErrNotExist},
	} {
		_, err := get(t.Context(), r, c.name, 0, -1)
		if c.kind == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.kind != nil {
			wantError(t, err, c.kind)
		}
	}
	for _, path := range []string{"/elsewhere", "/named"} {
		if got, asked := seen[path]; !asked || got != "" {
			t.Errorf("%s: the other server was asked: %v, with %q", path, asked, got)
		}
	}
	if got := mine["GET /there"]; got != basic {
		t.Errorf("the same server was sent %q, want %q", got, basic)
	}
	// Nothing that writes goes elsewhere.
	d := open(t, "dav://"+address+"/remote")
	wantError(t, d.Put(t.Context(), "packs/1", strings.NewReader("x"), 1), remote.ErrAddress, other.URL)
	for path := range seen {
		if path != "/elsewhere" && path != "/named" {
			t.Errorf("the other server was asked for %s", path)
		}
	}
}

func TestRedirectToHTTP(t *testing.T) {
	remotetest.NoLogins(t)
	seen := headers{}
	plain := httptest.NewServer(seen)
	defer plain.Close()
	secure := httptest.NewTLSServer(nethttp.RedirectHandler(plain.URL+"/x", nethttp.StatusFound))
	defer secure.Close()
	r := open(t, secure.URL)
	_, err := get(t.Context(), r, "x", 0, -1)
	if err == nil || remote.Temporary(err) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody knows: %v", err)
	}
	pool := secure.Client().Transport.(*nethttp.Transport).TLSClientConfig.RootCAs
	_, err = get(t.Context(), http.Trust(r, pool), "x", 0, -1)
	wantError(t, err, remote.ErrAddress, "https to http")
	if len(seen) > 0 {
		t.Errorf("it was followed: %v", seen)
	}
}

func TestWrongLogin(t *testing.T) {
	n := remotetest.StartNginx(t)
	_, err := open(t, n.Login).Stat(t.Context(), "packs/1")
	wantError(t, err, remote.ErrCredentials, "no login for "+n.Address, "netrc")
	file := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(file, []byte("machine "+n.Address+" login ada password wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NETRC", file)
	r := open(t, n.Login)
	_, err = r.Stat(t.Context(), "packs/1")
	wantError(t, err, remote.ErrCredentials, file)
	wantError(t, r.Put(t.Context(), "packs/1", strings.NewReader("x"), 1), remote.ErrCredentials)
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the error has the password: %v", err)
	}
}
