package http_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	nethttp "net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/http"
	"github.com/kept-dev/kept/cas/remote/remotetest"
)

const name = "packs/0123.pack"

func get(ctx context.Context, r remote.Remote, name string, offset, length int64) ([]byte, error) {
	body, err := r.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	return b, errors.Join(err, body.Close())
}

func put(ctx context.Context, r remote.Remote, b []byte) error {
	return r.Put(ctx, name, bytes.NewReader(b), int64(len(b)))
}

func wantError(tb testing.TB, err, kind error, words ...string) {
	tb.Helper()
	if !errors.Is(err, kind) {
		tb.Fatalf("the error is not %q: %v", kind, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			tb.Errorf("the error does not say %q: %v", word, err)
		}
	}
	if remote.Temporary(err) != (kind == remote.ErrTemporary) {
		tb.Errorf("whether it would be tried again: %v: %v", remote.Temporary(err), err)
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status          int
		reading, writes error
	}{
		{400, nil, nil},
		{401, remote.ErrCredentials, remote.ErrCredentials},
		{403, remote.ErrDenied, remote.ErrDenied},
		{404, fs.ErrNotExist, fs.ErrNotExist},
		{405, remote.ErrUnsupported, remote.ErrReadOnly},
		{407, remote.ErrCredentials, remote.ErrCredentials},
		{408, remote.ErrTemporary, remote.ErrTemporary},
		{410, fs.ErrNotExist, fs.ErrNotExist},
		{413, remote.ErrFull, remote.ErrFull},
		{416, nil, nil},
		{423, remote.ErrTemporary, remote.ErrTemporary},
		{429, remote.ErrTemporary, remote.ErrTemporary},
		{500, remote.ErrTemporary, remote.ErrTemporary},
		{501, remote.ErrUnsupported, remote.ErrReadOnly},
		{502, remote.ErrTemporary, remote.ErrTemporary},
		{503, remote.ErrTemporary, remote.ErrTemporary},
		{507, remote.ErrFull, remote.ErrFull},
		{301, remote.ErrAddress, remote.ErrAddress},
	} {
		if got := http.KindOfStatus("GET", c.status); got != c.reading {
			t.Errorf("GET: %d is %v, want %v", c.status, got, c.reading)
		}
		for _, method := range []string{"PUT", "MOVE", "MKCOL", "DELETE"} {
			if got := http.KindOfStatus(method, c.status); got != c.writes {
				t.Errorf("%s: %d is %v, want %v", method, c.status, got, c.writes)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "3": 3 * time.Second, "-1": 0, "x": 0, "99999999": time.Hour, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		if got := http.RetryAfter(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	remotetest.NoLogins(t)
	url := remotetest.Serve(t, "http", nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(nethttp.StatusServiceUnavailable)
	}))
	_, err := open(t, url).Stat(t.Context(), name)
	wantError(t, err, remote.ErrTemporary, "503 Service Unavailable")
	if e := new(remote.Error); !errors.As(err, &e) || e.After != 7*time.Second {
		t.Errorf("after %v", e.After)
	}
}

func TestReadOnly(t *testing.T) {
	n := remotetest.StartNginx(t)
	static := open(t, n.Static)
	wantError(t, put(t.Context(), static, nil), remote.ErrReadOnly, "davs://")
	wantError(t, static.Delete(t.Context(), name), remote.ErrReadOnly)
	wantError(t, static.List(t.Context(), "", nil), remote.ErrUnsupported)
	// A server that does not write, whatever the URL says.
	dav := open(t, strings.Replace(n.Static, "http://", "dav://", 1))
	wantError(t, put(t.Context(), dav, []byte("x")), remote.ErrReadOnly, "405")
	small := open(t, strings.Replace(n.DAV, "/dav/", "/small/", 1))
	wantError(t, put(t.Context(), small, make([]byte, 1<<20)), remote.ErrFull, "413")
}

func TestNoRemote(t *testing.T) {
	n := remotetest.StartNginx(t)
	remotetest.NoLogins(t)
	for server, url := range map[string]string{"nginx": n.DAV, "go": remotetest.Serve(t, "dav", remotetest.WebDAV(t))} {
		base := strings.TrimSuffix(url, "/remote")
		ctx := t.Context()
		missing := func() remote.Remote { return open(t, base+"/missing/remote") }
		_, err := missing().Stat(ctx, name)
		wantError(t, err, remote.ErrNoRemote, "there is no folder")
		_, err = get(ctx, missing(), name, 0, -1)
		wantError(t, err, remote.ErrNoRemote)
		wantError(t, missing().List(ctx, "packs/", nil), remote.ErrNoRemote)
		wantError(t, missing().Delete(ctx, name), remote.ErrNoRemote)
		wantError(t, put(ctx, missing(), []byte("x")), remote.ErrNoRemote, "there is no folder")

		fresh := open(t, base+"/fresh")
		_, err = fresh.Stat(ctx, name)
		if wantError(t, err, fs.ErrNotExist); errors.Is(err, remote.ErrNoRemote) {
			t.Errorf("%s: a folder that the first put makes is no remote: %v", server, err)
		}
		if err := put(ctx, fresh, []byte("x")); err != nil {
			t.Errorf("%s: %v", server, err)
		}
	}
	if _, err := open(t, "https://host.invalid/x").Stat(t.Context(), name); !errors.Is(err, remote.ErrNoRemote) && !errors.Is(err, remote.ErrTemporary) {
		t.Errorf("a host that does not exist: %v", err)
	}
}

// What Delete is asked for may be a folder, of which a server would delete all.
func TestDeleteFolder(t *testing.T) {
	remotetest.NoLogins(t)
	r := open(t, remotetest.Serve(t, "dav", remotetest.WebDAV(t)))
	if err := put(t.Context(), r, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), "packs"); err != nil {
		t.Error(err)
	}
	if _, err := r.Stat(t.Context(), name); err != nil {
		t.Error(err)
	}
}

// Over TLS the number of bytes is enough, and HTTP/2 is spoken.
func TestTLS(t *testing.T) {
	remotetest.NoLogins(t)
	server := httptest.NewUnstartedServer(remotetest.WebDAV(t))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := server.Client().Transport.(*nethttp.Transport).TLSClientConfig.RootCAs
	url := "davs://" + strings.TrimPrefix(server.URL, "https://") + "/remote"
	remotetest.Run(t, func(tb testing.TB) remote.Remote { return http.Trust(open(tb, url), pool) })
	plain := open(t, "dav://"+strings.TrimPrefix(server.URL, "https://")+"/remote")
	if _, err := plain.Stat(t.Context(), name); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without TLS: %v", err)
	}
	other := httptest.NewServer(nethttp.NotFoundHandler())
	t.Cleanup(other.Close)
	_, err := open(t, "https://"+strings.TrimPrefix(other.URL, "http://")).Stat(t.Context(), name)
	if err == nil || errors.Is(err, fs.ErrNotExist) || remote.Temporary(err) {
		t.Errorf("TLS to a server without: %v", err)
	}
}

// errAny is an error with which nothing is tried again.
var errAny = errors.New("any")

func TestRanges(t *testing.T) {
	remotetest.NoLogins(t)
	content := bytes.Repeat([]byte("0123456789"), 1000)
	large := make([]byte, 6<<20)
	send := func(status int, contentRange string, b []byte) nethttp.HandlerFunc {
		return func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			if contentRange != "" {
				w.Header().Set("Content-Range", contentRange)
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(b)))
			w.WriteHeader(status)
			_, _ = w.Write(b)
		}
	}
	for _, c := range []struct {
		name           string
		handler        nethttp.HandlerFunc
		offset, length int64
		want           []byte
		kind           error
	}{
		{"the range", send(206, "bytes 10-19/10000", content[10:20]), 10, 10, content[10:20], nil},
		{"a server without ranges", send(200, "", content), 10, 10, content[10:20], nil},
		{"... and all that follows", send(200, "", content), 10, -1, content[10:], nil},
		{"... and nothing does", send(200, "", content), 10000, 1, nil, errAny},
		{"... and not as much", send(200, "", content), 9999, 2, nil, remote.ErrShort},
		{"... and far behind", send(200, "", large), 5 << 20, 10, nil, remote.ErrUnsupported},
		{"... and its length is unknown", chunked(content), 10, -1, content[10:], nil},
		{"... and ends before", chunked(content[:5]), 10, -1, nil, errAny},
		{"another range", send(206, "bytes 11-20/10000", content[11:21]), 10, 10, nil, remote.ErrShort},
		{"more than the range", send(206, "bytes 10-29/10000", content[10:30]), 10, 10, nil, remote.ErrShort},
		{"more than it says", send(206, "bytes 10-19/10000", content[10:30]), 10, 10, nil, remote.ErrShort},
		{"less than the range", send(206, "bytes 10-14/10000", content[10:15]), 10, 10, nil, remote.ErrShort},
		{"no range", send(206, "", content[10:20]), 10, 10, nil, remote.ErrShort},
		{"several", send(206, "bytes */10", content[10:20]), 10, 10, nil, remote.ErrShort},
		{"behind the end", send(416, "bytes */10", nil), 10, 10, nil, errAny},
	} {
		r := open(t, remotetest.Serve(t, "http", c.handler))
		got, err := get(t.Context(), r, name, c.offset, c.length)
		if c.kind == nil && (err != nil || !bytes.Equal(got, c.want)) {
			t.Errorf("%s: %d bytes, want %d: %v", c.name, len(got), len(c.want), err)
		}
		if c.kind == errAny && (err == nil || errors.Is(err, remote.ErrShort)) {
			t.Errorf("%s: it would be tried again: %v", c.name, err)
		}
		if c.kind != nil && c.kind != errAny && !errors.Is(err, c.kind) {
			t.Errorf("%s: the error is not %q: %v", c.name, c.kind, err)
		}
	}
}

func chunked(b []byte) nethttp.HandlerFunc {
	return func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.(nethttp.Flusher).Flush()
		_, _ = w.Write(b)
	}
}

func TestHostileList(t *testing.T) {
	remotetest.NoLogins(t)
	file := func(href string) string {
		return "<D:response><D:href>" + href + "</D:href><D:propstat><D:prop><D:resourcetype/><D:getcontentlength>7</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
	}
	list := func(entries ...string) string {
		return `<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">` + strings.Join(entries, "\n") + `</D:multistatus>`
	}
	for _, c := range []struct {
		name, body string
		want       []string
		fails      bool
	}{
		{"plain", list(file("/remote/packs/"), file("/remote/packs/1.pack")), []string{"packs/1.pack"}, false},
		{"with its host", list(file("http://HOST/remote/packs/1.pack")), []string{"packs/1.pack"}, false},
		{"as a server behind another says it", list(file("https://127.0.0.1/remote/packs/1.pack")), []string{"packs/1.pack"}, false},
		{"another namespace", `<multistatus xmlns="DAV:"><response><href>/remote/packs/a</href><propstat><prop/><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>`, []string{"packs/a"}, false},
		{"escaped", list(file("/remote/packs/%31.pack"), file("/remote/%70acks/2")), []string{"packs/1.pack", "packs/2"}, false},
		{"hostile", list(
			file("http://evil.example/remote/packs/1"), file("//evil.example/remote/packs/1"), file("/remote/packs/../x"), file("/remote/packs/%2e%2e/x"), file("/remote/packs/a%2fb"),
			file("/remote/packs/a/b"), file("/remote/packs/.tmp-1"), file("/remote/packs/A"), file("/remote/packs/%00"), file("/other/x"), file("/remote/packsx"), file("x"), file(""), file("%"),
			file("/remote/packs//x"), file("/remote/packs/"+strings.Repeat("a", 200))), nil, false},
		{"no properties", list("<D:response><D:href>/remote/packs/a</D:href></D:response>"), []string{"packs/a"}, false},
		{"something else inside", list("<D:x><D:response>"+file("/remote/packs/a")+"</D:response></D:x>", file("/remote/packs/b")), []string{"packs/b"}, false},
		{"no list", "<html><body/></html>", nil, true},
		{"a page", "<!DOCTYPE html><title>Hi<p>there", nil, true},
		{"nothing", "", nil, true},
		{"cut", list(file("/remote/packs/a"), file("/remote/packs/b"))[:400], nil, true},
		{"entities", `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + list(file("/remote/packs/&b;")), nil, true},
	} {
		handler := func(w nethttp.ResponseWriter, r *nethttp.Request) {
			w.WriteHeader(nethttp.StatusMultiStatus)
			_, _ = io.WriteString(w, strings.ReplaceAll(c.body, "HOST", r.Host))
		}
		r := open(t, remotetest.Serve(t, "dav", nethttp.HandlerFunc(handler)))
		var got []string
		err := r.List(t.Context(), "packs/", func(i remote.Info) error { got = append(got, i.Name); return nil })
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// Whatever goes wrong on the way to a server by plain HTTP, what Put reports as kept is
// what was sent, and otherwise it is the old file or all of the new one.
func TestProxy(t *testing.T) {
	n := remotetest.StartNginx(t)
	p := remotetest.NewProxy(t, "http://"+n.Address, 1)
	r, direct := open(t, strings.Replace(n.DAV, n.Address, p.Addr(), 1)), open(t, n.DAV)
	old, b := bytes.Repeat([]byte("old "), 50_000), bytes.Repeat([]byte("new "), 60_000)
	for _, kind := range p.Kinds() {
		for range 4 {
			if err := put(t.Context(), direct, old); err != nil {
				t.Fatal(err)
			}
			p.Set(p.Random(kind))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // some never answer
			err := put(ctx, r, b)
			cancel()
			p.Set()
			got, err2 := get(t.Context(), direct, name, 0, -1)
			switch {
			case err2 != nil:
				t.Fatalf("%s: %v", kind, err2)
			case err == nil && !bytes.Equal(got, b):
				t.Fatalf("%s: put says it is kept, and it is not", kind)
			case !bytes.Equal(got, b) && !bytes.Equal(got, old):
				t.Fatalf("%s: neither the old nor the new: %v", kind, err)
			}
		}
	}
}
