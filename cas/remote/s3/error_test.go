package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kept-dev/kept/cas/remote"
	"github.com/kept-dev/kept/cas/remote/remotetest"
	"github.com/kept-dev/kept/cas/remote/s3"
)

// answers starts a server that gives every request the same answer.
func answers(t *testing.T, status int, headers map[string]string, body string) remote.Remote {
	t.Helper()
	return serves(t, func(w http.ResponseWriter, _ *http.Request) {
		for key, value := range headers {
			w.Header().Set(key, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// serves opens a remote at a server that answers with handle.
func serves(t *testing.T, handle http.HandlerFunc) remote.Remote {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	remotetest.SetS3Environment(t, "AKIDEXAMPLE", "secret-of-the-key")
	t.Setenv("AWS_SESSION_TOKEN", "secret-of-the-session")
	return open(t, "s3://models/team", remotetest.S3Settings(strings.TrimPrefix(server.URL, "http://")))
}

// said is the body of an error, as AWS and the others write it.
func said(code, message string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>%s</Code><Message>%s</Message><Resource>/models/team/packs/one.pack</Resource><RequestId>4442587FB7D0A2F9</RequestId></Error>`, code, message)
}

// TestAnswers has the errors of servers as they send them.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int
		headers map[string]string
		body    string
		want    error
		text    string
		after   time.Duration
	}{
		{"no bucket", 404, nil, said("NoSuchBucket", "The specified bucket does not exist"), remote.ErrNoRemote, "NoSuchBucket: The specified bucket does not exist (404)", 0},
		{"no file", 404, nil, said("NoSuchKey", "The specified key does not exist."), fs.ErrNotExist, "NoSuchKey", 0},
		{"no file and no body", 404, nil, "", fs.ErrNotExist, "404 Not Found", 0},
		{"an unknown key", 403, nil, said("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."), remote.ErrCredentials, "InvalidAccessKeyId: The AWS", 0},
		{"a wrong secret", 403, nil, said("SignatureDoesNotMatch", "The request signature we calculated does not match."), remote.ErrCredentials, "SignatureDoesNotMatch", 0},
		{"an expired token", 400, nil, said("ExpiredToken", "The provided token has expired."), remote.ErrCredentials, "ExpiredToken: The provided token has expired. (400)", 0},
		{"an invalid token", 400, nil, said("InvalidToken", "The provided token is malformed or otherwise invalid."), remote.ErrCredentials, "InvalidToken", 0},
		{"denied", 403, nil, said("AccessDenied", "User: arn:aws:iam::1:user/a is not authorized to perform: s3:PutObject"), remote.ErrDenied, "not authorized to perform: s3:PutObject (403)", 0},
		{"403 without a body", 403, nil, "", remote.ErrCredentials, "403 Forbidden", 0},
		{"401", 401, nil, "", remote.ErrCredentials, "401 Unauthorized", 0},
		{"another region", 301, map[string]string{"x-amz-bucket-region": "eu-central-1"}, said("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint."), remote.ErrAddress, `the bucket is in the region "eu-central-1": set region`, 0},
		{"a signature for another region", 400, nil, said("AuthorizationHeaderMalformed", "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-3'"), remote.ErrAddress, `"eu-west-3"`, 0},
		{"a signature for another region, by versitygw", 400, nil, said("AuthorizationHeaderMalformed", "The authorization header is malformed; the region \"eu-central-1\" is wrong; expecting \"us-east-1\""), remote.ErrAddress, `"us-east-1"`, 0},
		{"404 of something else", 404, nil, said("NoSuchUpload", "The specified upload does not exist."), nil, "NoSuchUpload", 0},
		{"a malformed signature", 400, nil, said("AuthorizationHeaderMalformed", "The Credential is mal-formed"), remote.ErrCredentials, "mal-formed", 0},
		{"a region that is none", 301, map[string]string{"x-amz-bucket-region": "evil.example/"}, said("PermanentRedirect", "Go away"), remote.ErrAddress, "PermanentRedirect: Go away (301)", 0},
		{"307", 307, map[string]string{"Location": "https://elsewhere.example/"}, said("TemporaryRedirect", "Please re-send this request"), remote.ErrAddress, "TemporaryRedirect", 0},
		{"slow down", 503, map[string]string{"Retry-After": "7"}, said("SlowDown", "Please reduce your request rate."), remote.ErrTemporary, "SlowDown", 7 * time.Second},
		{"429", 429, map[string]string{"Retry-After": "2"}, "", remote.ErrTemporary, "429 Too Many Requests", 2 * time.Second},
		{"500", 500, nil, said("InternalError", "We encountered an internal error. Please try again."), remote.ErrTemporary, "InternalError", 0},
		{"502 of a proxy", 502, nil, "<html><head><title>502 Bad Gateway</title></head><body><hr>nginx</body></html>", remote.ErrTemporary, "502", 0},
		{"503 of a proxy that is no XML", 503, nil, "<p>back soon<br>", remote.ErrTemporary, "503", 0},
		{"504", 504, nil, "", remote.ErrTemporary, "504", 0},
		{"a timeout", 400, nil, said("RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period."), remote.ErrTemporary, "RequestTimeout", 0},
		{"altered on the way, by AWS", 400, nil, said("BadDigest", "The CRC32C you specified did not match the calculated checksum."), remote.ErrTemporary, "BadDigest", 0},
		{"altered on the way, by MinIO", 400, nil, said("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."), remote.ErrTemporary, "Mismatch", 0},
		{"too large", 400, nil, said("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"), remote.ErrFull, "EntityTooLarge", 0},
		{"a quota of Ceph", 403, nil, said("QuotaExceeded", "QuotaExceeded"), remote.ErrFull, "QuotaExceeded", 0},
		{"a full MinIO", 507, nil, said("XMinioStorageFull", "Storage backend has reached its minimum free drive threshold."), remote.ErrFull, "free drive", 0},
		{"507", 507, nil, "", remote.ErrFull, "507", 0},
		{"a clock", 403, nil, said("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."), remote.ErrTemporary, "is the clock of this machine right?", 0},
		{"read-only", 405, nil, said("MethodNotAllowed", "The specified method is not allowed against this resource."), remote.ErrReadOnly, "MethodNotAllowed", 0},
		{"something unknown", 400, nil, said("Strange", "\u009b31m\u202eline\nline"), nil, "Strange: 31m line line (400)", 0},
		{"something long", 400, nil, said("Long", strings.Repeat("long ", 10_000)), nil, "long…", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := answers(t, c.status, c.headers, c.body)
			err := r.Put(t.Context(), "packs/one.pack", strings.NewReader("abc"), 3)
			wantError(t, err, c.want, c.text)
			e := new(remote.Error)
			if !errors.As(err, &e) || e.After != c.after {
				t.Errorf("after %v, want %v", e.After, c.after)
			}
		})
	}
}

// wantError wants an error of a kind, with a text in it that is one line without secrets.
func wantError(t *testing.T, err, want error, text string) {
	t.Helper()
	e := new(remote.Error)
	if !errors.As(err, &e) || want != nil && !errors.Is(err, want) || want == nil && e.Kind != nil {
		t.Fatalf("%v, want %v", err, want)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want %q in it", err, text)
	}
	for _, bad := range []string{"\n", "\u009b", "\u202e", "secret-of", "AWS4-HMAC", "RequestID"} {
		if strings.Contains(err.Error(), bad) {
			t.Errorf("%q has %q in it", err, bad)
		}
	}
	if len(err.Error()) > 600 {
		t.Errorf("%d bytes", len(err.Error()))
	}
	t.Log(err)
}

// TestHead: the answer to a HEAD has no body, so the reason is asked for by another way.
// TestRefusedUpload: a server that refuses what it has not read yet ends the connection, and still
// its reason is the one that is told.
func TestRefusedUpload(t *testing.T) {
	var read atomic.Int64
	r := serves(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, said("AccessDenied", "Access Denied"))
	})
	body := &counting{r: bytes.NewReader(content(1, 32<<20)), n: &read}
	// The checksum that goes ahead reads it once.
	wantError(t, r.Put(t.Context(), "packs/one.pack", body, 32<<20), remote.ErrDenied, "AccessDenied")
	if sent := read.Load() - 32<<20; sent != 0 {
		t.Errorf("%d bytes were sent", sent)
	}
}

// counting counts the bytes that are read.
type counting struct {
	r io.ReaderAt
	n *atomic.Int64
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n.Add(int64(n))
	return n, err
}

func TestHead(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"no bucket", 404, said("NoSuchBucket", "no bucket"), remote.ErrNoRemote},
		{"no file", 404, said("NoSuchKey", "no key"), fs.ErrNotExist},
		{"credentials", 403, said("InvalidAccessKeyId", "no such key"), remote.ErrCredentials},
		{"denied", 403, said("AccessDenied", "no"), remote.ErrDenied},
		{"expired", 400, said("ExpiredToken", "too late"), remote.ErrCredentials},
		{"busy", 503, said("SlowDown", "later"), remote.ErrTemporary},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := answers(t, c.status, nil, c.body).Stat(t.Context(), "packs/one.pack")
			wantError(t, err, c.want, "stat packs/one.pack: ")
		})
	}
}

// TestHeadOnce: where the bucket is known, what is not there costs one request.
func TestHeadOnce(t *testing.T) {
	requests := 0
	r := serves(t, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(said("NoSuchKey", "no key")))
	})
	for range 3 {
		_, err := r.Stat(t.Context(), "packs/one.pack")
		wantError(t, err, fs.ErrNotExist, "")
	}
	if requests != 2+1+1 {
		t.Errorf("%d requests, want 4", requests)
	}
}

func TestRegionError(t *testing.T) {
	r := answers(t, 301, map[string]string{"x-amz-bucket-region": "eu-central-1"}, said("PermanentRedirect", "elsewhere"))
	_, err := r.Stat(t.Context(), "packs/one.pack")
	region := new(s3.RegionError)
	if !errors.As(err, &region) || region.Region != "eu-central-1" {
		t.Errorf("%v, want one that says eu-central-1", err)
	}
}

// TestRedirect: what is signed, and the token with it, goes to nobody else.
func TestRedirect(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		r := answers(t, status, map[string]string{"Location": other.URL + "/models/team/packs/one.pack"}, "")
		_, err := r.Get(t.Context(), "packs/one.pack", 0, -1)
		wantError(t, err, remote.ErrAddress, "")
		_, err = r.Stat(t.Context(), "packs/one.pack")
		wantError(t, err, remote.ErrAddress, "")
		err = r.Put(t.Context(), "packs/one.pack", strings.NewReader("abc"), 3)
		wantError(t, err, remote.ErrAddress, "")
	}
	if asked {
		t.Error("a redirect was followed")
	}
}
