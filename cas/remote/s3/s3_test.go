package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
	"github.com/kept-dev/kept/cas/remote/s3"
)

func open(tb testing.TB, url string, s remote.Settings) remote.Remote {
	tb.Helper()
	u, err := remote.ParseURL(url)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := s3.Open(tb.Context(), u, s)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// content returns bytes that are the same for the same seed.
func content(seed byte, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

func TestConformance(t *testing.T) {
	url, settings := remotetest.StartS3(t)
	for name, prefix := range map[string]string{"without a prefix": "", "with a prefix": "/team/a model & more"} {
		t.Run(name, func(t *testing.T) {
			remotetest.Run(t, func(tb testing.TB) remote.Remote { return open(tb, url+prefix, settings) })
		})
	}
}

// each does with name what can be done, and returns the errors.
func each(ctx context.Context, r remote.Remote, name string) map[string]error {
	body, get := r.Get(ctx, name, 0, -1)
	if get == nil {
		_, get = io.Copy(io.Discard, body)
		_ = body.Close()
	}
	_, stat := r.Stat(ctx, name)
	return map[string]error{
		"get": get, "stat": stat,
		"put":    r.Put(ctx, name, strings.NewReader("abc"), 3),
		"list":   r.List(ctx, "", func(remote.Info) error { return nil }),
		"delete": r.Delete(ctx, name),
	}
}

func wantEach(t *testing.T, r remote.Remote, want error, text string) {
	t.Helper()
	for op, err := range each(t.Context(), r, "packs/one.pack") {
		if err == nil {
			t.Errorf("%s: no error, want %v", op, want)
			continue
		}
		wantError(t, err, want, text)
	}
}

// TestWrong is what goes wrong in a first try, at a real server.
func TestWrong(t *testing.T) {
	url, settings := remotetest.StartS3(t)
	t.Run("bucket", func(t *testing.T) {
		wantEach(t, open(t, "s3://nobodys/team", settings), remote.ErrNoRemote, "s3://nobodys/team: ")
	})
	t.Run("secret", func(t *testing.T) {
		t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-another")
		wantEach(t, open(t, url, settings), remote.ErrCredentials, "SignatureDoesNotMatch")
	})
	t.Run("key", func(t *testing.T) {
		remotetest.SetS3Environment(t, "AKIDNOBODY", "secret-of-nobody")
		wantEach(t, open(t, url, settings), remote.ErrCredentials, "s3://models: ")
	})
	t.Run("region", func(t *testing.T) {
		with := remote.Settings{"endpoint": settings["endpoint"], "region": "eu-central-1"}
		wantEach(t, open(t, url, with), remote.ErrAddress, `the bucket is in the region "us-east-1": set region`)
	})
	t.Run("anonymous", func(t *testing.T) {
		with := remote.Settings{"endpoint": settings["endpoint"], "anonymous": "true"}
		wantEach(t, open(t, url, with), remote.ErrDenied, "")
	})
	t.Run("no credentials", func(t *testing.T) {
		remotetest.SetS3Environment(t, "", "")
		wantEach(t, open(t, url, settings), remote.ErrCredentials, "no credentials: set AWS_ACCESS_KEY_ID")
	})
	t.Run("profile", func(t *testing.T) {
		with := remote.Settings{"endpoint": settings["endpoint"], "profile": "nobody"}
		wantEach(t, open(t, url, with), remote.ErrCredentials, "nobody")
	})
	t.Run("certificate", func(t *testing.T) {
		with := remote.Settings{"endpoint": strings.Replace(settings["endpoint"], "http:", "https:", 1)}
		wantEach(t, open(t, url, with), nil, "server gave HTTP response to HTTPS client")
	})
}

func TestReadOnly(t *testing.T) {
	address, url := remotetest.StartS3At(t, "--readonly")
	r := open(t, url, remotetest.S3Settings(address))
	wantError(t, r.Put(t.Context(), "packs/one.pack", strings.NewReader("abc"), 3), remote.ErrDenied, "AccessDenied")
}

// TestProfile takes credentials from the shared files, and the endpoint from the environment.
func TestProfile(t *testing.T) {
	url, settings := remotetest.StartS3(t)
	file := filepath.Join(t.TempDir(), "credentials")
	text := "[models]\naws_access_key_id = " + os.Getenv("AWS_ACCESS_KEY_ID") + "\naws_secret_access_key = " + os.Getenv("AWS_SECRET_ACCESS_KEY") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	remotetest.SetS3Environment(t, "", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	t.Setenv("AWS_ENDPOINT_URL_S3", settings["endpoint"])
	r := open(t, url, remote.Settings{"profile": "models"})
	if err := r.Put(t.Context(), "packs/one.pack", strings.NewReader("abc"), 3); err != nil {
		t.Error(err)
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	remotetest.SetS3Environment(t, "AKIDEXAMPLE", "secret-of-the-key")
	wantEach(t, open(t, "s3://models", remotetest.S3Settings(address)), remote.ErrTemporary, "connection refused")
	wantEach(t, open(t, "s3://models", remotetest.S3Settings("kept.invalid")), remote.ErrNoRemote, "kept.invalid")
}

// TestCertificate does not take a server at its word, nor goes on trying it.
func TestCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet
	server.StartTLS()
	defer server.Close()
	remotetest.SetS3Environment(t, "AKIDEXAMPLE", "secret-of-the-key")
	wantEach(t, open(t, "s3://models", remote.Settings{"endpoint": server.URL}), nil, "certificate")
}

// TestAltered has bits that turn on the way to the server, and back.
func TestAltered(t *testing.T) {
	address, url := remotetest.StartS3At(t)
	p := remotetest.NewProxy(t, "http://"+address, 1)
	r := open(t, url, remotetest.S3Settings(p.Addr()))
	old, b := content(1, 1000), content(2, 3<<20)
	put := func(b []byte) error {
		return r.Put(t.Context(), "packs/one.pack", bytes.NewReader(b), int64(len(b)))
	}
	if err := put(old); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 1 << 20, 3<<20 - 1} {
		p.Set(remotetest.Trouble{Kind: remotetest.FlipRequest, At: at})
		wantError(t, put(b), remote.ErrTemporary, "")
		if p.Struck() != 1 {
			t.Errorf("%d bits were flipped, want 1", p.Struck())
		}
		p.Set()
		wantContent(t, r, old)
	}
	if err := put(b); err != nil {
		t.Fatal(err)
	}
	wantContent(t, r, b)
}

func wantContent(t *testing.T, r remote.Remote, want []byte) {
	t.Helper()
	body, err := r.Get(t.Context(), "packs/one.pack", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d other bytes, %v", len(got), err)
	}
}

// TestProgress: what is read for the checksum is not what has moved.
func TestProgress(t *testing.T) {
	stats := new(remote.Stats)
	r := remote.Steady(serves(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }), remote.Limits{Stats: stats})
	const size = 8 << 20
	if err := r.Put(t.Context(), "a", bytes.NewReader(make([]byte, size)), size); err != nil {
		t.Fatal(err)
	}
	if got := stats.Sent.Load(); got != size {
		t.Errorf("%d bytes sent, want %d", got, size)
	}
}

// TestUploadWithoutSignature: who signs nothing says the MD5, and on AWS it is a CRC.
func TestUploadWithoutSignature(t *testing.T) {
	got := http.Header{}
	r := serves(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	if err := r.Put(t.Context(), "a", strings.NewReader("abc"), 3); err != nil {
		t.Fatal(err)
	}
	if sum := got.Get("X-Amz-Content-Sha256"); sum != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("SHA-256 %q", sum)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	defer server.Close()
	r = open(t, "s3://models", remote.Settings{"endpoint": server.URL, "anonymous": "true"})
	if err := r.Put(t.Context(), "a", strings.NewReader("abc"), 3); err != nil {
		t.Fatal(err)
	}
	if sum := got.Get("Content-MD5"); sum != "kAFQmDzST7DWlj99KOF/cg==" || got.Get("Authorization") != "" {
		t.Errorf("MD5 %q, %q", sum, got.Get("Authorization"))
	}
}

// TestBadAnswers are those of a Get that say or are another number of bytes.
func TestBadAnswers(t *testing.T) {
	address, url := remotetest.StartS3At(t)
	p := remotetest.NewProxy(t, "http://"+address, 1)
	r := open(t, url, remotetest.S3Settings(p.Addr()))
	b := content(1, 1<<20)
	if err := r.Put(t.Context(), "packs/one.pack", bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind remotetest.Kind
		want error
	}{
		{remotetest.Refuse, remote.ErrTemporary},
		{remotetest.CutResponse, remote.ErrTemporary},
		{remotetest.ShortBody, remote.ErrShort},
		{remotetest.LongBody, remote.ErrShort},
		{remotetest.Page, remote.ErrShort},
		{remotetest.Busy, remote.ErrTemporary},
		{remotetest.ServerError, remote.ErrTemporary},
		{remotetest.TooManyAfter, remote.ErrTemporary},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			p.Set(remotetest.Trouble{Kind: c.kind, At: 50_000, Times: -1}) // net/http itself tries again once
			body, err := r.Get(t.Context(), "packs/one.pack", 1000, 100_000)
			if err == nil {
				_, err = io.Copy(io.Discard, body)
				_ = body.Close()
			}
			wantError(t, err, c.want, "")
		})
	}
}

// TestTrouble has everything go wrong that can on the way, with the patience that
// everybody has who uses a remote.
func TestTrouble(t *testing.T) {
	address, url := remotetest.StartS3At(t)
	p := remotetest.NewProxy(t, "http://"+address, 1)
	r := remote.Steady(open(t, url, remotetest.S3Settings(p.Addr())), remote.Limits{Stall: time.Second})
	defer r.Close()
	b := content(1, 200_000)
	put := func(ctx context.Context) error {
		return r.Put(ctx, "packs/one.pack", bytes.NewReader(b), int64(len(b)))
	}
	get := func(ctx context.Context) error {
		body, err := r.Get(ctx, "packs/one.pack", 500, 150_000)
		if err != nil {
			return err
		}
		defer body.Close()
		got, err := io.ReadAll(body)
		if err == nil && len(got) != 150_000 {
			err = errors.New("another number of bytes")
		}
		return err
	}
	remotetest.Rounds(t, len(p.Kinds()), p, func(ctx context.Context, _ int) error {
		var all error
		for range 5 {
			all = errors.Join(all, put(ctx), get(ctx))
			_, err := r.Stat(ctx, "packs/one.pack")
			all = errors.Join(all, err)
		}
		return all
	}, func(ctx context.Context, _ int) error {
		body, err := r.Get(ctx, "packs/one.pack", 0, -1)
		if err != nil {
			return err
		}
		defer body.Close()
		got, err := io.ReadAll(body)
		if !bytes.Equal(got, b) {
			err = errors.Join(err, errors.New("other bytes"))
		}
		return err
	})
}

// quiet is for servers whose clients are meant to go.
var quiet = log.New(io.Discard, "", 0)
