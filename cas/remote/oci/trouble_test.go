package oci_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

// behind opens the registry at url through a proxy.
func behind(t *testing.T, url string) (remote.Remote, *remotetest.Proxy) {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "oci://"), "/")
	proxy := remotetest.NewProxy(t, "http://"+host, 1)
	r := openURL(t, "oci://"+proxy.Addr()+"/"+path, nil)
	t.Cleanup(func() { _ = r.Close() })
	return r, proxy
}

func put(ctx context.Context, r remote.Remote, name string, b []byte) error {
	return r.Put(ctx, name, bytes.NewReader(b), int64(len(b)))
}

func get(ctx context.Context, r remote.Remote, name string) ([]byte, error) {
	body, err := r.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	return b, errors.Join(err, body.Close())
}

// Whatever goes wrong on the way, under a name there is what was there before or what
// was put, and the latter if Put said so.
func TestTroubles(t *testing.T) {
	url, _ := remotetest.StartRegistry(t)
	r, proxy := behind(t, url)
	names := []string{"roots/aa", "roots/bb"}
	may := map[string][][]byte{}
	for _, name := range names {
		may[name] = [][]byte{[]byte("before")}
		if err := put(t.Context(), r, name, []byte("before")); err != nil {
			t.Fatal(err)
		}
	}
	faulted := func(ctx context.Context, round int) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		var all error
		for _, name := range names {
			b := bytes.Repeat(fmt.Appendf(nil, "%s %d\n", name, round), 5000)
			err := put(ctx, r, name, b)
			if err == nil {
				may[name] = nil
			}
			may[name] = append(may[name], b)
			_, stat := r.Stat(ctx, name)
			_, whole := get(ctx, r, name)
			all = errors.Join(all, err, stat, whole)
		}
		return all
	}
	after := func(ctx context.Context, _ int) error {
		for _, name := range names {
			got, err := get(ctx, r, name)
			if err != nil {
				return err
			}
			if !isOneOf(got, may[name]) {
				return fmt.Errorf("%s has %d bytes, which were never put", name, len(got))
			}
			may[name] = [][]byte{got}
		}
		return nil
	}
	remotetest.Rounds(t, 2*len(proxy.Kinds()), proxy, faulted, after)
}

func isOneOf(b []byte, all [][]byte) bool {
	for _, one := range all {
		if bytes.Equal(b, one) {
			return true
		}
	}
	return false
}

func TestFlippedOnTheWay(t *testing.T) {
	url, _ := remotetest.StartRegistry(t)
	r, proxy := behind(t, url)
	b := bytes.Repeat([]byte("bytes"), 1000)
	isPath := func(method, part string) func(*http.Request) bool {
		return func(req *http.Request) bool {
			return req.Method == method && strings.Contains(req.URL.Path, part)
		}
	}
	for _, part := range []string{"/blobs/uploads/", "/manifests/"} {
		proxy.Set(remotetest.Trouble{Kind: remotetest.FlipRequest, Match: isPath(http.MethodPut, part), At: 60, Times: -1})
		if err := put(t.Context(), r, "packs/00.pack", b); !remote.Temporary(err) && part == "/blobs/uploads/" || err == nil {
			t.Errorf("put with another bit in %s: %v", part, err)
		}
		proxy.Set()
		if _, err := r.Stat(t.Context(), "packs/00.pack"); err == nil {
			t.Errorf("there is a file after a put with another bit in %s", part)
		}
	}
	if err := put(t.Context(), r, "packs/00.pack", b); err != nil {
		t.Fatal(err)
	}
	fresh, proxy := behind(t, url)
	proxy.Set(remotetest.Trouble{Kind: remotetest.FlipResponse, Match: isPath(http.MethodGet, "/manifests/"), At: 60, Times: 1})
	if _, err := get(t.Context(), fresh, "packs/00.pack"); !remote.Temporary(err) {
		t.Errorf("get with another bit in the manifest: %v", err)
	}
	if got, err := get(t.Context(), fresh, "packs/00.pack"); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestLogins(t *testing.T) {
	url, _ := remotetest.StartRegistryWithLogin(t)
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "oci://"), "/")
	for _, c := range []struct{ name, login, want string }{
		{"right", remotetest.RegistryUser + ":" + remotetest.RegistryPassword, ""},
		{"wrong password", remotetest.RegistryUser + ":secret-word", "401 Unauthorized"},
		{"nobody", "", "nobody is logged in to " + host},
	} {
		t.Run(c.name, func(t *testing.T) {
			logins := map[string]string{"other.test": "eve:other-word"}
			if c.login != "" {
				logins[host] = c.login
			}
			remotetest.UseDockerConfig(t, logins)
			r := openURL(t, url, nil)
			defer func() { _ = r.Close() }()
			_, stat := r.Stat(t.Context(), "packs/none.pack")
			for op, err := range map[string]error{"put": put(t.Context(), r, "packs/00.pack", []byte("x")), "stat": stat} {
				switch {
				case c.want == "" && !errors.Is(err, remote.ErrCredentials):
				case c.want == "", !errors.Is(err, remote.ErrCredentials), !strings.Contains(err.Error(), c.want), strings.Contains(err.Error(), "secret-word"):
					t.Errorf("%s: %v, want %q", op, err, c.want)
				default:
					t.Log(err)
				}
			}
		})
	}
}
