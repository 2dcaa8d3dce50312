package oci

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// asks answers 401 to whoever does not give these credentials.
func asks(user string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == basic(user) {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

func basic(user string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(user)) }

// recorder is a server that notes what it was asked.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

func record(t *testing.T, handler http.HandlerFunc) *recorder {
	t.Helper()
	r := new(recorder)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.seen = append(r.seen, req)
		r.mu.Unlock()
		handler(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) host() string { return strings.TrimPrefix(r.URL, "http://") }

func TestRedirectLeavesCredentialsBehind(t *testing.T) {
	storage := record(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(fakeFile()))
	})
	registry := record(t, nil)
	registry.Config.Handler = fake(func(w http.ResponseWriter, r *http.Request) bool {
		if asks("ada:secret-word")(w, r) {
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, storage.URL+"/bucket/blob?X-Amz-Signature=signed", http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	// The storage has credentials of its own in the file. They are none of the registry's business.
	remotetest.UseDockerConfig(t, map[string]string{registry.host(): "ada:secret-word", storage.host(): "eve:other-word"})
	got, err := read(openAt(t, registry.host(), nil), file, 15, 10)
	if err != nil || string(got) != "5678901234" {
		t.Fatalf("%q, %v", got, err)
	}
	if len(storage.seen) != 1 {
		t.Fatalf("%d requests for one range", len(storage.seen))
	}
	if h := storage.seen[0].Header; h.Get("Authorization") != "" || h.Get("Range") != "bytes=15-24" || h.Get("Cookie") != "" {
		t.Errorf("storage was sent %v", h)
	}
}

func TestRedirectThatAsksForCredentialsGetsNone(t *testing.T) {
	storage := record(t, func(w http.ResponseWriter, r *http.Request) { asks("nobody:knows")(w, r) })
	registry, _ := serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		http.Redirect(w, r, storage.URL+"/blob?sig=signed-text", http.StatusFound)
		return true
	})
	remotetest.UseDockerConfig(t, map[string]string{registry.creds.host: "ada:secret-word", storage.host(): "eve:other-word"})
	_, err := read(registry, file, 0, -1)
	if !errors.Is(err, remote.ErrCredentials) || strings.Contains(err.Error(), "signed-text") || !strings.Contains(err.Error(), storage.host()) {
		t.Error(err)
	}
	for _, req := range storage.seen {
		if req.Header.Get("Authorization") != "" {
			t.Error("storage was sent credentials")
		}
	}
}

func TestRedirectOutOfEncryption(t *testing.T) {
	noLogins(t)
	storage := record(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(fakeFile()) })
	secure := httptest.NewTLSServer(fake(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		http.Redirect(w, r, storage.URL, http.StatusTemporaryRedirect)
		return true
	}))
	t.Cleanup(secure.Close)
	r := openAt(t, "registry.test", nil)
	through(r, secure.Listener.Addr().String())
	if _, err := read(r, file, 0, -1); !errors.Is(err, errDowngrade) || remote.Temporary(err) {
		t.Error(err)
	}
	if len(storage.seen) != 0 {
		t.Error("storage was asked")
	}
}

func TestUploadGoesToTheRegistryOnly(t *testing.T) {
	other := record(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	registry := record(t, nil)
	registry.Config.Handler = fake(func(w http.ResponseWriter, r *http.Request) bool {
		if asks("ada:secret-word")(w, r) {
			return true
		}
		if r.Method != http.MethodPost {
			return false
		}
		w.Header().Set("Location", other.URL+"/upload?_state=signed-text")
		w.WriteHeader(http.StatusAccepted)
		return true
	})
	remotetest.UseDockerConfig(t, map[string]string{registry.host(): "ada:secret-word"})
	err := openAt(t, registry.host(), nil).Put(context.Background(), file, strings.NewReader("hello"), 5)
	if err == nil || len(other.seen) != 0 || strings.Contains(err.Error(), "signed-text") {
		t.Errorf("%v, and %d requests to elsewhere", err, len(other.seen))
	}
}

// A token server is sent the credentials of the registry that names it, as docker does,
// for the registry could as well ask for them itself; and never those of another host.
func TestTokenServer(t *testing.T) {
	tokens := record(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"token":"abc"}`)) })
	challenge := fmt.Sprintf(`Bearer realm="%s/token",service="test",scope="repository:team/models:pull"`, tokens.URL)
	bearer := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer abc" {
			return false
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	registry, _ := serve(t, bearer)
	host := registry.creds.host
	for _, c := range []struct {
		name   string
		logins map[string]string
		want   string
	}{
		{"logged in to both", map[string]string{host: "ada:secret-word", tokens.host(): "eve:other-word"}, basic("ada:secret-word")},
		{"logged in to the token server alone", map[string]string{tokens.host(): "eve:other-word"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			remotetest.UseDockerConfig(t, c.logins)
			tokens.seen = nil
			r := openAt(t, host, nil)
			for range 3 {
				if got, err := read(r, file, 0, 10); err != nil || string(got) != "0123456789" {
					t.Fatalf("%q, %v", got, err)
				}
			}
			if len(tokens.seen) != 1 {
				t.Fatalf("%d tokens for one repository", len(tokens.seen))
			}
			req := tokens.seen[0]
			if got := req.Header.Get("Authorization"); got != c.want || req.URL.Query().Get("scope") != "repository:team/models:pull" {
				t.Errorf("the token server was sent %q for %s", got, req.URL)
			}
		})
	}
	t.Run("without encryption, of a registry with", func(t *testing.T) {
		secure := httptest.NewTLSServer(fake(bearer))
		t.Cleanup(secure.Close)
		remotetest.UseDockerConfig(t, map[string]string{"registry.test": "ada:secret-word"})
		tokens.seen = nil
		r := openAt(t, "registry.test", nil)
		through(r, secure.Listener.Addr().String())
		if _, err := r.Stat(context.Background(), file); err == nil || len(tokens.seen) != 0 {
			t.Errorf("%v, and %d requests", err, len(tokens.seen))
		}
	})
}

func TestCredentialsNeedEncryption(t *testing.T) {
	registry := record(t, nil)
	registry.Config.Handler = fake(asks("ada:secret-word"))
	open := func() *repository {
		r := openAt(t, "registry.test:5000", remote.Settings{"insecure": "true"})
		through(r, registry.Listener.Addr().String())
		return r
	}
	remotetest.UseDockerConfig(t, map[string]string{"registry.test:5000": "ada:secret-word"})
	_, err := open().Stat(context.Background(), file)
	if !errors.Is(err, remote.ErrCredentials) || !strings.Contains(err.Error(), "KEPT_OCI_INSECURE=registry.test:5000 allows it") {
		t.Error(err)
	}
	t.Setenv(plainHosts, "other.test,registry.test:5000")
	if size, err := open().Stat(context.Background(), file); err != nil || size != int64(len(fakeFile())) {
		t.Error(size, err)
	}
}

func TestCredentialHelper(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helper here is a shell script")
	}
	r, server := serve(t, asks("ada:secret-word"))
	config := remotetest.UseDockerConfig(t, nil)
	folder := t.TempDir()
	host := strings.TrimPrefix(server.URL, "http://")
	script := "#!/bin/sh\nread -r host\n" +
		"[ \"$1 $host\" = 'get " + host + "' ] && echo '{\"Username\":\"ada\",\"Secret\":\"secret-word\"}' && exit\n" +
		"echo 'credentials not found in native keychain'; exit 1\n"
	write(t, filepath.Join(folder, "docker-credential-test"), script, 0o755)
	write(t, config, `{"credHelpers": {"`+host+`": "test"}}`, 0o600)
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	if _, err := r.Stat(context.Background(), file); err != nil {
		t.Error(err)
	}

	write(t, config, `{"credsStore": "not-there"}`, 0o600)
	_, err := openAt(t, host, nil).Stat(context.Background(), file)
	if !errors.Is(err, remote.ErrCredentials) || !strings.Contains(err.Error(), "docker-credential-not-there") {
		t.Error(err)
	}
}

func TestConfigFiles(t *testing.T) {
	_, server := serve(t, asks("ada:secret-word"))
	host := strings.TrimPrefix(server.URL, "http://")
	auths := `{"auths": {"` + host + `": {"auth": "` + strings.TrimPrefix(basic("ada:secret-word"), "Basic ") + `"}}}`
	for _, c := range []struct {
		name, path, text string
		want             string
	}{
		{"docker's", ".docker/config.json", auths, ""},
		{"podman's", ".config/containers/auth.json", auths, ""},
		{"none", "none", auths, "nobody is logged in to " + host},
		{"broken", ".docker/config.json", `{"auths": [`, "config.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			t.Setenv("HOME", home)
			t.Setenv("USERPROFILE", home)
			for _, name := range []string{"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"} {
				t.Setenv(name, "")
			}
			path := filepath.Join(home, filepath.FromSlash(c.path))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, path, c.text, 0o600)
			_, err := openAt(t, host, nil).Stat(context.Background(), file)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.Is(err, remote.ErrCredentials) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	t.Run("relative", func(t *testing.T) {
		t.Setenv("DOCKER_CONFIG", "config")
		_, err := openAt(t, host, nil).Stat(context.Background(), file)
		if !errors.Is(err, remote.ErrCredentials) || !strings.Contains(err.Error(), "absolute") {
			t.Error(err)
		}
	})
}

func TestGetFromRegistriesOfAllKinds(t *testing.T) {
	data := fakeFile()
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
	}{
		{"knows no ranges", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }, nil},
		{"sends in chunks", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(data[:40])
			w.(http.Flusher).Flush()
			_, _ = w.Write(data[40:])
		}, nil},
		{"ends early", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = w.Write(data[:300])
		}, remote.ErrShort},
		{"has too little", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data[:300]) }, remote.ErrShort},
		{"breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			_, _ = w.Write(data[:300])
			panic(http.ErrAbortHandler)
		}, remote.ErrTemporary},
		{"sends another range", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-499/1000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[:500])
		}, remote.ErrShort},
		{"sends half of the range", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 200-299/1000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[200:300])
		}, remote.ErrShort},
		{"lost the blob", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			noLogins(t)
			r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
				blob := strings.Contains(req.URL.Path, "/blobs/")
				if blob {
					c.answer(w, req)
				}
				return blob
			})
			got, err := read(r, file, 200, 500)
			if !errors.Is(err, c.want) || c.want == nil && !bytes.Equal(got, data[200:700]) {
				t.Errorf("%d bytes, %v, want %v", len(got), err, c.want)
			}
		})
	}
}

func TestForeignManifests(t *testing.T) {
	noLogins(t)
	for _, text := range []string{
		`{}`, `[`, `{"schemaVersion":2,"layers":[{"digest":"sha256:00","size":3}]}`,
		`{"artifactType":"application/vnd.kept.file.v1","layers":[{"digest":"../../x","size":3}]}`,
	} {
		r, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			_, _ = io.WriteString(w, text)
			return true
		})
		if _, err := read(r, file, 0, -1); err == nil || errors.Is(err, fs.ErrNotExist) || remote.Temporary(err) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestListLeavesOutForeignTags(t *testing.T) {
	noLogins(t)
	r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
		page := `{"tags":["packsZ00.pack","V1.0","rootsZff","packsZ.x"]}`
		if req.URL.Query().Get("last") == "" {
			w.Header().Set("Link", `</v2/team/models/tags/list?n=1000&last=x>; rel="next"`)
		} else {
			page = `{"tags":["packsZ01.pack","sha256-00.sig"]}`
		}
		_, _ = io.WriteString(w, page)
		return true
	})
	var got []string
	err := r.List(context.Background(), "packs/", func(i remote.Info) error {
		got = append(got, fmt.Sprint(i.Name, i.Size))
		return nil
	})
	if want := []string{"packs/00.pack-1", "packs/01.pack-1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	stop := errors.New("stop")
	if err := r.List(context.Background(), "", func(remote.Info) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestListFollowsLinks(t *testing.T) {
	noLogins(t)
	other := record(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"tags":["packsZ03"]}`)) })
	for link, want := range map[string]string{
		`</v2/team/models/tags/list?last=x&n=2>; rel="next"`: "",
		`<` + other.URL + `/v2/>; rel="next"`:                "elsewhere",
		`/v2/`:                                               "no link",
		`<%zz>`:                                              "elsewhere",
	} {
		r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
			if req.URL.Query().Get("last") == "x" {
				_, _ = w.Write([]byte(`{"tags":["packsZ02"]}`))
				return true
			}
			w.Header().Set("Link", link)
			_, _ = w.Write([]byte(`{"tags":["packsZ00","packsZ01"]}`))
			return true
		})
		var names []string
		err := r.List(context.Background(), "", func(i remote.Info) error { names = append(names, i.Name); return nil })
		switch {
		case want == "" && (err != nil || !slices.Equal(names, []string{"packs/00", "packs/01", "packs/02"})):
			t.Errorf("%v, %v", names, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, %v", link, names, err)
		}
	}
	if len(other.seen) != 0 {
		t.Error("the other server was asked")
	}
}

// Some registries give no link to the next page, and some ignore where to begin.
func TestListOfManyTags(t *testing.T) {
	noLogins(t)
	var all []string
	for i := range 2*pageSize + 100 {
		all = append(all, fmt.Sprintf("packsZ%06d", i))
	}
	for _, c := range []struct {
		name string
		page func(last string) []string
	}{
		{"without links", func(last string) []string {
			from, _ := slices.BinarySearch(all, last+"!")
			return all[from:min(from+pageSize, len(all))]
		}},
		{"all at once", func(string) []string { return all }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
				_ = json.NewEncoder(w).Encode(map[string]any{"tags": c.page(req.URL.Query().Get("last"))})
				return true
			})
			seen := map[string]int{}
			err := r.List(context.Background(), "packs/", func(i remote.Info) error { seen[i.Name]++; return nil })
			if err != nil || len(seen) != len(all) || seen["packs/000000"] != 1 {
				t.Errorf("%d of %d, %v", len(seen), len(all), err)
			}
		})
	}
}

func TestDeleteInRegistriesOfAllKinds(t *testing.T) {
	for _, c := range []struct {
		name         string
		tag, digest  int
		want         error
		wantRequests int
	}{
		{"both", 202, 202, nil, 3},
		{"tags only", 202, 405, nil, 3},
		{"manifests only", 405, 202, nil, 3},
		{"manifests only, a tag is a bad request", 400, 202, nil, 3},
		{"tag and manifest are one", 202, 404, nil, 3},
		{"none", 405, 405, remote.ErrUnsupported, 3},
		{"not allowed", 403, 202, remote.ErrCredentials, 2},
		{"busy", 202, 503, remote.ErrTemporary, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			noLogins(t)
			requests := 0
			r, _ := serve(t, func(w http.ResponseWriter, req *http.Request) bool {
				requests++
				switch {
				case req.Method != http.MethodDelete:
					return false
				case strings.Contains(req.URL.Path, "/manifests/sha256:"):
					w.WriteHeader(c.digest)
				default:
					w.WriteHeader(c.tag)
				}
				return true
			})
			if err := r.Delete(context.Background(), file); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || requests != c.wantRequests {
				t.Errorf("%v after %d requests, want %v after %d", err, requests, c.want, c.wantRequests)
			}
		})
	}
}

// What is asked is what costs, so these are the numbers of requests.
func TestRequests(t *testing.T) {
	noLogins(t)
	var asked []string
	r, server := serve(t, func(_ http.ResponseWriter, req *http.Request) bool {
		asked = append(asked, req.Method)
		return false
	})
	expect := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(asked, want) {
			t.Errorf("%s: %v, want %v", what, asked, want)
		}
		asked = nil
	}
	_, _ = r.Stat(context.Background(), "packs/none.pack")
	expect("stat of none", "HEAD")
	_, _ = read(r, file, 0, 10)
	expect("first range of a pack", "GET", "GET")
	_, _ = read(r, file, 10, 10)
	expect("next range of a pack", "GET")
	_, _ = r.Stat(context.Background(), file)
	expect("stat of a known one", "HEAD")
	_, _ = openAt(t, strings.TrimPrefix(server.URL, "http://"), nil).Stat(context.Background(), file)
	expect("stat of an unknown one", "HEAD", "GET")
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
